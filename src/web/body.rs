//! Request bodies: admits an upload, reads it into one buffer within a size limit and a time-out, and discards the rest
//! of the body after an error.
//!
//! In every body format, the size limit applies to the bytes of the image file alone. After an error, at most 64 MiB of
//! the body are discarded, because most clients send the whole request before they read the response.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rocket::data::{self, ByteUnit, Data, DataStream};
use rocket::http::Status;
use rocket::outcome::Outcome;
use rocket::request::Request;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::form::{self, Form, FormPart, finish};
use super::pace::{Counted, Pace, TooSlow};
use super::problem::Problem;
use super::upload_memory::UploadMemory;
use super::{admission, guards};
use crate::gateway::Upload;
use crate::photo::format_of;
use crate::quota::Admission;

/// How many bytes of a rejected body are discarded, and for how long, before the connection is closed.
const DISCARD_BYTES: usize = 64 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(10);

/// Discarding ends when the client sends nothing for this time, because the client may be waiting for the response.
const DISCARD_PAUSE: Duration = Duration::from_secs(1);

/// How many bytes a body may have in addition to an image in base64, for example for JSON.
const ENVELOPE_BYTES: u64 = 64 << 10;

/// A request body whose upload was admitted.
pub struct Body<'r> {
    stream: Counted<DataStream<'r>>,
    /// Maximum bytes of the image itself.
    pub limit: u64,
    /// `Content-Length`; 0 without one.
    length: u64,
    memory: UploadMemory,
    pace: Pace,
}

impl<'r> Body<'r> {
    /// Admits an upload before any of it is read. The body of a rejected upload is discarded.
    pub async fn admit(request: &'r Request<'_>, data: Data<'r>) -> Result<Self, Problem> {
        let Some(snapshot) = guards::snapshot(request) else {
            return Err(Problem::new(Status::InternalServerError, "The gateway is not set up."));
        };
        let limit = snapshot.config.limits.upload_bytes;
        let length = request.headers().get_one("Content-Length").and_then(|length| length.parse().ok());
        // Without a length, the maximum is charged, unless the body is empty.
        let empty = data.peek_complete().then_some(0);
        let charged = length.or(empty).unwrap_or(limit).min(text_limit(limit));
        let pace = Pace::new(&snapshot.config.limits);
        // `collect` and `form::read` enforce the limit, because Rocket's own limit truncates silently.
        let mut stream = pace.count(data.open(ByteUnit::max_value()));
        match admission::admit(request, charged, pace.clone()).await {
            Ok(memory) => Ok(Self { stream, limit, length: length.unwrap_or(0), memory, pace }),
            Err(problem) => Err(discarded(&mut stream, problem).await),
        }
    }

    /// The time-out for the arrival of the body.
    pub fn pace(&self) -> Pace {
        self.pace.clone()
    }

    /// The admission of the upload, which must be held until the upload's bytes are dropped.
    pub fn admission(&self) -> Arc<Admission> {
        self.memory.admission()
    }

    /// Turns the result of reading the body into an outcome. After an error, discards the rest of the body; if the body
    /// was too slow, the connection is closed instead.
    pub async fn finish<T>(
        mut self,
        read: Result<Result<T, Problem>, TooSlow>,
    ) -> data::Outcome<'r, T, Problem> {
        match read {
            Ok(Ok(value)) => {
                self.memory.settle();
                Outcome::Success(value)
            }
            Ok(Err(problem)) => {
                // Discarded bytes take no memory.
                drop(self.memory);
                discarded(&mut self.stream, problem).await.outcome()
            }
            Err(slow) => Problem::new(Status::RequestTimeout, slow.to_string()).closing().outcome(),
        }
    }

    /// Reads a body that is the image itself.
    pub async fn raw(&mut self) -> Result<Upload, Problem> {
        let mut hash = Sha256::new();
        let bytes = self.collect(self.limit, |chunk| hash.update(chunk)).await?;
        finish(bytes, hash, self.admission())
    }

    /// Reads an image that the client declared as a form, as `curl --data-binary` does by default. `None` if the body
    /// consists of text, as a form does. Other bytes are returned even if they are not a supported image, so that the
    /// decoder's error can name their format.
    pub async fn declared_as_form(&mut self) -> Result<Option<Upload>, Problem> {
        let upload = self.raw().await?;
        let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
        let is_form = format_of(&upload.bytes).is_err() && upload.bytes.iter().all(is_text);
        Ok((!is_form).then_some(upload))
    }

    /// Reads text that contains an image in base64.
    pub async fn text(&mut self) -> Result<Bytes, Problem> {
        self.collect(text_limit(self.limit), |_| ()).await
    }

    /// Reads a file of any type.
    pub async fn file(&mut self) -> Result<Bytes, Problem> {
        self.collect(self.limit, |_| ()).await
    }

    /// Reads a form. `part` decides what to do with each field.
    pub async fn form(
        &mut self,
        request: &Request<'_>,
        part: impl Fn(&str) -> FormPart,
    ) -> Result<Form, Problem> {
        let header = request.headers().get_one("Content-Type").unwrap_or_default();
        let boundary = multer::parse_boundary(header)
            .map_err(|_| Problem::bad_request("The multipart body has no boundary in its Content-Type."))?;
        form::read(&mut self.stream, boundary, (self.limit, self.length), &self.memory, part).await
    }

    /// Reads the whole body into one buffer and passes each piece to `each`. Fails if the body exceeds `limit`. With a
    /// `Content-Length`, the buffer has its final size from the start.
    async fn collect(&mut self, limit: u64, mut each: impl FnMut(&[u8])) -> Result<Bytes, Problem> {
        let too_large = || Problem::too_large(self.limit);
        if self.length > limit {
            return Err(too_large());
        }
        // Capacity costs address space only: the kernel provides memory when bytes arrive. With one extra byte, the
        // read that finds the end of the body does not enlarge the buffer.
        let mut buffer = BytesMut::with_capacity(self.length.max(8 << 10) as usize + 1);
        let mut seen = 0;
        loop {
            let read = self.stream.read_buf(&mut buffer).await.map_err(interrupted)?;
            if read == 0 {
                return Ok(buffer.freeze());
            }
            if buffer.len() as u64 > limit {
                return Err(too_large());
            }
            self.memory.hold().await?;
            each(&buffer[seen..]);
            seen = buffer.len();
        }
    }
}

/// Discards the rest of a body, so that the client can read the response. Returns the problem, which closes the
/// connection if the rest was too long or too slow.
async fn discarded(stream: &mut (impl AsyncRead + Unpin), problem: Problem) -> Problem {
    let (end, mut seen) = (Instant::now() + DISCARD_TIME, 0);
    let mut buffer = BytesMut::with_capacity(64 << 10);
    while seen < DISCARD_BYTES && Instant::now() < end {
        buffer.clear();
        match tokio::time::timeout(DISCARD_PAUSE, stream.read_buf(&mut buffer)).await {
            Ok(Ok(0)) => return problem,
            Ok(Ok(read)) => seen += read,
            Ok(Err(_)) | Err(_) => break,
        }
    }
    problem.closing()
}

/// Maximum bytes of text that contains an image in base64.
const fn text_limit(limit: u64) -> u64 {
    limit.div_ceil(3) * 4 + ENVELOPE_BYTES
}

fn interrupted(_: std::io::Error) -> Problem {
    Problem::bad_request("The upload was interrupted. Send it again.").closing()
}
