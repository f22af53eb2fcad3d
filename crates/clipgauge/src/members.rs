//! The members of a tar as a stream, each with the blocks before its data as they stand.
//!
//! Headers are taken apart by the `tar` crate; which of them belong together is decided here, so that they can be written
//! again byte for byte, and so that nothing of a hostile one is read into memory unbounded. The rules are those of POSIX
//! (`pax`, "ustar Interchange Format") and of GNU tar's manual; where readers differ, those of Python's `tarfile`, with
//! which WebDataset reads.

use std::io::{self, BufRead, BufReader, Read, Write};

use tar::{EntryType, GnuExtSparseHeader, Header};

/// What a tar is made of, in bytes.
pub(crate) const BLOCK: usize = 512;

/// The most bytes that stand before a member's data: long names, notes and maps of sparse files.
const MAX_BLOCKS: usize = 1 << 20;

/// How much is read at once.
const READ_BUFFER: usize = 256 << 10;

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file, whole.
    File,
    /// A file whose holes are left out.
    Sparse,
    /// A folder, a link, or something else that is no file.
    Other,
}

/// A member without its data.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its whole name.
    pub(crate) name: Vec<u8>,
    pub(crate) kind: Kind,
    /// How many bytes of data it has in the tar.
    pub(crate) size: u64,
    /// Its own header.
    pub(crate) header: Header,
    /// Everything before the data; the member's own header is the last block of a member that is a whole file.
    pub(crate) blocks: Vec<u8>,
    /// Whether the size stands in a note rather than in the header.
    pub(crate) has_size_note: bool,
}

/// A size with what fills up its last block; `None` if there is no such number.
pub(crate) fn padded(size: u64) -> Option<u64> {
    size.checked_next_multiple_of(BLOCK as u64)
}

/// Reads a tar member by member.
pub(crate) struct Members {
    input: BufReader<Box<dyn Read + Send>>,
    position: u64,
    /// What is left of the current member's data, and of what fills up its last block.
    data: u64,
    padding: u64,
    is_ended: bool,
}

impl Members {
    pub(crate) fn new(input: Box<dyn Read + Send>) -> Self {
        let input = BufReader::with_capacity(READ_BUFFER, input);
        Self { input, position: 0, data: 0, padding: 0, is_ended: false }
    }

    /// How many bytes were read.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next member; `None` behind the last. What is left of the data of the one before is passed over.
    pub(crate) fn next(&mut self) -> io::Result<Option<Member>> {
        self.write_data(&mut io::sink())?;
        let mut before = Before::default();
        loop {
            if self.is_ended || !self.read_header(&mut before.blocks)? {
                self.is_ended = true;
                return if before.blocks.is_empty() { Ok(None) } else { Err(cut()) };
            }
            let start = before.blocks.len() - BLOCK;
            let header = Header::from_byte_slice(&before.blocks[start..]).clone();
            match header.entry_type() {
                EntryType::GNULongName => before.long_name = Some(self.read_note(&header, &mut before.blocks)?),
                EntryType::XHeader => before.note = Some(self.read_note(&header, &mut before.blocks)?),
                // What it says of all members is of no use here: neither names nor sizes are ever in it.
                EntryType::XGlobalHeader | EntryType::GNULongLink => {
                    self.read_note(&header, &mut before.blocks)?;
                }
                _ => return self.member(before, &header).map(Some),
            }
        }
    }

    /// Puts a member together whose header was read.
    fn member(&mut self, mut before: Before, header: &Header) -> io::Result<Member> {
        let note = before.note.as_deref().map(Note::read).transpose()?.unwrap_or_default();
        let mut kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous if note.is_sparse => Kind::Sparse,
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::GNUSparse => Kind::Sparse,
            _ => Kind::Other,
        };
        if header.entry_type() == EntryType::GNUSparse {
            self.read_sparse_map(header, &mut before.blocks)?;
        }
        let size = match header.entry_type() {
            // Whatever their headers say.
            EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo => 0,
            _ => note.size.map_or_else(|| header.entry_size(), Ok)?,
        };
        let name = before.long_name.or(note.name).unwrap_or_else(|| header.path_bytes().into_owned());
        if name.ends_with(b"/") {
            kind = Kind::Other;
        }
        self.data = size;
        self.padding = padded(size).ok_or_else(|| broken("a member's size is no possible one"))? - size;
        let header = header.clone();
        Ok(Member { name, kind, size, header, blocks: before.blocks, has_size_note: note.size.is_some() })
    }

    /// Appends the current member's data.
    pub(crate) fn read_data(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        let read = self.input.by_ref().take(self.data).read_to_end(into)? as u64;
        self.position += read;
        self.data -= read;
        if self.data > 0 { Err(cut()) } else { Ok(()) }
    }

    /// Writes what is left of the current member's data, and reads what fills up its last block.
    pub(crate) fn write_data(&mut self, out: &mut impl Write) -> io::Result<()> {
        let copied = io::copy(&mut self.input.by_ref().take(self.data), out)?;
        self.position += copied;
        self.data -= copied;
        if self.data > 0 {
            return Err(cut());
        }
        // Nothing is lost with the end of the last block.
        self.position += io::copy(&mut self.input.by_ref().take(self.padding), &mut io::sink())?;
        self.padding = 0;
        Ok(())
    }

    /// Appends a header that may be one; `false` at the end.
    fn read_header(&mut self, blocks: &mut Vec<u8>) -> io::Result<bool> {
        if self.input.fill_buf()?.is_empty() {
            return Ok(false);
        }
        self.read_block(blocks)?;
        let block = &blocks[blocks.len() - BLOCK..];
        if block.iter().all(|byte| *byte == 0) {
            blocks.truncate(blocks.len() - BLOCK);
            return Ok(false);
        }
        let header = Header::from_byte_slice(block);
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        // The sum is that with blanks in its own place.
        let is = sum(&block[..148]) + 8 * u32::from(b' ') + sum(&block[156..]);
        match header.cksum() {
            Ok(said) if said == is => Ok(true),
            _ => Err(broken("a member's header has a wrong sum")),
        }
    }

    fn read_block(&mut self, blocks: &mut Vec<u8>) -> io::Result<()> {
        if blocks.len() + BLOCK > MAX_BLOCKS {
            return Err(broken("a member's headers are longer than any name"));
        }
        let read = self.input.by_ref().take(BLOCK as u64).read_to_end(blocks)?;
        self.position += read as u64;
        if read < BLOCK { Err(cut()) } else { Ok(()) }
    }

    /// Reads the data of a header that says something of the next one.
    fn read_note(&mut self, header: &Header, blocks: &mut Vec<u8>) -> io::Result<Vec<u8>> {
        let size = usize::try_from(header.entry_size()?).unwrap_or(usize::MAX);
        let start = blocks.len();
        if size > MAX_BLOCKS {
            return Err(broken("a member's headers are longer than any name"));
        }
        while blocks.len() - start < size {
            self.read_block(blocks)?;
        }
        let note = &blocks[start..start + size];
        let is_name = header.entry_type() == EntryType::GNULongName;
        let end = note.iter().position(|byte| is_name && *byte == 0).unwrap_or(note.len());
        Ok(note[..end].to_vec())
    }

    fn read_sparse_map(&mut self, header: &Header, blocks: &mut Vec<u8>) -> io::Result<()> {
        let mut is_extended = header.as_gnu().is_some_and(tar::GnuHeader::is_extended);
        while is_extended {
            self.read_block(blocks)?;
            let mut map = GnuExtSparseHeader::new();
            map.as_mut_bytes().copy_from_slice(&blocks[blocks.len() - BLOCK..]);
            is_extended = map.is_extended();
        }
        Ok(())
    }
}

/// What was read before a member's own header.
#[derive(Default)]
struct Before {
    blocks: Vec<u8>,
    long_name: Option<Vec<u8>>,
    note: Option<Vec<u8>>,
}

/// What a PAX header says of a member, as far as it matters.
#[derive(Default)]
struct Note {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    is_sparse: bool,
}

impl Note {
    fn read(mut note: &[u8]) -> io::Result<Self> {
        let (mut read, mut sparse_name) = (Self::default(), None);
        while note.first().is_some_and(|byte| *byte != 0) {
            let (key, value, rest) = keyword(note).ok_or_else(|| broken("a member's notes are no notes"))?;
            note = rest;
            match key {
                b"path" => read.name = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                    read.size = Some(size.ok_or_else(|| broken("a member's size is no number"))?);
                }
                b"GNU.sparse.name" => sparse_name = Some(value.to_vec()),
                key if key.starts_with(b"GNU.sparse.") => read.is_sparse = true,
                _ => {}
            }
        }
        read.is_sparse |= sparse_name.is_some();
        read.name = sparse_name.or(read.name);
        Ok(read)
    }
}

/// The first of the lines `LENGTH KEY=VALUE` of a PAX header, and what is behind it. By its length, since a value may have
/// line feeds in it, which `tar::PaxExtensions` takes for ends.
fn keyword(note: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = note.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&note[..blank]).ok()?.parse().ok()?;
    let line = note.get(blank + 1..length)?.strip_suffix(b"\n")?;
    let equals = line.iter().position(|byte| *byte == b'=')?;
    Some((&line[..equals], &line[equals + 1..], &note[length..]))
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it ends within a member")
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
