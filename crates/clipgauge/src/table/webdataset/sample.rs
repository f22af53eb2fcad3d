//! Samples: members that follow each other and have one key, by the rules of the `webdataset` library
//! (`tariterators.py`: `base_plus_ext` and `group_by_keys`).

use std::io;

use bytes::Bytes;
use tar::Header;

use crate::options::{DEFAULT_CAPTION_COLUMN, DEFAULT_IMAGE_COLUMN, ScoreOptions};
use crate::picture;

use super::raw::{Limits, Piece, Raw};
use crate::members::{Kind, Member, Members};

/// The extension of a caption.
pub(super) const TEXT: &str = "txt";

/// The extension of what else is known of a sample.
pub(super) const JSON: &str = "json";

/// The most extensions of a sample that are told to a person.
const MAX_TOLD: usize = 8;

/// Splits a name into its key, up to the first dot of the file's name, and its extension, in lower case; `None` for what
/// is of no sample: without a dot, hidden, or between double underscores.
pub(super) fn split(name: &[u8]) -> Option<(&[u8], String)> {
    let start = name.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let dot = start + name[start..].iter().position(|byte| *byte == b'.')?;
    let first = name.split(|byte| *byte == b'/').next().unwrap_or(name);
    let is_note = first.len() >= 4 && first.starts_with(b"__") && first.ends_with(b"__");
    if dot == start || is_note {
        return None;
    }
    Some((&name[..dot], String::from_utf8_lossy(&name[dot + 1..]).to_lowercase()))
}

/// Which members of a sample are looked at.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Extensions of the image; the first that is there counts.
    images: Vec<String>,
    /// The extension of the caption.
    caption: String,
    /// The field of the JSON with the caption, where there is no such member.
    pub(super) field: String,
}

impl Wanted {
    pub(super) fn new(options: &ScoreOptions) -> Self {
        let images = match options.image_column.as_str() {
            DEFAULT_IMAGE_COLUMN => picture::EXTENSIONS.iter().map(|extension| (*extension).to_owned()).collect(),
            extension => vec![extension.to_lowercase()],
        };
        let caption = match options.caption_column.as_str() {
            DEFAULT_CAPTION_COLUMN => TEXT.to_owned(),
            extension => extension.to_lowercase(),
        };
        Self { images, caption, field: options.caption_column.clone() }
    }
}

/// A member that was looked for.
#[derive(Debug)]
pub(super) enum Found {
    /// Its bytes are here.
    Here(Bytes),
    /// It has more bytes than are allowed.
    TooLarge(u64),
    /// It is stored without its holes.
    Sparse,
}

/// A member of a sample, by its extension.
#[derive(Debug)]
struct Part {
    extension: String,
    name: String,
    found: Found,
}

/// Members with one key.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) key: Vec<u8>,
    /// All members as they stand, where they are to be written again.
    pub(super) raw: Raw,
    /// The members that are looked at.
    parts: Vec<Part>,
    /// Where the JSON is.
    pub(super) json: Option<JsonMember>,
    /// The header of the first file, of which that of a new one is made.
    pub(super) template: Header,
    /// An extension that is there twice.
    pub(super) duplicate: Option<String>,
    /// The extensions of all, as far as they are told.
    extensions: Vec<String>,
}

/// The JSON of a sample among its members.
#[derive(Debug)]
pub(super) struct JsonMember {
    /// Its place.
    pub(super) piece: usize,
    pub(super) name: Vec<u8>,
    /// The blocks before it.
    pub(super) blocks: Vec<u8>,
    /// Whether its size stands in a note among them.
    pub(super) has_size_note: bool,
}

impl Sample {
    fn new(key: &[u8], raw: Raw, member: &Member) -> Self {
        Self {
            key: key.to_owned(),
            raw,
            parts: Vec::new(),
            json: None,
            template: member.header.clone(),
            duplicate: None,
            extensions: Vec::new(),
        }
    }

    fn part(&self, extension: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.extension == extension)
    }

    /// The image, and what its member is called.
    pub(super) fn image(&self, wanted: &Wanted) -> Option<(&Found, &str)> {
        let part = wanted.images.iter().find_map(|extension| self.part(extension))?;
        Some((&part.found, &part.name))
    }

    /// The member with the caption.
    pub(super) fn caption(&self, wanted: &Wanted) -> Option<&Found> {
        self.part(&wanted.caption).map(|part| &part.found)
    }

    /// The member with this extension, if it is one of those that are looked at.
    pub(super) fn found(&self, extension: &str) -> Option<&Found> {
        self.part(extension).map(|part| &part.found)
    }

    /// The extensions of its members, as a person is told them.
    pub(super) fn told_extensions(&self) -> &[String] {
        &self.extensions
    }

    fn note(&mut self, extension: &str) {
        if self.extensions.len() < MAX_TOLD && !self.extensions.iter().any(|known| known == extension) {
            self.extensions.push(extension.to_owned());
        }
    }
}

/// Reads a tar sample by sample.
pub(super) struct Samples {
    members: Members,
    wanted: Wanted,
    /// Whether members are to be written again.
    keeps: bool,
    limits: Limits,
    current: Option<Sample>,
    /// What came before the first sample.
    lead: Raw,
    /// What went wrong behind a sample that is whole.
    failure: Option<io::Error>,
}

impl Samples {
    pub(super) fn new(members: Members, wanted: Wanted, keeps: bool, limits: Limits) -> Self {
        Self { members, wanted, keeps, limits, current: None, lead: Raw::default(), failure: None }
    }

    pub(super) fn position(&self) -> u64 {
        self.members.position()
    }

    /// What is of no sample, in a tar without one.
    pub(super) fn take_rest(&mut self) -> Raw {
        std::mem::take(&mut self.lead)
    }

    /// The next sample; `None` behind the last.
    pub(super) fn next(&mut self) -> io::Result<Option<Sample>> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        while let Some(member) = self.members.next()? {
            let of_sample = split(&member.name).filter(|_| member.kind != Kind::Other);
            let Some((key, extension)) = of_sample else {
                self.pass(&member)?;
                continue;
            };
            let done = self.current.take_if(|current| current.key != key);
            let (lead, current) = (&mut self.lead, &mut self.current);
            current.get_or_insert_with(|| Sample::new(key, std::mem::take(lead), &member));
            let added = self.add(&member, &extension);
            if done.is_some() {
                // That one is whole, whatever follows.
                self.failure = added.err();
                return Ok(done);
            }
            added?;
        }
        Ok(self.current.take())
    }

    /// Takes a member that is of no sample, and does not end one.
    fn pass(&mut self, member: &Member) -> io::Result<()> {
        if !self.keeps {
            return Ok(());
        }
        let raw = self.current.as_mut().map_or(&mut self.lead, |sample| &mut sample.raw);
        match raw.fits(member, self.limits) {
            true => raw.hold(member, &mut self.members, true).map(drop),
            false => raw.spill(member, &mut self.members),
        }
    }

    /// Takes a member of the current sample.
    fn add(&mut self, member: &Member, extension: &str) -> io::Result<()> {
        let Some(sample) = &mut self.current else { return Ok(()) };
        sample.note(extension);
        let Wanted { images, caption, .. } = &self.wanted;
        let is_wanted =
            images.iter().any(|image| image == extension) || [caption.as_str(), TEXT, JSON].contains(&extension);
        let is_first = sample.part(extension).is_none();
        if is_wanted && !is_first {
            sample.duplicate.get_or_insert_with(|| extension.to_owned());
        }
        let is_looked_at = is_wanted && is_first;
        let found = match (sample.raw.fits(member, self.limits), self.keeps) {
            (true, keeps) if keeps || is_looked_at => {
                let data = sample.raw.hold(member, &mut self.members, keeps)?;
                match member.kind {
                    Kind::File => Found::Here(data),
                    _ => Found::Sparse,
                }
            }
            (true, _) => return Ok(()),
            (false, keeps) => {
                if keeps {
                    sample.raw.spill(member, &mut self.members)?;
                }
                Found::TooLarge(member.size)
            }
        };
        if !is_looked_at {
            return Ok(());
        }
        let is_held = matches!(sample.raw.pieces.last(), Some(Piece::Held(_)));
        if extension == JSON && is_held && matches!(found, Found::Here(_)) {
            sample.json = Some(JsonMember {
                piece: sample.raw.pieces.len() - 1,
                name: member.name.clone(),
                blocks: member.blocks.clone(),
                has_size_note: member.has_size_note,
            });
        }
        let name = String::from_utf8_lossy(&member.name).into_owned();
        sample.parts.push(Part { extension: extension.to_owned(), name, found });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_as_webdataset_splits_them() {
        // Each as `webdataset.tariterators.base_plus_ext` has it, but for what its `tar_file_iterator` leaves out, and for
        // hidden files in folders, of which it makes samples called `dir/`.
        for (name, key) in [
            ("a.jpg", Some(("a", "jpg"))),
            ("dir/a.JPG", Some(("dir/a", "jpg"))),
            ("d.ir/a.seg.png", Some(("d.ir/a", "seg.png"))),
            ("../../x.txt", Some(("../../x", "txt"))),
            ("/abs/x.txt", Some(("/abs/x", "txt"))),
            ("a.", Some(("a", ""))),
            ("a b.c d", Some(("a b", "c d"))),
            ("README", None),
            ("dir.d/README", None),
            ("dir/.hidden", None),
            (".a.jpg", None),
            ("__meta__/x.json", None),
            ("__index__", None),
            ("__a.jpg", Some(("__a", "jpg"))),
            ("", None),
        ] {
            let found = split(name.as_bytes());
            let found =
                found.as_ref().map(|(key, extension)| (std::str::from_utf8(key).expect("UTF-8"), extension.as_str()));
            assert_eq!(found, key, "{name}");
        }
    }
}
