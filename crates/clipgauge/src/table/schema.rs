//! Whether two tables have the same columns, so that they go into one.

use std::fmt;

#[cfg(feature = "parquet")]
use arrow_schema::SchemaRef;
#[cfg(feature = "parquet")]
use parquet::schema::types::TypePtr;

/// The columns of a table.
#[derive(Debug)]
pub(super) enum Schema {
    /// Each row names its own.
    PerRow,
    /// Names alone.
    Names(Vec<String>),
    /// Columns that are copied as Parquet has them.
    #[cfg(feature = "parquet")]
    Parquet(TypePtr),
    /// Columns of Arrow's types.
    #[cfg(feature = "parquet")]
    Arrow(SchemaRef),
}

/// The first difference between two tables' columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnDifference {
    /// A column of another name stands in the place of one.
    Name {
        /// The place, from 1.
        place: usize,
        /// The name that it has.
        is: String,
        /// The name that the first table's has.
        not: String,
    },
    /// A column has another type, or may be null where the other may not.
    Type {
        /// The column.
        column: String,
        /// Its type.
        is: String,
        /// Its type in the first table.
        not: String,
    },
    /// There is no such column.
    Lacks(String),
    /// There is a column more.
    More(String),
    /// The two are of different formats.
    Format,
}

impl fmt::Display for ColumnDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { place, is, not } => write!(f, "column {place} is `{is}`, not `{not}`"),
            Self::Type { column, is, not } => write!(f, "`{column}` is {is}, not {not}"),
            Self::Lacks(column) => write!(f, "it lacks `{column}`"),
            Self::More(column) => write!(f, "it has `{column}` more"),
            Self::Format => f.write_str("they are of another kind"),
        }
    }
}

impl Schema {
    /// How another table differs from this one, if it does.
    pub(super) fn difference(&self, other: &Self) -> Option<ColumnDifference> {
        match (self, other) {
            (Self::PerRow, Self::PerRow) => None,
            (Self::Names(names), Self::Names(others)) => {
                let column = |name: &String| (name.clone(), String::new());
                first_difference(names.iter().map(column), others.iter().map(column))
            }
            #[cfg(feature = "parquet")]
            (Self::Parquet(schema), Self::Parquet(other)) => {
                // A root has a name of its own, which says who wrote it.
                let column = |field: &TypePtr| (field.name().to_owned(), shown(field));
                first_difference(schema.get_fields().iter().map(column), other.get_fields().iter().map(column))
            }
            #[cfg(feature = "parquet")]
            (Self::Arrow(schema), Self::Arrow(other)) => {
                let column = |field: &std::sync::Arc<arrow_schema::Field>| {
                    let nullable = if field.is_nullable() { "" } else { ", never null" };
                    (field.name().clone(), format!("{}{nullable}", field.data_type()))
                };
                first_difference(schema.fields().iter().map(column), other.fields().iter().map(column))
            }
            _ => Some(ColumnDifference::Format),
        }
    }
}

/// A column of Parquet with all that its copy depends on.
#[cfg(feature = "parquet")]
fn shown(field: &TypePtr) -> String {
    let mut text = Vec::new();
    parquet::schema::printer::print_schema(&mut text, field);
    String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn first_difference(
    columns: impl Iterator<Item = (String, String)>,
    others: impl Iterator<Item = (String, String)>,
) -> Option<ColumnDifference> {
    let (mut columns, mut others) = (columns, others);
    let mut place = 0;
    loop {
        place += 1;
        match (columns.next(), others.next()) {
            (None, None) => return None,
            (Some((name, _)), None) => return Some(ColumnDifference::Lacks(name)),
            (None, Some((name, _))) => return Some(ColumnDifference::More(name)),
            (Some((not, _)), Some((is, _))) if is != not => return Some(ColumnDifference::Name { place, is, not }),
            (Some((column, not)), Some((_, is))) if is != not => {
                return Some(ColumnDifference::Type { column, is, not });
            }
            (Some(_), Some(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_told() {
        let names = |names: &[&str]| Schema::Names(names.iter().map(|name| (*name).to_owned()).collect());
        let first = names(&["url", "caption"]);
        for (other, told) in [
            (names(&["url", "caption"]), None),
            (names(&["url", "text"]), Some("column 2 is `text`, not `caption`")),
            (names(&["url"]), Some("it lacks `caption`")),
            (names(&["url", "caption", "x"]), Some("it has `x` more")),
            (Schema::PerRow, Some("they are of another kind")),
        ] {
            assert_eq!(first.difference(&other).map(|difference| difference.to_string()).as_deref(), told);
        }
        assert_eq!(Schema::PerRow.difference(&Schema::PerRow), None);
    }
}
