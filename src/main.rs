//! Sets the allocator up, parses the arguments and starts; nothing else.

use std::process::ExitCode;

/// Bytes from which a buffer is given back to the system as soon as it is free.
///
/// Of its own accord glibc raises this to 32 MiB once a large buffer has been freed, and then keeps the planes of
/// photographs in the arena of each thread that had one: sixteen of 12 megapixels as WebP took 250 to 530 MB, and take
/// 310 at most now; JPEGs of that size, one after the other, 90 MB and not 160 to 190. The system's clearing of fresh
/// pages costs about 15 ms of the 300 that one takes.
#[cfg(target_env = "gnu")]
const GIVEN_BACK_FROM: libc::c_int = 1 << 20;

/// Free bytes at the top of an arena from which glibc gives them back: twice the threshold above, which is glibc's own ratio.
/// With its default of 128 KiB, the buffers of each upload and each answer were given back and cleared anew, a tenth of the
/// processor time of a repeat.
#[cfg(target_env = "gnu")]
const TRIMMED_FROM: libc::c_int = 2 * GIVEN_BACK_FROM;

fn main() -> ExitCode {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "calls that no library wraps")]
    // SAFETY: no other thread is there yet, and each call only stores a number.
    unsafe {
        // Zero says that it was refused: then memory is as it would have been without.
        libc::mallopt(libc::M_MMAP_THRESHOLD, GIVEN_BACK_FROM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TRIMMED_FROM);
    }
    pixcolor::cli::run()
}
