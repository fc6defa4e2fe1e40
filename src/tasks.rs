//! Background work. Only this module spawns tasks, for two reasons: shutdown waits for [`Tasks`], and the log messages
//! of a task contain the id of the request that started it.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

/// The running tasks. Clones share one list.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    running: TaskTracker,
    stopping: Arc<AtomicBool>,
}

impl Tasks {
    /// Starts a task. It continues when the request that started it ends.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.running.spawn(future.in_current_span())
    }

    /// Runs blocking work (computation, file access) in a thread of its own. Shutdown waits for it.
    pub fn spawn_blocking<F, R>(&self, work: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let token = self.running.token();
        spawn_blocking(move || {
            let _token = token;
            work()
        })
    }

    /// Marks the start of shutdown.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether shutdown has started, so that new requests should go to another gateway.
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Waits until no task runs.
    pub async fn ended(&self) {
        self.running.close();
        self.running.wait().await;
    }

    /// Waits until no task runs, at most for the grace period. Returns whether all tasks have ended.
    pub async fn finish(&self, grace: Duration) -> bool {
        tokio::time::timeout(grace, self.ended()).await.is_ok()
    }

    /// The number of running tasks.
    pub fn count(&self) -> usize {
        self.running.len()
    }
}

/// Runs blocking work in a thread of its own. Its log messages carry the current request's id. Shutdown does not wait
/// for it: call it from a task that awaits the result, or use [`Tasks::spawn_blocking`].
#[allow(clippy::disallowed_methods, reason = "this wrapper enters the request's span in the blocking thread")]
pub fn spawn_blocking<F, R>(work: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let span = Span::current();
    tokio::task::spawn_blocking(move || {
        let _core = Cores::occupied();
        span.in_scope(work)
    })
}

/// How often blocking work was started since the start of the program, and how much of it runs now.
pub fn blocking_work() -> (usize, usize) {
    (STARTED.load(Ordering::Relaxed), BUSY.load(Ordering::Relaxed))
}

static STARTED: AtomicUsize = AtomicUsize::new(0);

/// The number of cores that blocking work uses.
static BUSY: AtomicUsize = AtomicUsize::new(0);

/// Cores that blocking work uses, until this is dropped.
pub struct Cores(usize);

impl Cores {
    /// The core of the calling thread.
    fn occupied() -> Self {
        STARTED.fetch_add(1, Ordering::Relaxed);
        BUSY.fetch_add(1, Ordering::Relaxed);
        Self(1)
    }

    /// At most `most` cores that no blocking work uses. Work that can use several cores takes only these, so that it
    /// does not slow down other work.
    pub fn idle(most: usize) -> Self {
        static ALL: LazyLock<usize> =
            LazyLock::new(|| std::thread::available_parallelism().map_or(1, |cores| cores.get()));
        let free = |busy: usize| most.min(ALL.saturating_sub(busy));
        let taken = BUSY.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |busy| Some(busy + free(busy)));
        Self(taken.map_or(0, free))
    }

    pub const fn count(&self) -> usize {
        self.0
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        BUSY.fetch_sub(self.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Mutex;

    use tracing::{Dispatch, dispatcher};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_warning_from_blocking_work_carries_the_request_id() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let dispatch = Dispatch::new(subscriber);
        let span = dispatcher::with_default(&dispatch, || tracing::warn_span!("request", id = "r-1"));
        let warn = |message: &'static str| {
            let dispatch = dispatch.clone();
            move || dispatcher::with_default(&dispatch, || tracing::warn!("{message}"))
        };
        let (alone, tracked) = {
            // The guard of `enter` must not be held across an await.
            let _subscriber = dispatcher::set_default(&dispatch);
            let _span = span.enter();
            (spawn_blocking(warn("alone")), Tasks::default().spawn_blocking(warn("tracked")))
        };
        alone.await.unwrap();
        tracked.await.unwrap();
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        for message in ["alone", "tracked"] {
            let line = text.lines().find(|line| line.contains(message)).unwrap();
            assert!(line.contains("request{id=\"r-1\"}"), "{line}");
        }
    }

    #[test]
    fn only_cores_that_no_blocking_work_uses_are_idle() {
        // Other tests use cores at the same time, so only bounds are known.
        let all = std::thread::available_parallelism().unwrap().get();
        let (own, first) = (Cores::occupied(), Cores::idle(usize::MAX));
        assert!(first.count() < all, "{} of {all}, and one is occupied", first.count());
        drop((own, first));
        let own: Vec<_> = (0..all).map(|_| Cores::occupied()).collect();
        assert_eq!(Cores::idle(usize::MAX).count(), 0, "none is idle");
        drop(own);
    }

    #[tokio::test]
    async fn shutdown_waits_for_blocking_work() {
        let tasks = Tasks::default();
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        let work = tasks.spawn_blocking(move || finished.recv());
        assert_eq!(tasks.count(), 1);
        assert!(!tasks.finish(Duration::from_millis(10)).await);
        finish.send(()).unwrap();
        work.await.unwrap().unwrap();
        assert!(tasks.finish(Duration::from_secs(10)).await);
    }
}
