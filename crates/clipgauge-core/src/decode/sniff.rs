//! What a file is, by its first bytes: a format that is decoded, a picture format that isn't, or no picture at all.

use super::DecodeError;

/// How far into a text its kind is looked for.
const TEXT_START: usize = 4096;

/// The formats that are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    WebP,
    Gif,
    Bmp,
    Tiff,
}

impl Format {
    /// The extension of its files.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Gif => "gif",
            Self::Bmp => "bmp",
            Self::Tiff => "tiff",
        }
    }
}

/// Picture formats that are not decoded, by where their mark stands and what it is.
const UNSUPPORTED: &[(usize, &[u8], &str)] = &[
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftyphev", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypmsf1", "HEIF"),
    (4, b"ftypcrx ", "Canon raw (CR3)"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"%PDF-", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"8BPS", "Photoshop (PSD)"),
    (0, b"gimp xcf", "GIMP (XCF)"),
    (0, b"\x00\x00\x01\x00", "ICO"),
    (0, b"\x00\x00\x02\x00", "a Windows cursor"),
    (0, b"qoif", "QOI"),
    (0, b"DDS ", "DDS"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"farbfeld", "farbfeld"),
    (0, b"FLIF", "FLIF"),
    (0, b"\xd7\xcd\xc6\x9a", "WMF"),
    (40, b" EMF", "EMF"),
    (0, b"icns", "ICNS"),
    (0, b"\x8aMNG\r\n\x1a\n", "MNG"),
    (0, b"SIMPLE  =", "FITS"),
    (0, b"AT&TFORM", "DjVu"),
];

/// What else is found where a picture should be.
const OTHER: &[(usize, &[u8], &str)] = &[
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard"),
    (0, b"BZh", "bzip2"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (4, b"ftyp", "an MP4 video"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (0, b"OggS", "Ogg media"),
    (0, b"ID3", "MP3 audio"),
    (0, b"PAR1", "Parquet"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
];

/// The format of a file, or why there is no decoding it.
pub(super) fn format(bytes: &[u8]) -> Result<Format, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    if bytes.starts_with(b"\xff\xd8") {
        return Ok(Format::Jpeg);
    }
    if bytes.starts_with(b"\x89PNG") {
        return Ok(Format::Png);
    }
    if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        return Ok(Format::Gif);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Ok(Format::WebP);
    }
    // The second pair is BigTIFF's.
    if [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|mark| bytes.starts_with(*mark)) {
        return Ok(Format::Tiff);
    }
    if bytes.starts_with(b"BM") && !is_text(bytes) {
        return Ok(Format::Bmp);
    }
    let has_mark = |&&(at, mark, _): &&(usize, &[u8], &str)| bytes.get(at..).is_some_and(|rest| rest.starts_with(mark));
    if let Some((_, _, what)) = UNSUPPORTED.iter().find(has_mark) {
        return Err(DecodeError::Unsupported { what: (*what).to_owned() });
    }
    if let [b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n', ..] = bytes {
        return Err(DecodeError::Unsupported { what: "PNM".to_owned() });
    }
    if let Some((_, _, what)) = OTHER.iter().find(has_mark) {
        return Err(DecodeError::NotAnImage { looks_like: (*what).to_owned() });
    }
    if is_text(bytes) {
        return Err(text(bytes));
    }
    Err(DecodeError::NotAnImage { looks_like: "no known format".to_owned() })
}

/// What kind of text it is. A drawing in XML is a picture, though not one that is decoded.
fn text(bytes: &[u8]) -> DecodeError {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT_START)]).to_ascii_lowercase();
    let start = start.trim_start_matches('\u{feff}').trim_start();
    let is_page = ["<!doctype html", "<html", "<head", "<body", "<title", "<script", "<meta"]
        .iter()
        .any(|mark| start.starts_with(mark))
        || start.starts_with('<') && start.contains("<html");
    if !is_page && start.starts_with('<') && (start.contains("<svg") || start.contains("<!doctype svg")) {
        return DecodeError::Unsupported { what: "SVG".to_owned() };
    }
    let looks_like = match start.chars().next() {
        _ if is_page => "HTML",
        Some('<') => "XML",
        Some('{' | '[') => "JSON",
        None => "blank text",
        Some(_) => "text",
    };
    DecodeError::NotAnImage { looks_like: looks_like.to_owned() }
}

/// Whether the start of a file has only characters that texts have.
fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(TEXT_START)];
    let is_utf8 = match std::str::from_utf8(start) {
        Ok(_) => true,
        // The last character may be cut.
        Err(error) => error.error_len().is_none(),
    };
    is_utf8
        && start.iter().all(|&byte| byte >= b' ' && byte != 0x7f || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_picture_is_named() {
        for (bytes, expected) in [
            (&b"<!DOCTYPE html><html>"[..], "not an image: it begins like HTML"),
            (b"  \n<html lang=en>", "not an image: it begins like HTML"),
            (b"<!-- a page --><html><svg></svg>", "not an image: it begins like HTML"),
            (b"\xef\xbb\xbf<?xml version='1.0'?><!-- drawn --><svg xmlns=''/>", "SVG is not supported"),
            (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "not an image: it begins like XML"),
            (b"{\"error\": 404}", "not an image: it begins like JSON"),
            (b"BM is how some words begin", "not an image: it begins like text"),
            (b"\n \n", "not an image: it begins like blank text"),
            (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF is not supported"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC is not supported"),
            (b"\0\0\0\x18ftypisom\0\0\0\0", "not an image: it begins like an MP4 video"),
            (b"\xff\x0a\xfa\x7f", "JPEG XL is not supported"),
            (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000 is not supported"),
            (b"%PDF-1.7\n%\xe2", "PDF is not supported"),
            (b"P6 3 2 255\n\x01\x02", "PNM is not supported"),
            (b"\0\0\x01\0\x01\0", "ICO is not supported"),
            (b"\x01\x02\x03", "not an image: it begins like no known format"),
            (b"", "the file is empty"),
        ] {
            assert_eq!(format(bytes).unwrap_err().to_string(), expected, "{bytes:?}");
        }
    }
}
