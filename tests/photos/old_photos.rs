//! Old photographs.
