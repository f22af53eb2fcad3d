//! Images in the cell itself: `data:` URIs, decoded as the Fetch standard says (base64 with or without padding and with
//! blanks in it, or percent-encoded).

use data_url::DataUrl;

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

    fn decode(&self, uri: &str) -> Result<Vec<u8>, RowError> {
        let bad = |problem: &str| RowError::new(RowErrorKind::BadAddress, format!("the data URI {problem}"));
        let parsed = DataUrl::process(uri).map_err(|_| bad("has no comma between its type and its data"))?;
        let (bytes, _fragment) = parsed.decode_to_vec().map_err(|_| bad("is not valid base64"))?;
        if bytes.len() as u64 > self.max_bytes {
            return Err(too_large(bytes.len() as u64, self.max_bytes));
        }
        Ok(bytes)
    }
}

impl Source for InlineSource {
    type Place = str;

    async fn fetch(&self, uri: &str) -> Result<ImageBytes, RowError> {
        Ok(ImageBytes::new(self.decode(uri)?, None))
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
            let found = source.decode(uri).map(|bytes| String::from_utf8(bytes).unwrap()).map_err(|error| error.kind);
            assert_eq!(found, expected.map(str::to_owned), "{name}");
        }
    }
}
