//! A part of a table, one of so many, so that a table can be scored by several runs and put together again.

pub(crate) mod note;

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

pub use note::ShardNote;

/// One of the parts of a table: contiguous rows, the same in every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: NonZeroU32,
}

impl Shard {
    /// The part `index`, from 0, of `count`; `None` if there are no more than `index`.
    pub fn new(index: u32, count: NonZeroU32) -> Option<Self> {
        (index < count.get()).then_some(Self { index, count })
    }

    /// Which one it is, from 0.
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many there are.
    pub fn count(self) -> NonZeroU32 {
        self.count
    }

    /// Which part has what begins at `start` of `total`.
    pub(crate) fn place(self, start: u64, total: u64) -> u32 {
        let place = u128::from(start) * u128::from(self.count.get()) / u128::from(total.max(1));
        u32::try_from(place).unwrap_or(u32::MAX).min(self.count.get() - 1)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// Text that names no part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a shard is its number from 0, a slash and how many there are: 0/4, 1/4, 2/4, 3/4")]
pub struct NoShard;

impl FromStr for Shard {
    type Err = NoShard;

    fn from_str(text: &str) -> Result<Self, NoShard> {
        let (index, count) = text.split_once('/').ok_or(NoShard)?;
        let shard = Self::new(index.parse().map_err(|_| NoShard)?, count.parse().map_err(|_| NoShard)?);
        shard.ok_or(NoShard)
    }
}
