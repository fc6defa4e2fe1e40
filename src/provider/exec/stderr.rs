//! Logs a program's standard error line by line, up to a limit, and remembers the last line, which usually says why the
//! program failed.

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::provider::redact::{masked, quote};

/// The most bytes of one run that are logged.
const MAX_LOGGED: usize = 8 << 10;
/// The longest line in bytes; the rest of a longer line is ignored.
const MAX_LINE: usize = 1 << 10;

/// Reads the standard error of one run.
pub struct StderrReader<'p> {
    provider: &'p str,
    /// Values to mask in the log.
    secrets: &'p [String],
    line: Vec<u8>,
    last: String,
    logged: usize,
    skipped: usize,
}

impl<'p> StderrReader<'p> {
    pub fn new(provider: &'p str, secrets: &'p [String]) -> Self {
        Self { provider, secrets, line: Vec::new(), last: String::new(), logged: 0, skipped: 0 }
    }

    /// Reads to the end. Output beyond the limit is read and discarded, because a full pipe would block the program.
    pub async fn read_all(&mut self, from: &mut (impl AsyncRead + Unpin)) {
        let mut chunk = vec![0; 4096];
        loop {
            let read = from.read(&mut chunk).await.unwrap_or(0);
            for &byte in &chunk[..read] {
                match byte {
                    b'\n' | b'\r' => self.end_line(),
                    byte if self.line.len() < MAX_LINE => self.line.push(byte),
                    _ => {}
                }
            }
            if read == 0 {
                break;
            }
        }
    }

    /// The last line that was not empty, shortened and with secrets masked.
    pub fn last_line(&mut self) -> String {
        self.end_line();
        if self.skipped > 0 {
            let (provider, skipped) = (self.provider, self.skipped);
            tracing::info!(%provider, "provider {provider}: {skipped} more lines of its program were not logged");
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
        if self.logged + line.len() <= MAX_LOGGED {
            let provider = self.provider;
            tracing::info!(%provider, "provider {provider}: its program says: {line}");
            self.logged += line.len();
        } else {
            self.skipped += 1;
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
        let mut reader = StderrReader::new("it", &secrets);
        let said = format!("{}\n1%\r2%\r\nkey hunter2 is \x1b[31mbad\n\n  \n", "x".repeat(100_000));
        reader.read_all(&mut said.as_bytes()).await;
        assert_eq!(reader.last_line(), "key (a secret) is [31mbad");
        assert_eq!(reader.skipped, 0);

        let mut reader = StderrReader::new("it", &[]);
        reader.read_all(&mut "one line of 20 bytes\n".repeat(10_000).as_bytes()).await;
        assert!(reader.logged <= MAX_LOGGED);
        assert!(reader.skipped > 9_000);
        assert!(reader.line.capacity() <= 2 * MAX_LINE);
    }
}
