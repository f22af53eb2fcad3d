//! Which of a table's columns are written, whatever the table's format.

use super::columns::Added;

/// The columns of a table that stay; by default all.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Option<Vec<bool>>);

impl Kept {
    /// Only those of `names` that `wanted` lists; and those that an added one takes the place of, since that is where
    /// it is written.
    pub(super) fn only(names: &[String], wanted: &[String], added: &[Added]) -> Self {
        let stays = |(index, name): (usize, &String)| {
            wanted.contains(name) || added.iter().any(|column| column.replaces == Some(index))
        };
        Self(Some(names.iter().enumerate().map(stays).collect()))
    }

    /// Whether all columns stay, those beyond the header too.
    pub(super) fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the column with this index stays.
    pub(super) fn has(&self, column: usize) -> bool {
        self.0.as_ref().is_none_or(|kept| kept.get(column).copied().unwrap_or(false))
    }

    /// What stays of things that there are one for each column.
    pub(super) fn of<T>(&self, columns: impl IntoIterator<Item = T>) -> Vec<T> {
        columns.into_iter().enumerate().filter(|(index, _)| self.has(*index)).map(|(_, column)| column).collect()
    }
}
