//! Several tables that become one: their columns have to be the same.
//!
//! Tables of the output's own format stay as they are, byte for byte or as they are encoded; others become texts on the
//! way, as a single one does.

use crate::options::{Output, Part, ScoreOptions};
use crate::table::schema::Schema;
use crate::table::{
    Layout, MoreSources, OpenTable, ReadTable, TableError, TableFormat, format_of, open_keeping, output_format,
};

use super::{OpenPart, SeveralReader, can_be_checked, check};

/// Opens tables that become one.
pub(in crate::table) fn open(parts: &[Part], options: &ScoreOptions) -> Result<OpenTable, TableError> {
    let formats = formats_of(parts, options)?;
    let target = target_of(parts, &formats, options)?;
    let is_converted = formats.iter().any(|format| *format != Some(target));
    let OpenTable { reader, layout } = open_keeping_all(parts, options, is_converted)?;
    let layout = match is_converted {
        true => layout.converted(target),
        false => layout,
    };
    Ok(OpenTable { reader, layout })
}

/// The same for tables that are only read, with the texts of their rows.
pub(in crate::table) fn open_keeping_all(
    parts: &[Part],
    options: &ScoreOptions,
    keeps_rows: bool,
) -> Result<OpenTable, TableError> {
    let opener = Joined { options: options.clone(), keeps_rows, first: None };
    let mut reader = SeveralReader::begin(parts, opener, false)?;
    for part in parts.iter().skip(1).filter(|part| can_be_checked(part)) {
        reader.opener.check(part)?;
    }
    let layout = reader.opener.first.as_mut().and_then(|first| first.layout.take());
    let layout = layout.expect("the first table was opened");
    Ok(OpenTable { reader: Box::new(reader), layout })
}

fn formats_of(parts: &[Part], options: &ScoreOptions) -> Result<Vec<Option<TableFormat>>, TableError> {
    parts.iter().map(|part| format_of(&part_options(part, options))).collect()
}

/// The options of one of the tables.
fn part_options(part: &Part, options: &ScoreOptions) -> ScoreOptions {
    ScoreOptions { input: part.input.clone(), ..options.clone() }
}

/// The format of the one table: what its name says, else that of the first.
fn target_of(
    parts: &[Part],
    formats: &[Option<TableFormat>],
    options: &ScoreOptions,
) -> Result<TableFormat, TableError> {
    let first = formats.first().copied().flatten();
    let named = match &options.output {
        Output::File(path) => output_format(path, first, options)?,
        _ => None,
    };
    let target = named.or(first).unwrap_or(TableFormat::Csv);
    for (part, format) in parts.iter().zip(formats) {
        // Columns with types keep them, and lines of JSON have no columns: those only go with their own kind.
        let is_mixed = *format != formats[0];
        let keeps_apart = matches!(target, TableFormat::Parquet | TableFormat::Arrow)
            || [*format, formats[0]].contains(&Some(TableFormat::Jsonl));
        if (is_mixed && keeps_apart) || (named.is_none() && format.is_some_and(|format| !format.becomes(target))) {
            return Err(TableError::FormatsDiffer {
                first: parts[0].input.to_string(),
                name: part.input.to_string(),
                formats: [formats[0], *format].map(|format| format.unwrap_or(TableFormat::Csv)),
            });
        }
        if let (Output::File(path), Some(format)) = (&options.output, format)
            && !format.becomes(target)
        {
            return Err(TableError::OutputFormat {
                output: path.display().to_string(),
                named: target,
                format: *format,
            });
        }
    }
    Ok(target)
}

/// Opens each table as the first one was.
struct Joined {
    options: ScoreOptions,
    keeps_rows: bool,
    first: Option<First>,
}

/// The first table, which decides what the one table looks like.
struct First {
    name: String,
    names: Vec<String>,
    schema: Schema,
    more: MoreSources,
    /// Until the writer has it.
    layout: Option<Layout>,
}

impl Joined {
    fn open_like_first(&self, part: &Part) -> Result<OpenTable, TableError> {
        let options = part_options(part, &self.options);
        let table = open_keeping(&options, format_of(&options)?, self.keeps_rows)?;
        if let Some(first) = &self.first
            && let Some(difference) = first.schema.difference(&table.layout.schema(self.keeps_rows))
        {
            return Err(TableError::ColumnsDiffer {
                first: first.name.clone(),
                name: part.input.to_string(),
                difference: Box::new(difference),
            });
        }
        Ok(table)
    }

    /// Makes sure that a table can be read when its turn comes.
    fn check(&self, part: &Part) -> Result<(), TableError> {
        check(&part_options(part, &self.options), || self.open_like_first(part).map(drop))
    }
}

impl OpenPart for Joined {
    fn open(&mut self, part: &Part) -> Result<(Box<dyn ReadTable>, Vec<String>), TableError> {
        let OpenTable { mut reader, mut layout } = self.open_like_first(part)?;
        let names = layout.names();
        match &mut self.first {
            Some(first) => {
                reader.keep_columns(&first.names);
                first.more.add(layout);
            }
            None => {
                let (schema, name) = (layout.schema(self.keeps_rows), part.input.to_string());
                let more = if self.keeps_rows { MoreSources::default() } else { layout.join_more(&name)? };
                self.first = Some(First { name, names: names.clone(), schema, more, layout: Some(layout) });
            }
        }
        Ok((reader, names))
    }
}
