//! Reads a form (`multipart/form-data`, RFC 7578) with one image and hashes the image while it arrives. The caller
//! decides what to do with each field.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use multer::{Constraints, Multipart, SizeLimit};
use sha2::{Digest, Sha256};
use tokio::io::AsyncRead;

use super::form_reader::{Allowance, FormReader};
use super::problem::Problem;
use super::upload_memory::UploadMemory;
use crate::gateway::{Fingerprint, Upload};
use crate::quota::Admission;

/// Maximum number of fields: enough for all fields of OpenAI's form and some repetitions.
const FORM_FIELDS: usize = 24;

/// Maximum length of a text field, in bytes.
const FIELD_BYTES: usize = 256;

/// How many bytes a form may have in addition to the size limit of its image. OpenAI's prompts have up to 32,000
/// characters.
const FIELDS_BYTES: u64 = 192 << 10;

/// What to do with a field.
pub enum FormPart {
    /// The image.
    Picture,
    /// A short text.
    Text,
    /// Ignored.
    Skipped,
    /// Not allowed: the form is rejected with this problem.
    Refused(Box<Problem>),
}

pub struct Form {
    pub upload: Upload,
    /// The file name of the image.
    pub file_name: Option<String>,
    /// Non-empty texts by name.
    pub texts: BTreeMap<String, String>,
    /// Names of the ignored fields.
    pub skipped: Vec<String>,
}

/// Reads a form whose image has at most `limit` bytes. `length`, the `Content-Length`, is the initial size of the
/// image's buffer. Memory for arriving bytes is taken from `memory`.
pub async fn read<R: AsyncRead + Send + Unpin>(
    stream: R,
    boundary: String,
    (limit, length): (u64, u64),
    memory: &UploadMemory,
    part: impl Fn(&str) -> FormPart,
) -> Result<Form, Problem> {
    let broken = |error| broken_form(error, limit);
    let allowance = Allowance::default();
    let reader = FormReader::new(stream, allowance.clone());
    let whole = SizeLimit::new().whole_stream(limit + FIELDS_BYTES);
    let constraints = Constraints::new().size_limit(whole);
    let mut multipart = Multipart::with_reader_with_constraints(reader, boundary, constraints);
    let mut picture = None;
    let (mut texts, mut skipped) = (BTreeMap::new(), Vec::new());
    for count in 0.. {
        allowance.head();
        let Some(mut field) = multipart.next_field().await.map_err(broken)? else { break };
        if count == FORM_FIELDS {
            return Err(Problem::bad_request(format!("The form has more than {FORM_FIELDS} fields.")));
        }
        let name: String = field.name().unwrap_or_default().chars().take(40).collect();
        match part(&name) {
            FormPart::Picture if picture.is_some() => {
                let detail = "Send one picture at a time: there are two fields `image`.";
                return Err(Problem::bad_request(detail).about("image"));
            }
            FormPart::Picture => {
                let file_name = field.file_name().map(str::to_owned);
                allowance.body();
                let (mut bytes, mut hash) =
                    (BytesMut::with_capacity(length.min(limit) as usize), Sha256::new());
                while let Some(chunk) = field.chunk().await.map_err(broken)? {
                    if (bytes.len() + chunk.len()) as u64 > limit {
                        return Err(Problem::too_large(limit));
                    }
                    memory.hold().await?;
                    hash.update(&chunk);
                    bytes.extend_from_slice(&chunk);
                }
                picture = Some((finish(bytes.freeze(), hash, memory.admission())?, file_name));
            }
            FormPart::Text => {
                let text = value(&mut field).await?;
                texts.remove(&name);
                if !text.is_empty() {
                    texts.insert(name, text);
                }
            }
            FormPart::Skipped => {
                allowance.body();
                while field.chunk().await.map_err(broken)?.is_some() {}
                skipped.push(plain(name)?);
            }
            FormPart::Refused(problem) => return Err(*problem),
        }
    }
    let (upload, file_name) = picture.ok_or_else(|| {
        Problem::bad_request("There is no picture: send it as the file field `image`.").about("image")
    })?;
    Ok(Form { upload, file_name, texts, skipped })
}

/// Creates the upload after the whole image has arrived. Fails if the image is empty.
pub fn finish(bytes: Bytes, hash: Sha256, admission: Arc<Admission>) -> Result<Upload, Problem> {
    if bytes.is_empty() {
        return Err(Problem::empty_picture().about("image"));
    }
    Ok(Upload { bytes, fingerprint: Fingerprint(hash.finalize().into()), admission: Some(admission) })
}

/// Checks that a field's name is safe in a header.
fn plain(name: String) -> Result<String, Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-[].".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        return Ok(name);
    }
    Err(Problem::bad_request(
        "A form field's name must consist of letters, digits, `_`, `-`, `.`, `[` and `]`.",
    ))
}

async fn value(field: &mut multer::Field<'_>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    let unreadable = || Problem::bad_request("A form field is cut off, too long or not UTF-8 text.");
    while let Some(chunk) = field.chunk().await.map_err(|_| unreadable())? {
        if bytes.len() + chunk.len() > FIELD_BYTES {
            return Err(unreadable());
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| unreadable())
}

/// The problem for an invalid form; `limit` is the size limit of the image.
fn broken_form(error: multer::Error, limit: u64) -> Problem {
    match error {
        multer::Error::StreamSizeExceeded { .. } => Problem::too_large(limit),
        // The inner error says why reading failed.
        multer::Error::StreamReadFailed(error) => {
            Problem::bad_request(format!("The multipart body cannot be read: {error}."))
        }
        error => Problem::bad_request(format!("The multipart body cannot be read: {error}.")),
    }
}
