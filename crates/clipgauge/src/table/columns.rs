//! Which columns of a table are read and where the new ones go, whatever the table's format.

use crate::options::{AddedColumn, ScoreOptions};

use super::TableError;
use super::cell::CellKind;
use super::error::ColumnFlag;
use super::kept::Kept;

/// The columns of one table, as indices from 0.
#[derive(Debug)]
pub(super) struct Columns {
    /// The one with the image's address.
    pub(super) image: usize,
    /// The one with the caption.
    pub(super) caption: usize,
    /// Those that are added, in their order.
    pub(super) added: Vec<Added>,
    /// Those of the table that are written.
    pub(super) kept: Kept,
}

/// A column that is written.
#[derive(Debug)]
pub(super) struct Added {
    /// Its name.
    pub(super) name: String,
    /// What it holds.
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "cells of text need not be told apart"))]
    pub(super) kind: CellKind,
    /// The column whose place it takes; `None` for a place behind all others.
    pub(super) replaces: Option<usize>,
}

impl Columns {
    /// Finds the columns of `options` among the names of a table.
    pub(super) fn find(names: &[String], options: &ScoreOptions) -> Result<Self, TableError> {
        let header = Header { names, options };
        let image = header.needed(&options.image_column, ColumnFlag::Image)?;
        let caption = header.needed(&options.caption_column, ColumnFlag::Caption)?;
        let added = options.added_columns();
        let added = added.into_iter().map(|column| header.added(column)).collect::<Result<Vec<_>, _>>()?;
        let kept = match &options.filters.keep_columns {
            Some(wanted) => header.kept(wanted, &added)?,
            None => Kept::default(),
        };
        Ok(Self { image, caption, added, kept })
    }
}

struct Header<'a> {
    names: &'a [String],
    options: &'a ScoreOptions,
}

impl Header<'_> {
    fn needed(&self, column: &str, flag: ColumnFlag) -> Result<usize, TableError> {
        self.only(column, flag)?.ok_or_else(|| self.missing(column, flag))
    }

    fn missing(&self, column: &str, flag: ColumnFlag) -> TableError {
        TableError::MissingColumn {
            name: self.options.input.to_string(),
            column: column.to_owned(),
            flag,
            there: self.names.to_vec(),
            nearest: self.nearest(column, flag).cloned(),
        }
    }

    fn added(&self, AddedColumn { name, kind, flag }: AddedColumn) -> Result<Added, TableError> {
        let replaces = self.only(&name, flag);
        if !self.options.replaces_columns() && !matches!(replaces, Ok(None)) {
            return Err(TableError::ColumnExists { name: self.options.input.to_string(), column: name, flag });
        }
        Ok(Added { name, kind, replaces: replaces? })
    }

    /// The columns of these names. Of two with one name, both stay.
    fn kept(&self, wanted: &[String], added: &[Added]) -> Result<Kept, TableError> {
        match wanted.iter().find(|name| !self.names.contains(name)) {
            Some(column) => Err(self.missing(column, ColumnFlag::Keep)),
            None => Ok(Kept::only(self.names, wanted, added)),
        }
    }

    /// The column of this name. Two are an error only here, where one of them is needed.
    fn only(&self, column: &str, flag: ColumnFlag) -> Result<Option<usize>, TableError> {
        let mut found = self.names.iter().enumerate().filter(|(_, name)| *name == column).map(|(index, _)| index);
        let first = found.next();
        match found.count() {
            0 => Ok(first),
            more => Err(TableError::DuplicateColumn {
                name: self.options.input.to_string(),
                column: column.to_owned(),
                count: more + 1,
                flag,
            }),
        }
    }

    /// The column that is most likely meant, if one is likely: it is spelt nearly so, or is called what others call it.
    fn nearest(&self, column: &str, flag: ColumnFlag) -> Option<&String> {
        let taken = match flag {
            ColumnFlag::Image => Some(&self.options.caption_column),
            ColumnFlag::Keep => None,
            _ => Some(&self.options.image_column),
        };
        let plain = |name: &str| name.trim().to_lowercase();
        let free = || self.names.iter().filter(|name| Some(*name) != taken);
        let likeness = |name: &str| strsim::normalized_damerau_levenshtein(&plain(name), &plain(column));
        let alike = free().filter(|name| likeness(name) >= ALIKE).max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        let familiar = match flag {
            ColumnFlag::Image => IMAGE_NAMES,
            ColumnFlag::Keep => &[],
            _ => CAPTION_NAMES,
        };
        alike.or_else(|| familiar.iter().find_map(|known| free().find(|name| plain(name) == *known)))
    }
}

/// From which likeness (0 to 1) a name is taken for a slip of another.
const ALIKE: f64 = 0.6;

/// What image columns are called elsewhere, the likelier first.
const IMAGE_NAMES: &[&str] =
    &["url", "image_url", "image", "image_path", "img", "path", "file_name", "filename", "file", "uri", "link"];

/// What caption columns are called elsewhere, the likelier first.
const CAPTION_NAMES: &[&str] =
    &["caption", "text", "prompt", "title", "alt", "alt_text", "description", "top_caption", "label"];
