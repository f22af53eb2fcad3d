//! Which way up a picture is to be shown: EXIF's `Orientation`, as Pillow's `exif_transpose` reads and applies it.
//!
//! Metadata that breaks its own rules is ignored as far as it does: it never costs a picture.

use crate::pixels::Pixels;

/// Columns and rows of the blocks in which a picture is turned, so that both sides of the copy stay in the cache.
const BLOCK: usize = 32;

/// EXIF's orientation, 1 to 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orientation(u8);

impl Orientation {
    /// As stored.
    pub(super) const UPRIGHT: Self = Self(1);

    /// Any other number than 1 to 8 means nothing.
    pub(super) fn new(value: u32) -> Self {
        Self(if (1..=8).contains(&value) { value as u8 } else { 1 })
    }

    /// From the TIFF structure that EXIF is, with or without `Exif\0\0` before it.
    pub(super) fn from_exif(exif: &[u8]) -> Option<Self> {
        let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
        let fields = exif::Reader::new()
            .continue_on_error(true)
            .read_raw(exif.to_vec())
            .or_else(|error| error.distill_partial_result(|_| ()))
            .ok()?;
        let field = fields.get_field(exif::Tag::Orientation, exif::In::PRIMARY)?;
        field.value.get_uint(0).map(Self::new)
    }

    /// From an XMP packet, where Pillow looks when EXIF says nothing.
    pub(super) fn from_xmp(xmp: &[u8]) -> Option<Self> {
        const FIELD: &[u8] = b"tiff:Orientation";
        let starts = xmp.windows(FIELD.len()).enumerate().filter(|(_, window)| *window == FIELD);
        starts.map(|(at, _)| &xmp[at + FIELD.len()..]).find_map(|rest| {
            let value = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"))?.first()?;
            value.is_ascii_digit().then(|| Self::new(u32::from(value - b'0')))
        })
    }

    /// From what a file has of either.
    pub(super) fn of(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Self {
        exif.and_then(Self::from_exif).or_else(|| xmp.and_then(Self::from_xmp)).unwrap_or(Self::UPRIGHT)
    }

    /// Turns and mirrors a picture so that it is upright.
    pub(super) fn apply(self, pixels: Pixels) -> Pixels {
        if self.0 == 1 {
            return pixels;
        }
        let (width, height) = (pixels.width() as usize, pixels.height() as usize);
        let [is_mirrored_x, is_mirrored_y] = match self.0 {
            2 | 6 => [true, false],
            3 | 7 => [true, true],
            4 | 8 => [false, true],
            _ => [false, false],
        };
        let is_transposed = self.0 >= 5;
        let (columns, rows) = if is_transposed { (height, width) } else { (width, height) };
        let source = pixels.rgb();
        let mut rgb = vec![0; source.len()];
        for block_y in (0..rows).step_by(BLOCK) {
            for block_x in (0..columns).step_by(BLOCK) {
                for y in block_y..(block_y + BLOCK).min(rows) {
                    for x in block_x..(block_x + BLOCK).min(columns) {
                        let from_x = if is_mirrored_x { columns - 1 - x } else { x };
                        let from_y = if is_mirrored_y { rows - 1 - y } else { y };
                        let (from_x, from_y) = if is_transposed { (from_y, from_x) } else { (from_x, from_y) };
                        let (to, from) = ((y * columns + x) * 3, (from_y * width + from_x) * 3);
                        rgb[to..to + 3].copy_from_slice(&source[from..from + 3]);
                    }
                }
            }
        }
        Pixels::new(columns as u32, rows as u32, rgb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_orientation_is_undone() {
        // 3×2, the letters in the order they are stored.
        let stored = Pixels::new(3, 2, "abcdef".bytes().flat_map(|letter| [letter; 3]).collect());
        for (value, width, upright) in [
            (1, 3, "abcdef"),
            (2, 3, "cbafed"),
            (3, 3, "fedcba"),
            (4, 3, "defabc"),
            (5, 2, "adbecf"),
            (6, 2, "daebfc"),
            (7, 2, "fcebda"),
            (8, 2, "cfbead"),
            (9, 3, "abcdef"),
        ] {
            let turned = Orientation::new(value).apply(stored.clone());
            let letters: String = turned.rgb().chunks(3).map(|pixel| pixel[0] as char).collect();
            assert_eq!((turned.width(), &*letters), (width, upright), "orientation {value}");
        }
    }

    #[test]
    fn broken_metadata_is_ignored() {
        let whole = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        assert_eq!(Orientation::from_exif(whole), Some(Orientation(6)));
        let broken_later =
            b"II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\x1a\x01\x05\0\x09\0\0\0\xff\xff\0\0\0\0\0\0";
        assert_eq!(Orientation::from_exif(broken_later), Some(Orientation(6)));
        for length in 0..22 {
            assert_eq!(Orientation::of(Some(&whole[..length]), None), Orientation::UPRIGHT, "{length} bytes");
        }
        assert_eq!(Orientation::from_xmp(b"<x tiff:Orientation=\"8\"/>"), Some(Orientation(8)));
        assert_eq!(Orientation::from_xmp(b"<tiff:Orientation>x"), None);
    }
}
