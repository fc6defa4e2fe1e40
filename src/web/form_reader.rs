//! Bounds the memory of the multipart parser, which buffers what it reads until it finds a boundary or the end of a
//! part's header.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Maximum bytes of a part's header together with the text before it.
pub const HEAD_BYTES: u64 = 16 << 10;

/// A part's header, together with the text before it, is longer than [`HEAD_BYTES`].
#[derive(Debug, thiserror::Error)]
#[error("a part's header, or the text before it, is longer than {HEAD_BYTES} bytes")]
pub struct HeadTooLong;

/// How many bytes a reader may return before it fails with [`HeadTooLong`].
#[derive(Debug, Clone, Default)]
pub struct Allowance(Arc<AtomicU64>);

impl Allowance {
    /// Allows [`HEAD_BYTES`], because the next bytes are a part's header.
    pub fn head(&self) {
        self.0.store(HEAD_BYTES, Ordering::Relaxed);
    }

    /// Allows any number of bytes, because the next bytes are a part's content, which has its own limit.
    pub fn body(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }
}

/// A reader that fails once it has read more bytes than its allowance. It returns [`Poll::Pending`] once after each
/// piece, so that the parser parses the piece before it reads the next one. Otherwise the parser would first read
/// everything that is available.
#[derive(Debug)]
pub struct FormReader<R> {
    inner: R,
    allowance: Allowance,
    pause: bool,
}

impl<R> FormReader<R> {
    /// Reads from `inner` within `allowance`.
    pub fn new(inner: R, allowance: Allowance) -> Self {
        Self { inner, allowance, pause: false }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for FormReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.pause) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let read = (buffer.filled().len() - before) as u64;
        let left = self.allowance.0.load(Ordering::Relaxed);
        if read > left {
            return Poll::Ready(Err(io::Error::other(HeadTooLong)));
        }
        self.allowance.0.store(left - read, Ordering::Relaxed);
        self.pause = read > 0;
        Poll::Ready(Ok(()))
    }
}
