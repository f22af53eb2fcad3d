//! The flags that choose rows and columns.

use std::num::{NonZeroU32, NonZeroUsize};

use clap::Args;
use clipgauge::filters::{Filters, PictureLimits, Sample};

use crate::value;

/// The names of one value.
type Names = Vec<String>;

#[derive(Debug, Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct FilterArgs {
    /// Take only the first N rows of the table
    #[arg(long, value_name = "N", value_parser = value::at_least_one)]
    pub(crate) limit: Option<NonZeroUsize>,

    /// Take only N rows, drawn at random and kept in their order; of the first ones with --limit
    ///
    /// All of them, if there are fewer. The rows are counted first, so that the table has to be a file.
    #[arg(long, value_name = "N", value_parser = value::at_least_one)]
    pub(crate) sample: Option<NonZeroUsize>,

    /// What the draw of --sample starts from: another number, other rows
    #[arg(long, value_name = "S", default_value_t = 0, requires = "sample")]
    pub(crate) seed: u64,

    /// Write only rows whose first score is at least X; rows that fail are not written either
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = value::number::<f32>)]
    pub(crate) min_score: Option<f32>,

    /// Write only rows whose first score is at most X; rows that fail are not written either
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = value::number::<f32>)]
    pub(crate) max_score: Option<f32>,

    /// Write only the best part of all scored rows, by the first score: 0.1 for a tenth
    ///
    /// Of N scored rows F times N, rounded to the nearest whole number (halves up), but at least one; of equal scores the first
    /// ones. The best are those with the highest scores, or for a metric of which less is better with the lowest. The
    /// table is read twice, so that it has to be a file, and nothing is written before the last row is scored.
    #[arg(long, value_name = "F", value_parser = value::number::<f64>)]
    pub(crate) top_fraction: Option<f64>,

    /// Score and write only rows whose picture's shorter edge has at least so many pixels
    #[arg(long, value_name = "PX", value_parser = value::pixels)]
    pub(crate) min_image_size: Option<NonZeroU32>,

    /// Score and write only rows whose picture's longer edge is at most R times the shorter
    #[arg(long, value_name = "R", value_parser = value::number::<f64>)]
    pub(crate) max_aspect_ratio: Option<f64>,

    /// Write only these columns of the table, and those that are added: id,url
    ///
    /// May be repeated. They stay in the order of the table. A name with a comma is quoted as in CSV: '"a, b",url'.
    #[arg(long, value_name = "NAMES", value_parser = value::names)]
    pub(crate) keep_columns: Option<Vec<Names>>,
}

impl FilterArgs {
    /// The filters that the flags say.
    pub(crate) fn filters(&self) -> Filters {
        Filters {
            limit: self.limit,
            sample: self.sample.map(|rows| Sample { rows, seed: self.seed }),
            min_score: self.min_score,
            max_score: self.max_score,
            top_fraction: self.top_fraction,
            pictures: PictureLimits { min_size: self.min_image_size, max_aspect_ratio: self.max_aspect_ratio },
            keep_columns: self.keep_columns.as_ref().map(|names| names.concat()),
        }
    }
}
