//! Members kept as they stand until they are written again: in memory as far as there is room, else in a file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use bytes::Bytes;

use crate::members::{BLOCK, Member, Members, padded};

/// What the members of a sample may take in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The most bytes of one member.
    pub(super) member: u64,
    /// The most bytes of all.
    pub(super) sample: u64,
}

/// Members in their order.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) pieces: Vec<Piece>,
    /// How many bytes are in memory.
    held: u64,
    /// What does not fit. It has no name, and is gone with its last handle.
    spill: Option<File>,
    spilled: u64,
}

/// Members, or one of them.
#[derive(Debug)]
pub(super) enum Piece {
    /// In memory.
    Held(Bytes),
    /// In the file.
    Spilled { start: u64, length: u64 },
}

impl Raw {
    /// How much memory they take.
    pub(super) fn size(&self) -> usize {
        usize::try_from(self.held).unwrap_or(usize::MAX) + self.pieces.len() * size_of::<Piece>()
    }

    /// Whether a member has room in memory.
    pub(super) fn fits(&self, member: &Member, limits: Limits) -> bool {
        member.size <= limits.member && self.held.saturating_add(whole_size(member)) <= limits.sample
    }

    /// Takes the member that `members` is at, which fits, and gives its data. It is written again only if it `is_kept`.
    pub(super) fn hold(&mut self, member: &Member, members: &mut Members, is_kept: bool) -> io::Result<Bytes> {
        let mut bytes = if is_kept { member.blocks.clone() } else { Vec::new() };
        let start = bytes.len();
        members.read_data(&mut bytes)?;
        let end = bytes.len();
        if is_kept {
            bytes.resize(start + (end - start).next_multiple_of(BLOCK), 0);
        }
        bytes.shrink_to_fit();
        let bytes = Bytes::from(bytes);
        self.held += bytes.len() as u64;
        if is_kept {
            self.pieces.push(Piece::Held(bytes.clone()));
        }
        Ok(bytes.slice(start..end))
    }

    /// Takes the member that `members` is at, whatever its size.
    pub(super) fn spill(&mut self, member: &Member, members: &mut Members) -> io::Result<()> {
        let file = match &mut self.spill {
            Some(file) => file,
            None => self.spill.insert(tempfile::tempfile()?),
        };
        file.write_all(&member.blocks)?;
        members.write_data(file)?;
        let padding = padded(member.size).unwrap_or(member.size) - member.size;
        io::copy(&mut io::repeat(0).take(padding), file)?;
        let length = whole_size(member);
        match self.pieces.last_mut() {
            Some(Piece::Spilled { length: so_far, .. }) => *so_far += length,
            _ => self.pieces.push(Piece::Spilled { start: self.spilled, length }),
        }
        self.spilled += length;
        Ok(())
    }

    /// Writes a piece as it stood; gives how many bytes it has.
    pub(super) fn write(&self, piece: &Piece, out: &mut dyn Write) -> io::Result<u64> {
        match (piece, &self.spill) {
            (Piece::Held(bytes), _) => out.write_all(bytes).map(|()| bytes.len() as u64),
            (Piece::Spilled { start, length }, Some(file)) => {
                let mut file = file;
                file.seek(SeekFrom::Start(*start))?;
                io::copy(&mut file.take(*length), out)
            }
            (Piece::Spilled { .. }, None) => Ok(0),
        }
    }
}

fn whole_size(member: &Member) -> u64 {
    (member.blocks.len() as u64).saturating_add(padded(member.size).unwrap_or(u64::MAX))
}
