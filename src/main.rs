//! Configures the allocator and runs the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(target_env = "gnu")]
    memory::configure();
    pixcolor::cli::run()
}

/// glibc's allocator.
///
/// The planes of photographs are large buffers that live for a fraction of a second. By default glibc maps new memory
/// for each, and the system must clear its pages, which took a tenth of the processor time of a photograph of 12
/// megapixels and a fifth of one of 1 megapixel with a remote provider. So such buffers are taken from one heap, which
/// keeps what is freed, and free pages are returned from time to time. Several heaps (by default there are eight for
/// each core) would each keep memory for a photograph.
///
/// Larger buffers have their own memory: it is returned as soon as they are freed, and decoders return parts of them
/// early, which bounds the memory for the largest photographs.
#[cfg(target_env = "gnu")]
mod memory {
    use std::time::Duration;

    use pixcolor::tasks;

    /// Buffers of at least this many bytes have their own memory. The luminance of 12 megapixels is smaller.
    const LARGE: libc::c_int = 24 << 20;

    /// How often free pages are returned to the system. Taking 200 MB again costs 1 % of one core in this time.
    const RETURN_EVERY: Duration = Duration::from_secs(30);

    #[expect(unsafe_code, reason = "calls that no library wraps")]
    pub fn configure() {
        // SAFETY: no other thread exists yet, and each call only stores a number. A failed call returns zero and leaves
        // glibc's default, which only costs memory or time.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, 1);
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
            libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
        }
        // Without the thread, memory is not returned, which is no reason not to start.
        let _ = std::thread::Builder::new().name("memory".to_owned()).spawn(return_free_pages);
    }

    #[expect(unsafe_code, reason = "a call that no library wraps")]
    #[expect(clippy::disallowed_methods, reason = "this thread runs no async task")]
    fn return_free_pages() {
        // Memory may be freed a little later than work ends, so pages are returned twice after the last work.
        let (mut seen, mut rounds) = (0, 0);
        loop {
            std::thread::sleep(RETURN_EVERY);
            let (started, running) = tasks::blocking_work();
            if started != seen || running > 0 {
                (seen, rounds) = (started, 2);
            }
            if rounds > 0 {
                // SAFETY: glibc allows this call at any time from any thread.
                unsafe { libc::malloc_trim(0) };
                rounds -= 1;
            }
        }
    }
}
