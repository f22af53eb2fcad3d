//! What an image cell means: a path, a URL, a data URI. Only the text is looked at; whether anything is there shows
//! when it is fetched. URLs are read as browsers read them (the WHATWG URL standard).

use std::fmt;
use std::path::{Path, PathBuf};

use url::Url;

use crate::hub::{HubFile, HubFileError};
use crate::objects::{ObjectUrl, ObjectUrlError};
use crate::row::{RowError, RowErrorKind};
use crate::source::SourceKind;

/// The longest part of an address that is shown to a person, in characters.
const MAX_SHOWN: usize = 200;

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// A file of this machine.
    File(PathBuf),
    /// `http://` or `https://`.
    Http(Url),
    /// A file on the Hugging Face hub: `hf://datasets/…`.
    Hub(HubFile),
    /// An object in a bucket: `s3://`, `gs://`, `az://`, `abfss://`.
    Object(ObjectUrl),
    /// The image's bytes themselves, in some form of text.
    Inline(InlineImage),
}

/// The bytes of an image as a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum InlineImage {
    /// A `data:` URI, whole.
    Data(String),
    /// Bare base64, of the usual alphabet or that for URLs.
    Base64(String),
}

impl Address {
    /// Reads an image cell; relative paths start at `base`, a folder or the prefix of addresses in a bucket or on
    /// the hub.
    ///
    /// Blanks around a URL are dropped; a path is taken as it stands. A long text that begins as the base64 of a JPEG,
    /// PNG, GIF, WebP or TIFF does and has no other sign in it is taken for that. A cell without anything but blanks is
    /// [`RowErrorKind::NoImage`], one that cannot be used is [`RowErrorKind::BadAddress`].
    ///
    /// ```
    /// use clipgauge::address::Address;
    ///
    /// let address = Address::parse("cats/1.jpg", "/data".as_ref())?;
    /// assert_eq!(address, Address::File("/data/cats/1.jpg".into()));
    /// # Ok::<(), clipgauge::row::RowError>(())
    /// ```
    pub fn parse(cell: &str, base: &Path) -> Result<Self, RowError> {
        let trimmed = cell.trim();
        if trimmed.is_empty() {
            return Err(RowError::new(RowErrorKind::NoImage, "the image cell is empty"));
        }
        let Some(scheme) = scheme(trimmed) else {
            return if is_base64(trimmed) {
                Ok(Self::Inline(InlineImage::Base64(trimmed.to_owned())))
            } else {
                relative(cell, base)
            };
        };
        match SourceKind::of_scheme(&scheme) {
            Some(SourceKind::File) if scheme == "tar" => in_tar(trimmed, base),
            Some(SourceKind::File) => path(file_url(trimmed)?),
            Some(SourceKind::Http) => Ok(Self::Http(url(trimmed)?)),
            Some(SourceKind::Hub) => HubFile::parse(trimmed).map(Self::Hub).map_err(of_hub),
            Some(SourceKind::Object) => ObjectUrl::parse(trimmed).map(Self::Object).map_err(of_object),
            Some(SourceKind::Inline) => Ok(Self::Inline(InlineImage::Data(trimmed.to_owned()))),
            None => Err(bad_address(format!(
                "`{scheme}:` addresses are not supported: an image is a path or a {} address (a file whose name starts \
                 like this is `./{scheme}:…`)",
                supported(),
            ))),
        }
    }

    /// The kind of source that has what this address names.
    pub fn kind(&self) -> SourceKind {
        match self {
            Self::File(_) => SourceKind::File,
            Self::Http(_) => SourceKind::Http,
            Self::Hub(_) => SourceKind::Hub,
            Self::Object(_) => SourceKind::Object,
            Self::Inline(_) => SourceKind::Inline,
        }
    }
}

/// For a person: long ones are cut, passwords and queries of URLs are left out.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::File(path) => path.display().to_string(),
            Self::Http(url) => format!("{}{}", url.origin().ascii_serialization(), url.path()),
            Self::Hub(file) => file.to_string(),
            Self::Object(url) => url.to_string(),
            Self::Inline(InlineImage::Data(uri)) => {
                format!("{},", uri.split_once(',').map_or(uri.as_str(), |(head, _)| head))
            }
            Self::Inline(InlineImage::Base64(_)) => "a picture in base64".to_owned(),
        };
        match text.char_indices().nth(MAX_SHOWN) {
            Some((end, _)) => write!(f, "{}…", &text[..end]),
            None => f.write_str(&text),
        }
    }
}

/// The scheme before the first colon, in lower case. A single letter is a Windows drive (`C:\cats`), and a colon after
/// anything that no scheme may have is part of a path (`cats/1:2.jpg`).
fn scheme(cell: &str) -> Option<String> {
    let (scheme, _) = cell.split_once(':')?;
    let of_a_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(of_a_scheme);
    is_scheme.then(|| scheme.to_ascii_lowercase())
}

/// How pictures begin in base64: JPEG, PNG, GIF, WebP (RIFF) and TIFF of either byte order. All have their first four or
/// more bytes in it; the two of a BMP would say too little.
const BASE64_BEGINNINGS: [&str; 6] = ["/9j/", "iVBORw0KGgo", "R0lGODdh", "UklGR", "SUkqA", "TU0AK"];

/// The least signs that a picture has in base64. No file of so long a name without a dot begins like one.
const LEAST_BASE64: usize = 80;

/// Whether a cell is the bare base64 of a picture rather than a path.
pub(crate) fn is_base64(cell: &str) -> bool {
    let begins = |beginning: &&str| {
        // GIF has two versions, which differ in the sixth byte.
        let of_a_gif = cell.starts_with("R0lGODlh");
        of_a_gif || cell.starts_with(*beginning) || cell.starts_with(&beginning.replace('/', "_"))
    };
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_=\r\n".contains(&byte);
    cell.len() >= LEAST_BASE64 && BASE64_BEGINNINGS.iter().any(begins) && cell.bytes().all(is_sign)
}

/// What a path names. One beside a table in a bucket names an object there, one beside a table on the hub a file there.
fn relative(cell: &str, base: &Path) -> Result<Address, RowError> {
    // Any table with the prefix would do.
    let table = |prefix| format!("{prefix}/table");
    match base.to_str().filter(|_| !Path::new(cell).is_absolute()) {
        Some(prefix) if ObjectUrl::is_meant(prefix) => {
            let beside = ObjectUrl::parse(&table(prefix)).and_then(|table| table.beside(cell));
            beside.map(Address::Object).map_err(of_object)
        }
        Some(prefix) if HubFile::is_meant(prefix) => {
            let beside = HubFile::parse(&table(prefix)).and_then(|table| table.beside(cell));
            beside.map(Address::Hub).map_err(of_hub)
        }
        _ => path(base.join(cell)),
    }
}

fn path(path: PathBuf) -> Result<Address, RowError> {
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(bad_address("the path has a NUL character in it".to_owned()));
    }
    Ok(Address::File(path))
}

/// A file in a tar, as `fsspec` writes it: `tar://cat.jpg::shards/00000.tar`.
fn in_tar(text: &str, base: &Path) -> Result<Address, RowError> {
    let parts = text.split_once("://").and_then(|(_, parts)| parts.split_once("::"));
    let Some((member, archive)) = parts else {
        return Err(bad_address("an address in a tar is `tar://NAME::TAR`".to_owned()));
    };
    match Address::parse(archive, base)? {
        // A name that begins with a slash begins there.
        Address::File(archive) => path(archive.join(member.trim_start_matches('/'))),
        _ => Err(bad_address("only tars that are files of this machine can be read from".to_owned())),
    }
}

fn file_url(text: &str) -> Result<PathBuf, RowError> {
    let url = url(text)?;
    // The parser has turned `localhost` into no host already.
    if let Some(host) = url.host_str() {
        return Err(bad_address(format!(
            "the file URL names the host `{host}`: only files of this machine can be read"
        )));
    }
    url.to_file_path().map_err(|()| bad_address("the file URL has no path that this system could have".to_owned()))
}

fn url(text: &str) -> Result<Url, RowError> {
    Url::parse(text).map_err(|error| bad_address(format!("the URL is not valid: {error}")))
}

fn of_hub(error: HubFileError) -> RowError {
    bad_address(error.to_string())
}

fn of_object(error: ObjectUrlError) -> RowError {
    bad_address(error.to_string())
}

fn bad_address(message: String) -> RowError {
    RowError::new(RowErrorKind::BadAddress, message)
}

/// Every scheme there is, as a list for a person: "`file:`, `http:` or `data:`".
fn supported() -> String {
    let schemes: Vec<String> =
        SourceKind::ALL.iter().flat_map(|kind| kind.schemes()).map(|scheme| format!("`{scheme}:`")).collect();
    match schemes.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => schemes.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Result<Address, (RowErrorKind, &'static str)> {
        Ok(Address::File(path.into()))
    }

    fn http(url: &str) -> Result<Address, (RowErrorKind, &'static str)> {
        Ok(Address::Http(Url::parse(url).unwrap()))
    }

    fn object(url: &str) -> Result<Address, (RowErrorKind, &'static str)> {
        Ok(Address::Object(ObjectUrl::parse(url).unwrap()))
    }

    fn bad(part_of_the_message: &'static str) -> Result<Address, (RowErrorKind, &'static str)> {
        Err((RowErrorKind::BadAddress, part_of_the_message))
    }

    #[cfg(unix)]
    #[test]
    fn cells() {
        let cases = [
            ("relative path", "cats/1.jpg", file("/base/cats/1.jpg")),
            ("absolute path", "/cats/1.jpg", file("/cats/1.jpg")),
            ("path with blanks around it", " 1.jpg ", file("/base/ 1.jpg ")),
            ("path with a colon", "cats/1:2.jpg", file("/base/cats/1:2.jpg")),
            ("path that starts with a time", "12:30.jpg", file("/base/12:30.jpg")),
            ("Windows drive", r"C:\cats\1.jpg", file(r"/base/C:\cats\1.jpg")),
            ("Unicode path", "猫/1.jpg", file("/base/猫/1.jpg")),
            ("percent in a path", "50%20.jpg", file("/base/50%20.jpg")),
            ("file URL", "file:///cats/a%20b.jpg", file("/cats/a b.jpg")),
            ("file URL with localhost", "file://localhost/1.jpg", file("/1.jpg")),
            ("file URL in capitals", "FILE:///1.jpg", file("/1.jpg")),
            ("file URL of another host", "file://server/1.jpg", bad("the host `server`")),
            ("file URL with NUL", "file:///a%00b", bad("NUL")),
            ("path with NUL", "a\0b", bad("NUL")),
            ("file in a tar", "tar://a/1.jpg::shards/0.tar", file("/base/shards/0.tar/a/1.jpg")),
            ("file in a tar by its URL", "tar:///a.jpg::file:///shards/0.tar", file("/shards/0.tar/a.jpg")),
            ("tar without a file", "tar://shards/0.tar", bad("`tar://NAME::TAR`")),
            ("tar elsewhere", "tar://1.jpg::http://example.com/0.tar", bad("files of this machine")),
            ("http", "http://example.com/1.jpg", http("http://example.com/1.jpg")),
            ("https in capitals", "HTTPS://example.com/1.jpg", http("https://example.com/1.jpg")),
            ("blanks around a URL", " \thttp://example.com/1.jpg\n", http("http://example.com/1.jpg")),
            ("blank in a URL", "http://example.com/a b.jpg", http("http://example.com/a%20b.jpg")),
            ("Unicode URL", "http://bücher.example/猫", http("http://xn--bcher-kva.example/%E7%8C%AB")),
            ("no host", "http://", bad("empty host")),
            ("no port", "http://example.com:99999/", bad("invalid port number")),
            (
                "data",
                "data:image/png;base64,QQ==",
                Ok(Address::Inline(InlineImage::Data("data:image/png;base64,QQ==".into()))),
            ),
            ("other scheme", "ftp://user:secret@example.com/1.jpg", bad("`ftp:` addresses are not supported")),
            ("what is supported", "sftp://server/1.jpg", bad("`file:`, `tar:`, `http:`, `https:`, `hf:`, `s3:`")),
            ("object", " s3://bucket/cats/a%20b+ c.jpg", object("s3://bucket/cats/a%20b+ c.jpg")),
            ("object in capitals", "GS://bucket/1.jpg", object("gs://bucket/1.jpg")),
            ("bucket without an object", "s3://bucket", bad("no object in it")),
            ("empty part of a key", "s3://bucket/a//1.jpg", bad("empty part")),
            ("scheme without slashes", "javascript:alert(1)", bad("`./javascript:…`")),
            ("empty", "", Err((RowErrorKind::NoImage, "empty"))),
            ("blank", " \t ", Err((RowErrorKind::NoImage, "empty"))),
        ];
        for (name, cell, expected) in cases {
            match (Address::parse(cell, Path::new("/base")), expected) {
                (Ok(address), Ok(expected)) => assert_eq!(address, expected, "{name}"),
                (Err(error), Err((kind, part))) => {
                    assert_eq!(error.kind, kind, "{name}");
                    assert!(error.message.contains(part), "{name}: {}", error.message);
                }
                (address, expected) => panic!("{name}: {address:?} instead of {expected:?}"),
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn paths_beside_a_table_in_a_bucket_are_objects() {
        let cases = [
            ("1.jpg", "s3://bucket/tables/1.jpg"),
            ("../a b/1%20.jpg", "s3://bucket/a b/1%20.jpg"),
            ("/data/1.jpg", "/data/1.jpg"),
            ("gs://other/1.jpg", "gs://other/1.jpg"),
        ];
        for (cell, expected) in cases {
            assert_eq!(Address::parse(cell, Path::new("s3://bucket/tables")).unwrap().to_string(), expected);
        }
        let out = Address::parse("../../1.jpg", Path::new("s3://bucket/tables")).unwrap_err();
        assert_eq!(out.kind, RowErrorKind::BadAddress);
    }

    #[cfg(unix)]
    #[test]
    fn paths_beside_a_table_on_the_hub_are_files_there() {
        let base = Path::new("hf://datasets/org/name@v1/data");
        let cases = [
            ("1.jpg", "hf://datasets/org/name@v1/data/1.jpg"),
            ("../a b/1%20.jpg", "hf://datasets/org/name@v1/a b/1%20.jpg"),
            ("/data/1.jpg", "/data/1.jpg"),
            ("hf://org/other/1.jpg", "hf://org/other@main/1.jpg"),
        ];
        for (cell, expected) in cases {
            assert_eq!(Address::parse(cell, base).unwrap().to_string(), expected);
        }
        assert_eq!(Address::parse("../../1.jpg", base).unwrap_err().kind, RowErrorKind::BadAddress);
    }

    #[test]
    fn base64_is_told_from_paths() {
        let long = "A".repeat(100);
        let is = |text: String| Address::parse(&text, Path::new("/")).unwrap();
        for beginning in ["/9j/4AAQ", "_9j_4AAQ", "iVBORw0KGgoA", "R0lGODlh", "R0lGODdh", "UklGRj", "SUkqAA", "TU0AKg"]
        {
            let cell = format!("{beginning}{long}==");
            assert_eq!(is(format!(" {cell}\n")), Address::Inline(InlineImage::Base64(cell)), "{beginning}");
        }
        let paths = [
            format!("/9j/{long}.jpg"),
            format!("/9j/{long} {long}"),
            format!("pictures/{long}"),
            "/9j/4AAQSkZJRg==".to_owned(),
            format!("Qk0{long}"),
        ];
        for path in paths {
            assert_eq!(is(path.clone()), Address::File(Path::new("/").join(&path)), "{path}");
        }
    }

    #[test]
    fn what_is_shown_is_short_and_keeps_secrets() {
        let long = format!("/{}", "x".repeat(10_000));
        let cases = [
            ("http://user:secret@example.com:81/a?token=secret", "http://example.com:81/a"),
            ("data:image/png;base64,QUJD", "data:image/png;base64,"),
            (&long, &format!("/{}…", "x".repeat(MAX_SHOWN - 1))),
        ];
        for (cell, shown) in cases {
            assert_eq!(Address::parse(cell, Path::new("/")).unwrap().to_string(), shown);
        }
    }
}
