//! The tags of a TIFF.

use std::io::{Seek, Write};

use tiff::encoder::{DirectoryEncoder, TiffKind};
use tiff::tags::{Tag, Type};
use tiff::{Directory, TiffResult};

use crate::photo::metadata::exif::{BYTE, Place, Value, tag};
use crate::photo::metadata::resolution::Resolution;
use crate::photo::metadata::{Tags, profile};

impl Tags {
    /// Adds the metadata to the directory of a picture, and the profile, because a TIFF without one is ambiguous. Must
    /// be called before the image data is written: maker notes contain positions, so they stay at theirs, which is
    /// near the start of the file.
    pub(in crate::photo) fn write_tiff<W: Write + Seek, K: TiffKind>(
        &self,
        directory: &mut DirectoryEncoder<'_, W, K>,
    ) -> TiffResult<()> {
        let native = cfg!(target_endian = "little");
        let mut exif = self.exif.clone().unwrap_or_default().in_order(native);
        exif.add_resolution(self.resolution.unwrap_or(Resolution::UNKNOWN));
        let start = aligned(directory)?;
        let below = exif.sub_directories(Place { start, wide: size_of::<K::OffsetType>() == 8 });
        directory.write_data(below.bytes.as_slice())?;
        for (tag, at) in below.pointers {
            directory.write_tag(Tag::Unknown(tag), u32::try_from(at)?)?;
        }
        for (&tag, value) in &exif.primary {
            if !tag::is_of_tiff_encoder(tag) {
                write(directory, tag, value)?;
            }
        }
        if let Some(xmp) = &self.xmp {
            write(directory, tag::XMP, &Value { kind: BYTE, bytes: xmp.to_text().into_bytes() })?;
        }
        if let Some(iptc) = &self.iptc {
            write(directory, tag::IPTC, &Value::undefined(iptc.to_bytes()))?;
        }
        write(directory, tag::ICC_PROFILE, &Value::undefined(profile::srgb().to_vec()))?;
        aligned(directory).map(drop)
    }
}

/// Moves to the next even position, where values must start, and returns it.
fn aligned<W: Write + Seek, K: TiffKind>(directory: &mut DirectoryEncoder<'_, W, K>) -> TiffResult<usize> {
    // Writing no bytes returns the position.
    let start = directory.write_data([0_u8; 0])? as usize;
    if start.is_multiple_of(2) {
        return Ok(start);
    }
    directory.write_data([0_u8])?;
    Ok(start + 1)
}

fn write<W: Write + Seek, K: TiffKind>(
    directory: &mut DirectoryEncoder<'_, W, K>,
    tag: u16,
    value: &Value,
) -> TiffResult<()> {
    aligned(directory)?;
    // The crate does not know the type of UTF-8 text.
    let kind = Type::from_u16(value.kind).unwrap_or(Type::ASCII);
    let entry = directory.write_entry_bytes(kind, &value.bytes)?;
    let mut entries = Directory::empty();
    entries.extend([(Tag::from_u16_exhaustive(tag), entry)]);
    directory.extend_from(&entries);
    Ok(())
}
