//! Pictures of rows that pass on their way into shards. A sample is made where its row was computed, waits on the disk
//! until its row's turn comes, and is copied into its shard then: in memory, it would hold up the rows behind it.

mod image_spool;
mod sample;
mod shards;

use crate::diagnostics::Diagnostics;
use crate::filters::Filters;
use crate::options::ScoreOptions;
use crate::row::Row;
use crate::save_images::SaveImages;
use crate::table::TableError;

use super::compute::Values;
use super::rows::drop_reason;
use image_spool::ImageSpool;
pub(super) use image_spool::{Spooled, SpooledAt};
use sample::Samples;
pub(super) use shards::ImageShards;

/// Makes the samples of rows that pass, for all computing threads.
pub(super) struct Saver {
    samples: Samples,
    spool: ImageSpool,
    filters: Filters,
}

impl Saver {
    /// For a table with these columns.
    pub(super) fn new(options: &ScoreOptions, saved: &SaveImages, columns: Vec<String>) -> Self {
        // Until the best rows are known nothing of them can go: then they need not lie in pieces either.
        let is_kept_whole = options.filters.top_fraction.is_some();
        Self {
            samples: Samples::new(options, saved, columns),
            spool: ImageSpool::new(&saved.folder, is_kept_whole),
            filters: options.filters.clone(),
        }
    }

    /// Lays aside the picture of the row `index` (from 0) of the run with all that goes with it, if the row passes.
    ///
    /// # Errors
    ///
    /// The disk fails.
    pub(super) fn save(
        &self,
        row: &Row,
        index: u64,
        picture: &[u8],
        values: &Values,
        known: &Diagnostics,
    ) -> Result<Option<Spooled>, TableError> {
        if drop_reason(&self.filters, Ok(values)).is_some() {
            return Ok(None);
        }
        self.spool.put(&self.samples.sample(row, index, picture, values.scores(), known)).map(Some)
    }
}
