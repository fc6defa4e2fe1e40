//! The metadata of a rendition, as its file format contains it.

mod jpeg;
mod png;
mod tiff;
mod webp;
