//! The same pictures decoded by widely used libraries, one file for each library.

mod libjpeg;
mod libpng;
mod libtiff;
mod pillow;
mod tiff_kinds;
