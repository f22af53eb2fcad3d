//! An object that is read here and there, as a table with its directory at the end is: in blocks, of which the latest are
//! kept, so that small reads beside each other are one request.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::table::ObjectTable;

/// How much is asked for at once, in bytes.
const BLOCK: u64 = 4 << 20;

/// How many blocks are kept. A few places are read on from at once: one for each column, and one that copies.
const MAX_BLOCKS: usize = 8;

/// An object without a cursor; clones share their blocks.
#[derive(Debug, Clone)]
pub(crate) struct RangedObject {
    table: ObjectTable,
    blocks: Arc<Mutex<Blocks>>,
}

/// The latest blocks, the one that was used last at the end.
#[derive(Debug, Default)]
struct Blocks(Vec<(u64, Bytes)>);

impl Blocks {
    fn get(&mut self, index: u64) -> Option<Bytes> {
        let place = self.0.iter().position(|(known, _)| *known == index)?;
        let block = self.0.remove(place);
        let bytes = block.1.clone();
        self.0.push(block);
        Some(bytes)
    }

    fn put(&mut self, index: u64, bytes: Bytes) {
        self.0.retain(|(known, _)| *known != index);
        if self.0.len() == MAX_BLOCKS {
            self.0.remove(0);
        }
        self.0.push((index, bytes));
    }
}

impl RangedObject {
    /// Nothing was read yet.
    pub(crate) fn new(table: ObjectTable) -> Self {
        Self { table, blocks: Arc::default() }
    }

    /// How many bytes it has.
    pub(crate) fn size(&self) -> u64 {
        self.table.size()
    }

    /// Reads from a place on, as much as is at hand there; nothing at the end.
    pub(crate) fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.size() || into.is_empty() {
            return Ok(0);
        }
        let block = self.block(offset / BLOCK)?;
        let there = block.get((offset % BLOCK) as usize..).unwrap_or_default();
        let count = there.len().min(into.len());
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the store sends less than it says it has"));
        }
        into[..count].copy_from_slice(&there[..count]);
        Ok(count)
    }

    fn block(&self, index: u64) -> io::Result<Bytes> {
        let lock = || self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = lock().get(index) {
            return Ok(block);
        }
        // Without the lock, so that others can go on with what is there.
        let start = index * BLOCK;
        let block = self.table.range(start..(start + BLOCK).min(self.size()))?;
        lock().put(index, block.clone());
        Ok(block)
    }
}
