//! The resolution of a Windows bitmap, which has no other metadata.

use super::Upload;
use crate::photo::head::le32;
use crate::photo::metadata::resolution::Resolution;

pub(super) fn read(bytes: &[u8]) -> Upload {
    // Headers with fewer bytes do not have the fields.
    let is_long = le32(bytes, 14).is_some_and(|header| header >= 40);
    let meters = le32(bytes, 38).zip(le32(bytes, 42)).filter(|_| is_long);
    let signed = |number: u32| i32::try_from(number).is_ok();
    let meters = meters.filter(|&(x, y)| signed(x) && signed(y));
    Upload { resolution: meters.and_then(|(x, y)| Resolution::of_meters(x, y)), ..Upload::default() }
}
