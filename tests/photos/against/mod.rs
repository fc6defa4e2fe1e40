//! The same pictures from the libraries that everybody else uses, one file for each of them.

mod libjpeg;
mod libpng;
mod libtiff;
mod pillow;
mod tiff_kinds;
