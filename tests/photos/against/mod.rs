//! Decoding compared with programs that we did not write.

mod libtiff;
mod tiff_kinds;
