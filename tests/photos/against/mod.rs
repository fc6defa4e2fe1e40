//! Compares our decoders with widely used libraries. Each library has its own file.

mod libjpeg;
mod libpng;
mod libtiff;
mod pillow;
mod tiff_kinds;
