//! The ICC profile of renditions.

use std::sync::LazyLock;

use moxcms::ColorProfile;

/// The profile's date (ICC.1:2022, 4.2 and 7.2.8): 1 January 2026. It only has to be constant.
const DATE: [u8; 12] = [0x07, 0xEA, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0];

/// An ICC profile for sRGB (IEC 61966-2-1).
pub(super) fn srgb() -> &'static [u8] {
    static PROFILE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut profile = ColorProfile::new_srgb();
        // This part is optional, and its flag would say that codes are from 16 to 235.
        profile.cicp = None;
        let mut bytes = profile.encode().unwrap_or_default();
        // The crate writes the current time, which would give every process other files.
        if let Some(date) = bytes.get_mut(24..36) {
            date.copy_from_slice(&DATE);
        }
        bytes
    });
    &PROFILE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_the_same_in_every_process() {
        assert_eq!(srgb()[24..36], DATE);
        assert_eq!(&srgb()[36..40], b"acsp");
    }
}
