//! Determines the colour space of a PNG from the chunk with the highest precedence (PNG, third edition, 4.3: cICP,
//! iCCP, sRGB, then gAMA and cHRM).

use std::io::Read;

use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, MatrixCoefficients,
    ToneReprCurve, TransferCharacteristics,
};

use super::chunks::Chunks;
use crate::photo::PhotoError;
use crate::photo::decode::profile;
use crate::photo::head::be32;

/// The ICC profile of a picture's samples: that of the file, or one computed from its other chunks; `None` for sRGB.
pub(super) fn profile(chunks: &Chunks<'_>, colors: usize) -> Result<Option<Vec<u8>>, PhotoError> {
    let gray = colors == 1;
    if let Some(&[primaries, transfer, matrix, range]) = chunks.code_points {
        return of_code_points(primaries, transfer, matrix, range, gray);
    }
    if let Some(icc) = chunks.profile.and_then(inflate).filter(|icc| profile::is_usable(icc, colors)) {
        return Ok(Some(icc));
    }
    if chunks.srgb.is_some() {
        return Ok(None);
    }
    Ok(chunks.gamma.and_then(|gamma| of_gamma(gamma, chunks.primaries, gray)))
}

/// Decompresses the profile in an iCCP chunk: a name, a zero, the compression method and a zlib stream (11.3.2.3).
fn inflate(chunk: &[u8]) -> Option<Vec<u8>> {
    let end = chunk.iter().take(80).position(|&byte| byte == 0).filter(|&end| end > 0)?;
    let stream = chunk.get(end + 1..)?.strip_prefix(&[0])?;
    let mut stream = flate2::read::ZlibDecoder::new(stream);
    // A profile starts with its length.
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let rest = u64::from(u32::from_be_bytes(length)).checked_sub(4)?;
    let mut icc = length.to_vec();
    (rest <= profile::LARGEST as u64).then_some(())?;
    stream.take(rest).read_to_end(&mut icc).ok()?;
    Some(icc)
}

/// The profile for the ITU-T H.273 code points in a cICP chunk (11.3.2.6).
fn of_code_points(
    primaries: u8,
    transfer: u8,
    matrix: u8,
    range: u8,
    gray: bool,
) -> Result<Option<Vec<u8>>, PhotoError> {
    const SRGB: (u8, u8) = (1, 13);
    const UNSPECIFIED: u8 = 2;
    const PQ: u8 = 16;
    const HLG: u8 = 18;
    let refused = |what: &str| {
        Err(PhotoError::Unsupported(format!(
            "This PNG {what} (cICP {primaries}, {transfer}, {matrix}, {range}), which PixColor does not read. Save it \
             in sRGB."
        )))
    };
    if matrix != 0 || range != 1 {
        return refused("has its samples in a video format");
    }
    if matches!(transfer, PQ | HLG) {
        return refused("is in high dynamic range");
    }
    // Unspecified values default to those of sRGB.
    let or = |code, usual| if code == UNSPECIFIED { usual } else { code };
    let codes = (or(primaries, SRGB.0), or(transfer, SRGB.1));
    if codes == SRGB || gray && codes.1 == SRGB.1 {
        return Ok(None);
    }
    let (Ok(primaries), Ok(transfer)) =
        (CicpColorPrimaries::try_from(codes.0), TransferCharacteristics::try_from(codes.1))
    else {
        return refused("has an unknown colour space");
    };
    let (Ok(_), Ok(curve)) = (ColorPrimaries::try_from(primaries), ToneReprCurve::try_from(transfer)) else {
        return refused("has an unknown colour space");
    };
    let profile = if gray {
        gray_profile(curve)
    } else {
        ColorProfile::new_from_cicp(CicpProfile {
            color_primaries: primaries,
            transfer_characteristics: transfer,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        })
    };
    match profile.encode() {
        Ok(icc) => Ok(Some(icc)),
        Err(_) => refused("has a colour space that cannot be converted"),
    }
}

/// Scale of the values in gAMA and cHRM.
const UNIT: f32 = 100_000.0;

/// The values of sRGB: gamma, and x and y of white, red, green and blue.
const SRGB_GAMMA: f32 = 45_455.0;
const SRGB_PRIMARIES: [u32; 8] = [31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000];

/// Maximum difference from the values of sRGB at which samples count as sRGB (libpng's `PNG_GAMMA_THRESHOLD`, and its
/// tolerance for a cHRM chunk next to an sRGB chunk).
const SAME_GAMMA: f32 = 0.05;
const SAME_PRIMARIES: u32 = 1000;

/// Valid gamma values; others are ignored.
const GAMMAS: std::ops::RangeInclusive<u32> = 1_000..=10_000_000;

/// The profile for a gamma value, and for the primaries if the file has them; `None` for sRGB or an invalid gamma.
fn of_gamma(gamma: &[u8], primaries: Option<&[u8]>, gray: bool) -> Option<Vec<u8>> {
    let gamma = be32(gamma, 0).filter(|gamma| GAMMAS.contains(gamma))? as f32;
    let primaries = primaries.filter(|_| !gray).and_then(primaries_of);
    if primaries.is_none() && (gamma / SRGB_GAMMA - 1.0).abs() <= SAME_GAMMA {
        return None;
    }
    let curve = ToneReprCurve::Parametric(vec![UNIT / gamma]);
    if gray {
        return gray_profile(curve).encode().ok();
    }
    let mut profile = ColorProfile::new_srgb();
    if let Some([white, red, green, blue]) = primaries {
        profile.update_rgb_colorimetry(white.to_xyyb(), ColorPrimaries { red, green, blue });
    }
    profile.cicp = None;
    profile.red_trc = Some(curve.clone());
    profile.green_trc = Some(curve.clone());
    profile.blue_trc = Some(curve);
    profile.encode().ok()
}

/// White, red, green and blue of a cHRM chunk; `None` if they are those of sRGB, or invalid.
fn primaries_of(chunk: &[u8]) -> Option<[Chromaticity; 4]> {
    let mut codes = [0; 8];
    for (index, code) in codes.iter_mut().enumerate() {
        *code = be32(chunk, index * 4)?;
    }
    let same = |(code, srgb): (&u32, u32)| code.abs_diff(srgb) <= SAME_PRIMARIES;
    if codes.iter().zip(SRGB_PRIMARIES).all(same) {
        return None;
    }
    let points =
        [0, 2, 4, 6].map(|at| Chromaticity { x: codes[at] as f32 / UNIT, y: codes[at + 1] as f32 / UNIT });
    let [white, red, green, blue] = &points;
    // The primaries must form a triangle with white inside it, as libpng requires.
    let area = |a: &Chromaticity, b: &Chromaticity, c: &Chromaticity| {
        (b.x - a.x) * (c.y - a.y) - (c.x - a.x) * (b.y - a.y)
    };
    let parts = [area(white, red, green), area(white, green, blue), area(white, blue, red)];
    let inside = parts.iter().all(|&part| part > 1e-4) || parts.iter().all(|&part| part < -1e-4);
    let real = points.iter().all(|point| point.y >= 0.0 && point.x + point.y <= 1.0);
    (inside && real && white.y > 0.01).then_some(points)
}

fn gray_profile(curve: ToneReprCurve) -> ColorProfile {
    let mut profile = ColorProfile::new_gray_with_gamma(1.0);
    profile.gray_trc = Some(curve);
    profile
}
