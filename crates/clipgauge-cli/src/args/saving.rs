//! The flags of a run that keeps pictures.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use clap::{Args, ValueHint};
use clipgauge::options::SaveImages;
use clipgauge::save_images::DEFAULT_SHARD_SIZE;

use crate::value;

#[derive(Debug, Args)]
#[command(next_help_heading = "Saved pictures")]
pub(crate) struct SavingArgs {
    /// Also save the pictures of rows that are scored and pass the filters, as WebDataset shards in DIR
    ///
    /// DIR/00000.tar and so on, as img2dataset writes them: each picture as it was fetched, with its caption as .txt and a
    /// .json with key, caption, url, scores, width, height, content hash and the table's other columns. A shard appears
    /// when it is full. With --shard I/N their names begin with the part, DIR/I-00000.tar. Shards that are there are not
    /// written over, and --resume does not go with it.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) save_images: Option<PathBuf>,

    /// Make pictures smaller whose shorter edge has more pixels; they become JPEG
    #[arg(long, value_name = "PX", requires = "save_images", value_parser = value::pixels)]
    pub(crate) save_image_size: Option<NonZeroU32>,

    /// How many pictures a shard has
    #[arg(
        long,
        value_name = "N",
        requires = "save_images",
        default_value_t = DEFAULT_SHARD_SIZE,
        value_parser = value::at_least_one
    )]
    pub(crate) save_shard_size: NonZeroUsize,
}

impl SavingArgs {
    /// What the flags say.
    pub(crate) fn save_images(self) -> Option<SaveImages> {
        let Self { save_images, save_image_size: size, save_shard_size: shard_size } = self;
        save_images.map(|folder| SaveImages { folder, size, shard_size })
    }
}
