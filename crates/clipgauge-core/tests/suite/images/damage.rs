//! Files that are cut, changed or hostile: each gives its error, or exactly the picture that is still all there.

use std::fs;

use clipgauge_core::decode::{DecodeError, DecodeOptions, decode};
use proptest::prelude::*;

use super::golden::{golden_file, kind, workspace};

/// Cuts that are tried in each file.
const CUTS: usize = 60;
/// Bytes at both ends at which each cut is tried.
const ENDS: usize = 40;
/// The longest of the marks by which formats are known.
const MAGIC: usize = 12;

/// The pictures of the project's own golden set: name, bytes.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(workspace().join("tests/golden/images/files"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// One file of each format, and of each way of coding in it.
const MUTATED: &[&str] = &[
    "jpeg-420.jpg",
    "jpeg-progressive.jpg",
    "jpeg-cmyk-plain.jpg",
    "jpeg-restart.jpg",
    "jpeg-exif-6.jpg",
    "tall.png",
    "png-interlaced.png",
    "png-palette-trns.png",
    "png-gray-16.png",
    "webp-lossy.webp",
    "webp-lossy-alpha.webp",
    "webp-exif-8.webp",
    "gif-interlaced.gif",
    "gif-transparent.gif",
    "bmp-palette.bmp",
    "bmp-1bit.bmp",
    "tiff-plain.tif",
    "tiff-gray.tif",
];

#[test]
fn a_cut_file_is_truncated_or_whole() {
    let options = DecodeOptions::default();
    let mut problems = Vec::new();
    for (name, bytes) in files() {
        let whole = decode(&bytes, &options).unwrap();
        let step = (bytes.len() / CUTS).max(1);
        let near_ends = (MAGIC..MAGIC + ENDS).chain(bytes.len().saturating_sub(ENDS)..bytes.len());
        for cut in near_ends.chain((MAGIC..bytes.len()).step_by(step)).filter(|cut| (MAGIC..bytes.len()).contains(cut))
        {
            match decode(&bytes[..cut], &options) {
                Err(DecodeError::Truncated { .. }) => {}
                Ok(picture) if picture == whole => {}
                Ok(_) => problems.push(format!("{name} cut at {cut} of {}: another picture", bytes.len())),
                Err(error) => {
                    problems.push(format!("{name} cut at {cut} of {}: {}: {error}", bytes.len(), kind(&error)))
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Where a file is changed, as a share of its length, and what is put there.
fn changes() -> impl Strategy<Value = Vec<(f64, u8)>> {
    let place = prop_oneof![0.0..0.02_f64, 0.0..1.0_f64];
    let byte = prop_oneof![any::<u8>(), Just(0x00), Just(0xff), Just(0x7f)];
    proptest::collection::vec((place, byte), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_file_never_panics(file in 0..MUTATED.len(), changes in changes(), cut in 0.5..1.5_f64) {
        let mut bytes = golden_file(MUTATED[file]);
        for (place, byte) in changes {
            let at = (bytes.len() as f64 * place) as usize;
            bytes[at] = byte;
        }
        bytes.truncate((bytes.len() as f64 * cut) as usize);
        let options = DecodeOptions { max_pixels: 1_000_000, ..DecodeOptions::default() };
        if let Ok(picture) = decode(&bytes, &options) {
            prop_assert!(u64::from(picture.width()) * u64::from(picture.height()) <= options.max_pixels);
        }
    }
}

#[test]
fn the_limit_is_checked_before_anything_is_allocated() {
    let bomb = |bytes: &[u8]| kind(&decode(bytes, &DecodeOptions::default()).unwrap_err());
    let huge = 2_000_000_000_u32;
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend([huge.to_be_bytes(), huge.to_be_bytes()].concat());
    png.extend([8, 2, 0, 0, 0, 0, 0, 0, 0]);
    let gif = b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x08".to_vec();
    let mut bmp = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bmp.extend([60_000_u32.to_le_bytes(), 60_000_u32.to_le_bytes()].concat());
    bmp.extend([1, 0, 24, 0]);
    let mut webp = b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff".to_vec();
    webp.extend(b"VP8L\x05\0\0\0\x2f\xff\xff\xff\x0f\0");
    webp[4] = (webp.len() - 8) as u8;
    let mut tiff = b"II*\0\x08\0\0\0\x07\0".to_vec();
    for (tag, value) in [(256_u16, huge), (257, huge), (258, 8), (262, 1), (273, 8), (278, huge), (279, 8)] {
        tiff.extend([&tag.to_le_bytes()[..], &[4, 0, 1, 0, 0, 0], &value.to_le_bytes()].concat());
    }
    tiff.extend([0; 4]);
    for (format, bytes) in [("PNG", png), ("GIF", gif), ("BMP", bmp), ("WebP", webp), ("TIFF", tiff)] {
        assert_eq!(bomb(&bytes), "too_large", "{format}");
    }
}

#[test]
fn headers_without_pixels_are_corrupt() {
    let gif = golden_file("gif-still.gif");
    let jpeg = golden_file("jpeg-420.jpg");
    let png = golden_file("png-1bit.png");
    let frame = gif.windows(5).position(|bytes| bytes == b",\0\0\0\0").unwrap() + 5;
    let sof = jpeg.windows(2).position(|bytes| bytes == b"\xff\xc0").unwrap() + 5;
    for (format, mut bytes, sides) in
        [("GIF", gif, frame..frame + 2), ("JPEG", jpeg, sof..sof + 2), ("PNG", png, 16..20)]
    {
        bytes[sides].fill(0);
        let error = decode(&bytes, &DecodeOptions::default()).unwrap_err();
        assert_eq!(kind(&error), "corrupt", "{format}: {error}");
    }
}

#[test]
fn what_no_decoder_knows_is_unsupported() {
    let jpeg = golden_file("jpeg-420.jpg");
    let sof = jpeg.windows(2).position(|bytes| bytes == b"\xff\xc0").unwrap();
    for (at, byte, expected) in [
        (sof + 1, 0xc9, "JPEG with arithmetic coding is not supported"),
        (sof + 1, 0xc3, "JPEG with lossless coding is not supported"),
        (sof + 1, 0xc5, "JPEG with hierarchical coding is not supported"),
        (sof + 4, 12, "JPEG with 12 bits a sample is not supported"),
        (sof + 9, 2, "JPEG with 2 components is not supported"),
    ] {
        let mut bytes = jpeg.clone();
        bytes[at] = byte;
        assert_eq!(decode(&bytes, &DecodeOptions::default()).unwrap_err().to_string(), expected);
    }
}
