//! Describes pictures with a missing part.

use crate::photo::Damage;

/// Minimum part of a picture, in percent, that must be readable.
const LEAST_PERCENT: u64 = 10;

/// Describes what is missing from a picture of which `present` of `total` rows or pixels could be read; `None` if
/// less than [`LEAST_PERCENT`] could be read.
pub(super) fn damage(present: u64, total: u64) -> Option<Damage> {
    let enough = present.saturating_mul(100) >= total.saturating_mul(LEAST_PERCENT);
    enough.then(|| Damage(format!("{} of the picture is missing.", missing(present, total))))
}

fn missing(present: u64, total: u64) -> String {
    match ((total.saturating_sub(present)) * 100).div_ceil(total.max(1)) {
        0 | 1 => "A small part".to_owned(),
        percent => format!("The last {percent} %"),
    }
}
