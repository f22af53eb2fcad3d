//! Images in the cell itself: `data:` URIs, decoded as the Fetch standard says (base64 with or without padding and with
//! blanks in it, or percent-encoded), and the bare base64 of a picture, in either alphabet.

use data_url::{DataUrl, forgiving_base64};

use crate::address::InlineImage;
use crate::row::{RowError, RowErrorKind};
use crate::source::{ImageBytes, Source, too_large};

/// The source of `data:` URIs.
#[derive(Debug)]
pub struct InlineSource {
    max_bytes: u64,
}

impl InlineSource {
    /// A source of images of at most `max_bytes` bytes.
    pub fn new(max_bytes: u64) -> Self {
        Self { max_bytes }
    }

    fn decode(&self, image: &InlineImage) -> Result<Vec<u8>, RowError> {
        let bad = |problem: &str| RowError::new(RowErrorKind::BadAddress, problem);
        let bytes = match image {
            InlineImage::Data(uri) => {
                let parsed = DataUrl::process(uri)
                    .map_err(|_| bad("the data URI has no comma between its type and its data"))?;
                let decoded = parsed.decode_to_vec().map_err(|_| bad("the data URI is not valid base64"))?;
                decoded.0
            }
            InlineImage::Base64(text) => {
                let common: Vec<u8> = text.bytes().map(common_alphabet).collect();
                forgiving_base64::decode_to_vec(&common)
                    .map_err(|_| bad("the cell begins like the base64 of a picture, and is not valid base64"))?
            }
        };
        if bytes.len() as u64 > self.max_bytes {
            return Err(too_large(bytes.len() as u64, self.max_bytes));
        }
        Ok(bytes)
    }
}

/// The sign of the usual alphabet for one of the alphabet for URLs.
fn common_alphabet(sign: u8) -> u8 {
    match sign {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }
}

impl Source for InlineSource {
    type Place = InlineImage;

    async fn fetch(&self, image: &InlineImage) -> Result<ImageBytes, RowError> {
        Ok(ImageBytes::new(self.decode(image)?, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris() {
        use RowErrorKind::{BadAddress, TooLarge};
        let cases = [
            ("base64", "data:image/png;base64,QUJDRA==", Ok("ABCD")),
            ("base64 without padding", "data:image/png;base64,QUJDRA", Ok("ABCD")),
            ("base64 with blanks", "data:image/png;base64,QU JD\r\nRA==", Ok("ABCD")),
            ("base64 with its padding escaped", "data:;base64,QUJDRA%3D%3D", Ok("ABCD")),
            ("capitals", "DATA:image/png;BASE64,QUJDRA==", Ok("ABCD")),
            ("percent-encoded", "data:image/svg+xml,%3Csvg%20/%3E", Ok("<svg />")),
            ("no data", "data:,", Ok("")),
            ("no comma", "data:image/png;base64", Err(BadAddress)),
            ("not base64", "data:image/png;base64,*", Err(BadAddress)),
            ("base64 of an impossible length", "data:image/png;base64,QUJDR", Err(BadAddress)),
            ("too large", "data:,123456789", Err(TooLarge)),
        ];
        let source = InlineSource::new(8);
        for (name, uri, expected) in cases {
            let found = source
                .decode(&InlineImage::Data(uri.to_owned()))
                .map(|bytes| String::from_utf8(bytes).unwrap())
                .map_err(|error| error.kind);
            assert_eq!(found, expected.map(str::to_owned), "{name}");
        }
    }
    #[test]
    fn bare_base64() {
        use RowErrorKind::{BadAddress, TooLarge};
        let cases = [
            ("usual alphabet", "/9j/4AA+", Ok(vec![0xff, 0xd8, 0xff, 0xe0, 0x00, 0x3e])),
            ("alphabet of URLs", "_9j_4AA-", Ok(vec![0xff, 0xd8, 0xff, 0xe0, 0x00, 0x3e])),
            ("lines", "/9j/\r\n4A==\n", Ok(vec![0xff, 0xd8, 0xff, 0xe0])),
            ("without padding", "/9j/4A", Ok(vec![0xff, 0xd8, 0xff, 0xe0])),
            ("an impossible length", "/9j/4", Err(BadAddress)),
            ("another sign", "/9j/4A*", Err(BadAddress)),
            ("too large", "/9j/4AAAAAAAAA==", Err(TooLarge)),
        ];
        let source = InlineSource::new(8);
        for (name, text, expected) in cases {
            let found = source.decode(&InlineImage::Base64(text.to_owned())).map_err(|error| error.kind);
            assert_eq!(found, expected, "{name}");
        }
    }
}
