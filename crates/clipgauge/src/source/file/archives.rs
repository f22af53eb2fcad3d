//! Files in tars: `shards/00000.tar/cat.jpg` is the member `cat.jpg` of the tar `shards/00000.tar`.
//!
//! A tar has no list of what is in it. It is read through once, by whoever comes first, and where each member stands is
//! kept, so that every other row costs one read.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{failure, shown};
use crate::generations::Generations;
use crate::members::{Kind, Members};
use crate::row::{RowError, RowErrorKind};
use crate::source::too_large;

/// The memory that lists of members may take, in bytes.
const BUDGET: usize = 256 << 20;

/// What a member takes in a list, roughly.
const MEMBER_COST: usize = 64;

/// The most members that a tar may have, so that its list can be kept: about two million.
const MAX_MEMBERS: usize = BUDGET / 2 / MEMBER_COST - 1;

/// A place in a tar.
#[derive(Debug)]
pub(super) struct Place {
    archive: PathBuf,
    /// The member's name, with `/` between its parts.
    member: Vec<u8>,
}

impl Place {
    /// What a path names that goes on behind a tar's name; `None` for one that does not.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let is_tar = |path: &&Path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tar"));
        let is_file = |path: &&Path| fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
        let archive = path.ancestors().skip(1).filter(is_tar).find(is_file)?;
        let member = path.strip_prefix(archive).ok()?;
        let parts: Vec<_> = member.iter().map(|part| part.as_encoded_bytes()).collect();
        Some(Self { archive: archive.to_owned(), member: parts.join(&b'/') })
    }
}

/// The lists of the tars that were read from lately.
#[derive(Debug)]
pub(super) struct Archives(Mutex<Generations<Key, Kept>>);

/// A list, once it is read.
type Kept = Arc<OnceLock<List>>;

impl Archives {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Generations::new(BUDGET)))
    }

    /// The bytes of a member, if they are no more than `max_bytes`.
    pub(super) fn read(&self, place: &Place, max_bytes: u64) -> Result<Vec<u8>, RowError> {
        let archive = &*place.archive;
        let kept = self.list(archive);
        let list = kept.wait();
        let name = || String::from_utf8_lossy(&place.member);
        let Some(found) = list.members.get(&key(&place.member)) else {
            return Err(list.failure.clone().unwrap_or_else(|| {
                RowError::new(RowErrorKind::NotFound, format!("there is no file `{}` in {}", name(), shown(archive)))
            }));
        };
        let Found::File { start, size } = *found else {
            let message = format!("`{}` in {} is not a whole file", name(), shown(archive));
            return Err(RowError::new(RowErrorKind::BadAddress, message));
        };
        if size > max_bytes {
            return Err(too_large(size, max_bytes));
        }
        read_at(archive, start, size).map_err(|error| failure(archive, &error))
    }

    /// Where a tar's members stand. Who comes while another reads it waits for that.
    fn list(&self, archive: &Path) -> Kept {
        let key = key(archive.as_os_str().as_encoded_bytes());
        // No panic can leave them half-changed.
        let lists = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = {
            let mut lists = lists();
            lists.get(&key).unwrap_or_else(|| {
                let kept = Kept::default();
                lists.put(key, kept.clone(), MEMBER_COST);
                kept
            })
        };
        if kept.get().is_none() {
            let list = kept.get_or_init(|| List::read(archive));
            lists().put(key, kept.clone(), (list.members.len() + 1) * MEMBER_COST);
        }
        kept
    }
}

fn read_at(archive: &Path, start: u64, size: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(archive)?;
    file.seek(SeekFrom::Start(start))?;
    // No more than is allowed of an image.
    let mut bytes = vec![0; size as usize];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The beginning of a name's BLAKE3 hash: names may be long, and made by anybody.
type Key = [u8; 16];

/// The key of a name, whether or not it begins with `./` or has an empty part in it.
fn key(name: &[u8]) -> Key {
    let mut hasher = blake3::Hasher::new();
    for part in name.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && part != b".") {
        hasher.update(part).update(b"/");
    }
    let mut key = Key::default();
    hasher.finalize_xof().fill(&mut key);
    key
}

/// Where the members of a tar stand.
#[derive(Debug, Default)]
struct List {
    members: HashMap<Key, Found>,
    /// Why there may be more than these.
    failure: Option<RowError>,
}

/// A member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// A file, whose data begin at this byte of the tar.
    File { start: u64, size: u64 },
    /// A folder, a link, a file with holes.
    Other,
}

impl List {
    fn read(archive: &Path) -> Self {
        let mut list = Self::default();
        let file = match File::open(archive) {
            Ok(file) => file,
            Err(error) => {
                list.failure = Some(failure(archive, &error));
                return list;
            }
        };
        let mut members = Members::new(Box::new(file));
        loop {
            match members.next() {
                Ok(None) => break,
                Ok(Some(_)) if list.members.len() >= MAX_MEMBERS => {
                    let message = format!("{} has more than {MAX_MEMBERS} members", shown(archive));
                    list.failure = Some(RowError::new(RowErrorKind::TooLarge, message));
                    break;
                }
                // Of two members with one name, the last is it, as if the tar were unpacked.
                Ok(Some(member)) => {
                    let found = match member.kind {
                        Kind::File => Found::File { start: members.position(), size: member.size },
                        Kind::Sparse | Kind::Other => Found::Other,
                    };
                    list.members.insert(key(&member.name), found);
                }
                Err(error) => {
                    let message = format!("{} is damaged: {error}", shown(archive));
                    list.failure = Some(RowError::new(RowErrorKind::Corrupt, message));
                    break;
                }
            }
        }
        list
    }
}
