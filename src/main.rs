//! Configures the allocator and runs the command line.

use std::process::ExitCode;

/// A buffer of at least this many bytes is returned to the system as soon as it is freed.
///
/// By default, glibc raises this threshold to 32 MiB after a large buffer has been freed. Each thread's arena then
/// retains the planes of photographs. With this threshold, sixteen photographs of 12 megapixels at once, with results in
/// WebP, use at most 310 MB instead of 250 to 530 MB. JPEG photographs of that size one after another use 90 MB instead
/// of 160 to 190 MB. In exchange, the system must clear new pages, which takes about 15 ms of the 300 ms for such a
/// photograph.
#[cfg(target_env = "gnu")]
const GIVEN_BACK_FROM: libc::c_int = 1 << 20;

/// glibc returns the free bytes at the top of an arena to the system when they are at least this many: twice the
/// threshold above, which is glibc's own ratio. With the default of 128 KiB, the buffers of each upload and response
/// were returned, and the system cleared new ones for the next request. This took a tenth of the processor time of a
/// cache hit.
#[cfg(target_env = "gnu")]
const TRIMMED_FROM: libc::c_int = 2 * GIVEN_BACK_FROM;

fn main() -> ExitCode {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "calls that no library wraps")]
    // SAFETY: no other thread exists yet, and each call only stores a number.
    unsafe {
        // A failed call returns zero and leaves glibc's default, which only costs memory.
        libc::mallopt(libc::M_MMAP_THRESHOLD, GIVEN_BACK_FROM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TRIMMED_FROM);
    }
    pixcolor::cli::run()
}
