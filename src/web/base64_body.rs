//! A body that contains an image in base64, encoded while it is sent, so that a large image is in memory only once.

use std::io;
use std::io::SeekFrom;
use std::pin::Pin;
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};

/// Text, an image in base64, and more text.
pub struct Base64Body {
    /// The next bytes to send unchanged.
    plain: Bytes,
    /// The bytes to encode and send after `plain`.
    picture: Bytes,
    /// The bytes to send unchanged at the end.
    tail: Bytes,
}

impl Base64Body {
    /// A body of the text `head`, the image in base64, and the text `tail`.
    pub fn new(head: String, picture: Bytes, tail: impl Into<Bytes>) -> Self {
        Self { plain: head.into(), picture, tail: tail.into() }
    }

    /// Length of the whole body in bytes; valid before the first read.
    pub fn len(&self) -> usize {
        self.plain.len() + self.picture.len().div_ceil(3) * 4 + self.tail.len()
    }

    /// Encodes as many groups of 3 bytes as fit into the buffer. If none fits, one group is encoded into `plain`, which
    /// is sent next.
    fn encode(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        let groups = buffer.remaining() / 4;
        let piece = self.picture.split_to(self.picture.len().min(groups.max(1) * 3));
        if groups == 0 {
            self.plain = BASE64.encode(piece).into();
            return Ok(());
        }
        let target = buffer.initialize_unfilled_to(piece.len().div_ceil(3) * 4);
        let written = BASE64.encode_slice(piece, target).map_err(io::Error::other)?;
        buffer.advance(written);
        Ok(())
    }
}

impl AsyncRead for Base64Body {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while buffer.remaining() > 0 {
            if self.plain.has_remaining() {
                let piece = buffer.remaining().min(self.plain.len());
                buffer.put_slice(&self.plain.split_to(piece));
            } else if self.picture.has_remaining() {
                self.encode(buffer)?;
            } else if self.tail.has_remaining() {
                self.plain = std::mem::take(&mut self.tail);
            } else {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Rocket requires this trait of every sized body, but seeks only if the size is unknown.
impl AsyncSeek for Base64Body {
    fn start_seek(self: Pin<&mut Self>, _: SeekFrom) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn every_length_is_encoded_correctly_with_every_buffer_size() {
        for length in 0..20_u8 {
            let picture: Vec<u8> = (0..length).collect();
            let expected = format!("<{}>", BASE64.encode(&picture));
            for piece in 1..30 {
                let mut body = Base64Body::new("<".to_owned(), picture.clone().into(), ">");
                assert_eq!(body.len(), expected.len());
                let (mut read, mut buffer) = (Vec::new(), vec![0; piece]);
                loop {
                    let count = body.read(&mut buffer).await.unwrap();
                    if count == 0 {
                        break;
                    }
                    read.extend_from_slice(&buffer[..count]);
                }
                assert_eq!(String::from_utf8(read).unwrap(), expected, "{length} bytes, {piece} at a time");
            }
        }
    }
}
