//! Compares our decoders with widely used libraries. Each library has its own file.

mod libjpeg;
pub mod libjxl;
mod libpng;
mod libtiff;
mod pillow;
mod tiff_kinds;
mod written_tiff;
