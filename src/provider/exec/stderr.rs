//! Logs a program's standard error line by line, up to a limit, and remembers the last line, which usually says why the
//! program failed.

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::provider::words::{masked, quote};

/// The most bytes of one run that are logged.
const MOST_LOGGED: usize = 8 << 10;
/// The longest line in bytes; the rest of a longer line is ignored.
const MOST_LINE: usize = 1 << 10;

/// Reads the standard error of one run.
pub struct StderrReader<'p> {
    provider: &'p str,
    /// Masked in the log.
    secrets: &'p [String],
    line: Vec<u8>,
    last: String,
    logged: usize,
    unheard: usize,
}

impl<'p> StderrReader<'p> {
    pub fn new(provider: &'p str, secrets: &'p [String]) -> Self {
        Self { provider, secrets, line: Vec::new(), last: String::new(), logged: 0, unheard: 0 }
    }

    /// Reads to the end. Output beyond the limit is read and discarded, because a full pipe would block the program.
    pub async fn listen(&mut self, from: &mut (impl AsyncRead + Unpin)) {
        let mut chunk = vec![0; 4096];
        loop {
            let read = from.read(&mut chunk).await.unwrap_or(0);
            for &byte in &chunk[..read] {
                match byte {
                    b'\n' | b'\r' => self.end_line(),
                    byte if self.line.len() < MOST_LINE => self.line.push(byte),
                    _ => {}
                }
            }
            if read == 0 {
                break;
            }
        }
    }

    /// The last line that was not empty, cleaned.
    pub fn last_words(&mut self) -> String {
        self.end_line();
        if self.unheard > 0 {
            let (provider, unheard) = (self.provider, self.unheard);
            tracing::info!(%provider, "provider {provider}: {unheard} more lines of its program were not logged");
        }
        std::mem::take(&mut self.last)
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        let secrets: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        let line = masked(&line, &secrets, "(a secret)");
        let line = quote(&line, "");
        if line.is_empty() {
            return;
        }
        if self.logged + line.len() <= MOST_LOGGED {
            let provider = self.provider;
            tracing::info!(%provider, "provider {provider}: its program says: {line}");
            self.logged += line.len();
        } else {
            self.unheard += 1;
        }
        self.last = line;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_bounded_and_masked_and_the_last_one_is_returned() {
        let secrets = ["hunter2".to_owned()];
        let mut listener = StderrReader::new("it", &secrets);
        let said = format!("{}\n1%\r2%\r\nkey hunter2 is \x1b[31mbad\n\n  \n", "x".repeat(100_000));
        listener.listen(&mut said.as_bytes()).await;
        assert_eq!(listener.last_words(), "key (a secret) is [31mbad");
        assert_eq!(listener.unheard, 0);

        let mut listener = StderrReader::new("it", &[]);
        listener.listen(&mut "a line of twenty byte\n".repeat(10_000).as_bytes()).await;
        assert!(listener.logged <= MOST_LOGGED);
        assert!(listener.unheard > 9_000);
        assert!(listener.line.capacity() <= 2 * MOST_LINE);
    }
}
