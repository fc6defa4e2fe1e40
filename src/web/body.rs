//! A request's body under the limits there are: let in, read into one buffer at the pace it must keep, and thrown away
//! within bounds where it is refused.
//!
//! The limit is on the picture's own bytes in every form. Past the limit nothing more is kept; the rest is read up to a
//! bound, so that ordinary clients, which send everything before they listen, can read the answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rocket::data::{self, ByteUnit, Data, DataStream};
use rocket::http::Status;
use rocket::outcome::Outcome;
use rocket::request::Request;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use super::form::{self, Form, FormPart, finish};
use super::pace::{Counted, Pace, TooSlow};
use super::problem::Problem;
use super::upload_memory::UploadMemory;
use super::{admission, guards};
use crate::gateway::Upload;
use crate::photo::format_of;
use crate::quota::Admission;

/// Most that is thrown away of what is refused, and for how long, before the connection is closed.
const DISCARD_BYTES: usize = 64 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(10);

/// Who sends nothing for so long may be waiting for the answer already.
const DISCARD_PAUSE: Duration = Duration::from_secs(1);

/// What JSON may add to the picture.
const ENVELOPE_BYTES: u64 = 64 << 10;

/// The answer of a server without a gateway.
pub fn not_set_up<'r, T>() -> data::Outcome<'r, T, Problem> {
    let problem = Problem::new(Status::InternalServerError, "The gateway is not set up.");
    Outcome::Error((problem.http_status(), problem))
}

/// A request's body under the limits there are, and with what it was let in.
pub struct Body<'r> {
    stream: Counted<DataStream<'r>>,
    /// Most bytes of the picture itself.
    pub limit: u64,
    /// What Content-Length says; 0 when it says nothing.
    length: u64,
    /// What is charged for: the length, or without one the most there may be.
    charged: u64,
    /// The memory that it takes, once it is let in.
    memory: Option<UploadMemory>,
    /// How long the body may take to arrive.
    pace: Pace,
}

impl<'r> Body<'r> {
    /// The body under the limits now; `None` when this server has no gateway.
    pub fn open(request: &'r Request<'_>, data: Data<'r>) -> Option<Self> {
        let snapshot = guards::snapshot(request)?;
        let limit = snapshot.config.limits.upload_bytes;
        let length = request.headers().get_one("Content-Length").and_then(|length| length.parse().ok());
        let peeked = data.peek_complete().then_some(0);
        let pace = Pace::new(&snapshot.config.limits);
        Some(Self {
            // The limit is kept here, where what is too much can be told from what was cut.
            stream: pace.count(data.open(ByteUnit::max_value())),
            limit,
            length: length.unwrap_or(0),
            charged: length.or(peeked).unwrap_or(limit).min(text_limit(limit)),
            memory: None,
            pace,
        })
    }

    /// Lets it in, before any of it is read; gives the time that it has.
    pub async fn admit(&mut self, request: &Request<'_>) -> Result<Pace, Problem> {
        self.memory = Some(admission::admit(request, self.charged, self.pace.clone()).await?);
        Ok(self.pace.clone())
    }

    /// With what it was let in, once it is read.
    pub fn ticket(&mut self) -> Option<Arc<Admission>> {
        self.memory.take().map(UploadMemory::settle)
    }

    /// What became of reading; after an error, the rest is thrown away within bounds.
    pub async fn settle<T>(
        mut self,
        read: Result<Result<T, Problem>, TooSlow>,
        upload: impl FnOnce(&mut T) -> Option<&mut Upload>,
    ) -> data::Outcome<'r, T, Problem> {
        let ticket = self.ticket();
        let problem = match read {
            Ok(Ok(mut value)) => {
                if let Some(upload) = upload(&mut value) {
                    upload.ticket = ticket;
                }
                return Outcome::Success(value);
            }
            Ok(Err(problem)) => {
                // Nothing of it is kept any more.
                drop(ticket);
                if self.discard().await { problem } else { problem.closing() }
            }
            Err(slow) => Problem::new(Status::RequestTimeout, slow.to_string()).closing(),
        };
        Outcome::Error((problem.http_status(), problem))
    }

    /// The body is the picture.
    pub async fn whole(&mut self) -> Result<Upload, Problem> {
        let mut hash = Sha256::new();
        let bytes = self.collect(self.limit, |chunk| hash.update(chunk)).await?;
        finish(bytes, hash)
    }

    /// The body is a picture that its client declares to be a form, as `curl --data-binary` does without a Content-Type;
    /// `None` if it is a form. Bytes of any other kind pass, so that the decoder's refusal names their format.
    pub async fn declared_as_form(&mut self) -> Result<Option<Upload>, Problem> {
        let upload = self.whole().await?;
        let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
        let is_form = format_of(&upload.bytes).is_err() && upload.bytes.iter().all(is_text);
        Ok((!is_form).then_some(upload))
    }

    /// The body is text around a picture in base64.
    pub async fn text(&mut self) -> Result<Bytes, Problem> {
        self.collect(text_limit(self.limit), |_| ()).await
    }

    /// The body is a file, of whatever it may be.
    pub async fn file(&mut self) -> Result<Bytes, Problem> {
        self.collect(self.limit, |_| ()).await
    }

    /// The body is a form with these fields.
    pub async fn form(
        &mut self,
        request: &Request<'_>,
        part: impl Fn(&str) -> FormPart,
    ) -> Result<Form, Problem> {
        let header = request.headers().get_one("Content-Type").unwrap_or_default();
        let boundary = multer::parse_boundary(header)
            .map_err(|_| Problem::bad_request("The multipart body has no boundary in its Content-Type."))?;
        let memory = self.memory.as_ref();
        form::read(&mut self.stream, boundary, (self.limit, self.length), memory, part).await
    }

    /// Reads to the end, or to the limit, into one buffer that is as large as it will be.
    async fn collect(&mut self, limit: u64, mut each: impl FnMut(&[u8])) -> Result<Bytes, Problem> {
        let too_large = || Problem::too_large(self.limit);
        if self.length > limit {
            return Err(too_large());
        }
        // Addresses only: a page of it is memory when a byte has arrived there. With one byte more than arrives, the read
        // that finds the end needs no larger buffer.
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
            if let Some(memory) = &self.memory {
                memory.hold().await?;
            }
            each(&buffer[seen..]);
            seen = buffer.len();
        }
    }

    /// Reads on without keeping anything; whether the end was reached.
    async fn discard(&mut self) -> bool {
        let (end, mut seen) = (Instant::now() + DISCARD_TIME, 0);
        let mut buffer = BytesMut::with_capacity(64 << 10);
        while seen < DISCARD_BYTES && Instant::now() < end {
            buffer.clear();
            match tokio::time::timeout(DISCARD_PAUSE, self.stream.read_buf(&mut buffer)).await {
                Ok(Ok(0)) => return true,
                Ok(Ok(read)) => seen += read,
                Ok(Err(_)) | Err(_) => return false,
            }
        }
        false
    }
}

/// Most bytes of text around a picture in base64.
const fn text_limit(limit: u64) -> u64 {
    limit.div_ceil(3) * 4 + ENVELOPE_BYTES
}

fn interrupted(_: std::io::Error) -> Problem {
    Problem::bad_request("The upload was interrupted. Send it again.").closing()
}
