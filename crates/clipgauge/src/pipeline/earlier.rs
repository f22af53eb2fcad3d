//! The scores of an earlier output, read beside its input, for a run that only does the failed rows again.

use std::path::Path;

use super::ScoreTableError;
use crate::cancel::Cancel;
use crate::options::{Input, Output, ScoreOptions};
use crate::row::{Row, RowImage};
use crate::stats::Stats;
use crate::table::{self, OpenTable, ReadTable, TableError, TableFormat};

/// Why an earlier output cannot be gone on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EarlierError {
    /// There is none.
    #[error("{output} is not there, so that no row of it has failed; run it without --retry-failed first")]
    NotThere {
        /// The output.
        output: String,
    },
    /// It cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// It lacks a column.
    #[error(
        "{output} is no output of {input} with these options: it has no column `{column}`; give those that it was made with"
    )]
    NoColumn {
        /// The output.
        output: String,
        /// The input.
        input: String,
        /// The column.
        column: String,
    },
    /// A row of it is another one.
    #[error(
        "{output} is no output of {input}: in row {row}, its {what} is another; name the input that it was made of"
    )]
    OtherRow {
        /// The output.
        output: String,
        /// The input.
        input: String,
        /// The row's number from 1.
        row: u64,
        /// What differs.
        what: &'static str,
    },
    /// It has another number of rows.
    #[error("{output} is no output of {input}: it has {} rows; name the input that it was made of", if *has_more { "more" } else { "fewer" })]
    OtherLength {
        /// The output.
        output: String,
        /// The input.
        input: String,
        /// Whether it has more.
        has_more: bool,
    },
}

impl EarlierError {
    /// Whether another command line would mend it.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Table(error) => error.is_usage(),
            _ => true,
        }
    }
}

/// The scores of an earlier output, row by row.
pub(super) struct EarlierScores {
    table: Box<dyn ReadTable>,
    /// What the output and the input are called.
    names: [String; 2],
    /// Where the scores are.
    columns: Vec<usize>,
    /// Whether the image's cell is as it was in the input; where columns with types became text, it may not be.
    has_images: bool,
}

impl EarlierScores {
    /// Opens the output of the run that these options are of.
    pub(super) fn open(options: &ScoreOptions) -> Result<Self, EarlierError> {
        let (path, [from, to]) = (place(options), table::formats_of(options)?);
        let names = [path.display().to_string(), options.input.to_string()];
        if !path.exists() {
            return Err(EarlierError::NotThere { output: names[0].clone() });
        }
        let earlier = ScoreOptions {
            input: Input::File(path.to_owned()),
            output: Output::Stdout,
            format: Some(to),
            delimiter: options.delimiter.filter(|_| from == to),
            overwrite: true,
            shard: None,
            ..options.clone()
        };
        let OpenTable { reader, layout } = table::open_with_texts(&earlier)?;
        let there = layout.names();
        let lacks = |column: &str| EarlierError::NoColumn {
            output: names[0].clone(),
            input: names[1].clone(),
            column: column.to_owned(),
        };
        let place = |column: &str| there.iter().position(|name| name == column).ok_or_else(|| lacks(column));
        let scores = options.score_columns();
        let columns = scores.iter().map(|column| place(&column.name)).collect::<Result<_, _>>()?;
        options.error_column.as_deref().map_or(Ok(0), place)?;
        let is_typed = |format| matches!(format, TableFormat::Parquet | TableFormat::Arrow);
        Ok(Self { table: reader, names, columns, has_images: from == to || !is_typed(from) })
    }

    /// The scores of the next row, which `row` is in the input; `None` if it failed.
    pub(super) fn next(&mut self, row: &Row) -> Result<Option<Vec<f32>>, EarlierError> {
        let Some(earlier) = self.table.read()? else { return Err(self.other_length(false)) };
        // An empty cell of text may have been a null.
        let caption = |row: &Row| row.caption.clone().unwrap_or_default();
        let image = |row: &Row| row.image.clone().unwrap_or(RowImage::Address(String::new()));
        let different = match () {
            () if caption(&earlier) != caption(row) => Some("caption"),
            () if self.has_images && image(&earlier) != image(row) => Some("image"),
            () => None,
        };
        if let Some(what) = different {
            let [output, input] = self.names.clone();
            return Err(EarlierError::OtherRow { output, input, row: row.number, what });
        }
        let texts = earlier.record.texts();
        let score = |column: &usize| texts.get(*column)?.as_deref()?.trim().parse().ok();
        Ok(self.columns.iter().map(score).collect())
    }

    /// Makes sure that no row follows.
    pub(super) fn end(&mut self) -> Result<(), EarlierError> {
        match self.table.read()? {
            Some(_) => Err(self.other_length(true)),
            None => Ok(()),
        }
    }

    fn other_length(&self, has_more: bool) -> EarlierError {
        let [output, input] = self.names.clone();
        EarlierError::OtherLength { output, input, has_more }
    }
}

/// Goes over the input and its earlier output once, before anything that takes long, to make sure that they belong
/// together; counts the rows that have scores, and returns how many have none. `None` for an input that can be read but
/// once.
pub(super) fn count_failed(
    options: &ScoreOptions,
    stats: &Stats,
    cancel: &Cancel,
) -> Result<Option<u64>, ScoreTableError> {
    if options.input.read_once().is_some() {
        return Ok(None);
    }
    let (mut earlier, mut failed) = (EarlierScores::open(options)?, 0);
    let mut input = table::open_with_texts(options)?.reader;
    // Of 10^8 rows this takes minutes.
    while let Some(row) = input.read()? {
        if cancel.is_requested() {
            return Err(ScoreTableError::Interrupted);
        }
        match earlier.next(&row)? {
            Some(scores) => stats.scored(&scores),
            None => failed += 1,
        }
    }
    earlier.end()?;
    Ok(Some(failed))
}

/// Where the output is.
fn place(options: &ScoreOptions) -> &Path {
    options.output_file().unwrap_or(Path::new(""))
}
