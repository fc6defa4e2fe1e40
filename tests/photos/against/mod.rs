//! Decoders that others wrote, as a second opinion.

mod libjpeg;
