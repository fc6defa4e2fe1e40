//! The resolution of a picture, as each format states it.

use super::exif::{Entries, Value, tag};

/// Pixels per unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resolution {
    /// Numerator and denominator, across and down.
    pub(super) x: (u32, u32),
    pub(super) y: (u32, u32),
    pub(super) unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Only the ratio of x to y has a meaning: the shape of the pixels.
    None = 1,
    Inch = 2,
    Centimeter = 3,
}

impl Unit {
    /// The value of the tag ResolutionUnit.
    pub(super) fn tag(self) -> u16 {
        self as u16
    }
}

impl Resolution {
    /// Square pixels of unknown size. A TIFF must state a resolution (TIFF 6.0, section 8).
    pub(super) const UNKNOWN: Self = Self { x: (1, 1), y: (1, 1), unit: Unit::None };

    /// `None` if the resolution says nothing.
    fn new(x: (u32, u32), y: (u32, u32), unit: Unit) -> Option<Self> {
        let positive = |(n, d): (u32, u32)| n > 0 && d > 0;
        let square = u64::from(x.0) * u64::from(y.1) == u64::from(y.0) * u64::from(x.1);
        (positive(x) && positive(y) && !(unit == Unit::None && square)).then_some(Self { x, y, unit })
    }

    /// From the unit and the densities of a JFIF header.
    pub(super) fn of_jfif(unit: u8, x: u16, y: u16) -> Option<Self> {
        let unit = match unit {
            0 => Unit::None,
            1 => Unit::Inch,
            2 => Unit::Centimeter,
            _ => return None,
        };
        Self::new((x.into(), 1), (y.into(), 1), unit)
    }

    /// From pixels per meter, which often stand for a whole number of pixels per inch.
    pub(super) fn of_meters(x: u32, y: u32) -> Option<Self> {
        match (whole_inches(x), whole_inches(y)) {
            (Some(x), Some(y)) => Self::new((x, 1), (y, 1), Unit::Inch),
            _ => Self::new((x, 100), (y, 100), Unit::Centimeter),
        }
    }

    /// From the ratio of pixels without a unit.
    pub(super) fn of_ratio(x: u32, y: u32) -> Option<Self> {
        Self::new((x, 1), (y, 1), Unit::None)
    }

    /// From the tags of a TIFF or of EXIF data.
    pub(super) fn of_tags(entries: &Entries, little_endian: bool) -> Option<Self> {
        let side = |tag| entries.get(&tag)?.fraction(little_endian);
        let unit = entries.get(&tag::RESOLUTION_UNIT).and_then(|unit| unit.number(little_endian));
        let unit = match unit {
            Some(1) => Unit::None,
            None | Some(2) => Unit::Inch,
            Some(3) => Unit::Centimeter,
            _ => return None,
        };
        Self::new(side(tag::X_RESOLUTION)?, side(tag::Y_RESOLUTION)?, unit)
    }

    pub(super) fn to_tags(self, little_endian: bool) -> [(u16, Value); 3] {
        [
            (tag::X_RESOLUTION, Value::rational(self.x, little_endian)),
            (tag::Y_RESOLUTION, Value::rational(self.y, little_endian)),
            (tag::RESOLUTION_UNIT, Value::short(self.unit.tag(), little_endian)),
        ]
    }

    /// For a picture that was turned by a quarter.
    pub(super) fn turned(self) -> Self {
        Self { x: self.y, y: self.x, ..self }
    }

    /// Unit and densities of a JFIF header; `None` if they do not fit into it.
    pub(super) fn to_jfif(self) -> Option<(u8, u16, u16)> {
        let density = |fraction| {
            let rounded = real(fraction).round();
            (1.0..=65_535.0).contains(&rounded).then_some(rounded as u16)
        };
        Some((self.unit as u8 - 1, density(self.x)?, density(self.y)?))
    }

    /// Pixels per meter, or the ratio of pixels if the unit is [`Unit::None`]; `None` if they do not fit into 32 bits.
    pub(super) fn to_meters(self) -> Option<(u32, u32)> {
        let units = match self.unit {
            Unit::None => 1.0,
            Unit::Inch => 1.0 / METERS_PER_INCH,
            Unit::Centimeter => 100.0,
        };
        let density = |fraction| {
            let rounded = (real(fraction) * units).round();
            (1.0..=2_147_483_647.0).contains(&rounded).then_some(rounded as u32)
        };
        density(self.x).zip(density(self.y))
    }
}

const METERS_PER_INCH: f64 = 0.0254;

fn real((n, d): (u32, u32)) -> f64 {
    f64::from(n) / f64::from(d)
}

/// The whole number of pixels per inch that is rounded to this number of pixels per meter.
fn whole_inches(per_meter: u32) -> Option<u32> {
    let inches = (f64::from(per_meter) * METERS_PER_INCH).round();
    let again = (inches / METERS_PER_INCH).round();
    (again as u32 == per_meter || (inches / METERS_PER_INCH) as u32 == per_meter).then_some(inches as u32)
}
