//! The registry of table formats: a name and its extensions for each.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::options::Input;

use super::{Compression, TableError};

macro_rules! table_formats {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal, extensions: $extensions:expr, delimiter: $delimiter:expr;)*) => {
        /// Formats of tables.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum TableFormat {
            $($(#[doc = $doc])* $variant,)*
        }

        impl TableFormat {
            /// Every format.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name, as `--format` takes it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The file name extensions that stand for it, in lower case.
            pub fn extensions(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &$extensions),* }
            }

            /// The byte between two fields, in formats that have one.
            pub fn delimiter(self) -> Option<u8> {
                match self { $(Self::$variant => $delimiter),* }
            }
        }
    };
}

table_formats! {
    /// Comma-separated text with quotes as in RFC 4180.
    Csv = "csv", extensions: ["csv"], delimiter: Some(b',');
    /// Tab-separated text with the same quotes.
    Tsv = "tsv", extensions: ["tsv", "tab"], delimiter: Some(b'\t');
    /// A JSON object in each line.
    Jsonl = "jsonl", extensions: ["jsonl", "ndjson"], delimiter: None;
    /// Columns with types, in row groups.
    Parquet = "parquet", extensions: ["parquet", "pq"], delimiter: None;
    /// Arrow's own file or stream.
    Arrow = "arrow", extensions: ["arrow", "arrows", "feather", "ipc"], delimiter: None;
    /// Tar shards of samples.
    WebDataset = "webdataset", extensions: ["tar"], delimiter: None;
}

/// Extensions of formats that are not read yet, with the format's name.
const NOT_YET: &[(&str, &str)] = &[("json", "JSON"), ("xlsx", "Excel")];

/// Extensions of compressed files, with the command that undoes it.
const COMPRESSED: &[(&str, &str)] = &[("gz", "gzip -dc"), ("zst", "zstd -dc"), ("bz2", "bzip2 -dc"), ("xz", "xz -dc")];

impl TableFormat {
    /// Whether a table of this format can be written as the other one.
    pub fn becomes(self, other: Self) -> bool {
        let is_built = cfg!(feature = "parquet");
        match (self, other) {
            _ if self == other => true,
            (Self::Csv | Self::Tsv, Self::Csv | Self::Tsv | Self::Jsonl) => true,
            (Self::WebDataset, Self::Csv | Self::Tsv | Self::Jsonl) => true,
            (Self::Csv | Self::Tsv | Self::WebDataset, Self::Parquet) => is_built,
            (Self::Parquet | Self::Arrow, Self::Csv | Self::Tsv | Self::Jsonl) => is_built,
            _ => false,
        }
    }

    /// The format that a file's name says it has; `None` for a name without an extension (a pipe's, say).
    ///
    /// # Errors
    ///
    /// An extension that stands for no format that can be read.
    pub fn of_path(path: &Path) -> Result<Option<Self>, TableError> {
        if let Some((_, text)) = Compression::of_path(path) {
            match Self::of_path(&text) {
                // These are compressed inside.
                Ok(Some(Self::Parquet | Self::Arrow)) => {}
                Ok(None) => return Ok(Some(Self::Csv)),
                format => return format,
            }
        }
        let Some(extension) = path.extension() else { return Ok(None) };
        let extension = extension.to_string_lossy().to_lowercase();
        if let Some(format) = Self::ALL.iter().find(|format| format.extensions().contains(&extension.as_str())) {
            return Ok(Some(*format));
        }
        let name = path.display().to_string();
        if let Some((_, format)) = NOT_YET.iter().find(|(known, _)| *known == extension) {
            return Err(TableError::FormatNotYet { name, format });
        }
        if let Some((_, command)) = COMPRESSED.iter().find(|(known, _)| *known == extension) {
            return Err(TableError::Compressed { name, command: Input::File(path.to_owned()).piped_through(command) });
        }
        Err(TableError::UnknownFormat { name, extension })
    }
}

impl fmt::Display for TableFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that stands for no format.
#[derive(Debug, thiserror::Error)]
#[error("there is no table format `{name}`")]
pub struct NoSuchFormat {
    /// The name.
    pub name: String,
}

impl FromStr for TableFormat {
    type Err = NoSuchFormat;

    fn from_str(name: &str) -> Result<Self, NoSuchFormat> {
        Self::ALL
            .iter()
            .copied()
            .find(|format| format.name() == name)
            .ok_or_else(|| NoSuchFormat { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_extensions_find_their_format() {
        for format in TableFormat::ALL {
            assert_eq!(format.name().parse::<TableFormat>().expect("a format"), *format);
            for extension in format.extensions() {
                let path = format!("folder.d/table.{}", extension.to_uppercase());
                assert_eq!(TableFormat::of_path(Path::new(&path)).expect("a format"), Some(*format));
            }
        }
        assert_eq!(TableFormat::of_path(Path::new("/dev/fd/63")).expect("no format"), None);
    }

    #[test]
    fn other_extensions_say_what_to_do() {
        let said = |path: &str| TableFormat::of_path(Path::new(path)).expect_err(path).to_string();
        assert!(said("a.xlsx").contains("Excel"), "{}", said("a.xlsx"));
        assert!(said("a.csv.xz").contains("xz -dc a.csv.xz | clipgauge score -"), "{}", said("a.csv.xz"));
        for (path, format) in [
            ("a.csv.gz", TableFormat::Csv),
            ("a.JSONL.ZST", TableFormat::Jsonl),
            ("a.tar.gz", TableFormat::WebDataset),
            ("a.tgz", TableFormat::WebDataset),
        ] {
            assert_eq!(TableFormat::of_path(Path::new(path)).expect("a format"), Some(format));
        }
        assert!(said("a.parquet.gz").contains("compressed"), "{}", said("a.parquet.gz"));
        assert!(said("a.txt").contains("--format csv"), "{}", said("a.txt"));
    }
}
