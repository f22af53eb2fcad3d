//! The files of one model, wherever they lie: in a folder, or in the binary.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use crate::error::LoadError;

/// The largest text file (configuration, vocabulary) of a model that is read: the largest known, a multilingual
/// `tokenizer.json`, has 35 MB.
pub const MAX_TEXT_FILE: u64 = 256 << 20;

/// The files of one model.
#[derive(Debug, Clone)]
pub enum ModelFiles {
    /// A folder as the hub or `save_pretrained` lays it out.
    Folder(PathBuf),
    /// Names and contents that are part of the program.
    Bundled(&'static [(&'static str, &'static [u8])]),
}

impl ModelFiles {
    /// Whether the model has a file of this name.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::Folder(folder) => folder.join(name).is_file(),
            Self::Bundled(files) => files.iter().any(|(known, _)| *known == name),
        }
    }

    /// The whole of a text file; `None` when there is none of this name.
    pub fn read(&self, name: &str) -> Result<Option<Cow<'static, [u8]>>, LoadError> {
        let folder = match self {
            Self::Bundled(files) => {
                return Ok(files.iter().find(|(known, _)| *known == name).map(|(_, bytes)| Cow::Borrowed(*bytes)));
            }
            Self::Folder(folder) => folder,
        };
        let path = folder.join(name);
        let unreadable = |source| LoadError::Unreadable { file: path.display().to_string(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let mut bytes = Vec::new();
        // One byte more than allowed, so that a file that grows, or a device without a size, is noticed too.
        file.take(MAX_TEXT_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_TEXT_FILE {
            return Err(LoadError::TooLarge {
                file: path.display().to_string(),
                size: bytes.len() as u64,
                limit: MAX_TEXT_FILE,
            });
        }
        Ok(Some(Cow::Owned(bytes)))
    }

    /// The whole of a text file that the model cannot do without.
    pub fn require(&self, name: &'static str) -> Result<Cow<'static, [u8]>, LoadError> {
        self.read(name)?.ok_or_else(|| LoadError::MissingFile { file: name.into(), place: self.place() })
    }

    /// Where the files are, for a person.
    pub fn place(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::Bundled(_) => "the bundled model".to_owned(),
        }
    }

    /// A file's name as errors give it: with its folder, where it has one.
    pub fn display(&self, name: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(name).display().to_string(),
            Self::Bundled(_) => name.to_owned(),
        }
    }
}
