//! Keeps what a multipart parser holds small: it looks for a boundary or for the end of a part's header
//! in all that it has read so far, however much that is.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Most bytes before a part's own bytes: its header, and whatever stands before its boundary.
pub const HEAD_BYTES: u64 = 16 << 10;

/// More than [`HEAD_BYTES`] came where a part was to begin.
#[derive(Debug, thiserror::Error)]
#[error("a part's header, or what stands before it, is longer than {HEAD_BYTES} bytes")]
pub struct HeadTooLong;

/// How much may be read before a reader fails with [`HeadTooLong`].
#[derive(Debug, Clone, Default)]
pub struct Allowance(Arc<AtomicU64>);

impl Allowance {
    /// From here on a part's head is read.
    pub fn head(&self) {
        self.0.store(HEAD_BYTES, Ordering::Relaxed);
    }

    /// From here on a part's bytes are read, which are counted elsewhere.
    pub fn body(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }
}

/// A reader under an allowance. After each piece it is pending once, so that the parser, which reads all
/// that is there before it looks at any of it, looks at each piece by itself.
#[derive(Debug)]
pub struct FormReader<R> {
    inner: R,
    allowance: Allowance,
    pause: bool,
}

impl<R> FormReader<R> {
    /// Reads from `inner` as much as `allowance` says.
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
