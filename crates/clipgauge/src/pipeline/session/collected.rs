//! The end of the way for pairs in memory: what each gets is kept.

use super::RowResults;
use crate::diagnostics::Diagnostics;
use crate::pipeline::compute::Values;
use crate::pipeline::rows::WriteRows;
use crate::pipeline::saving::Spooled;
use crate::row::RowError;
use crate::table::{Record, TableError};

/// Results in the order of the pairs.
pub(super) struct Collected<'a>(pub(super) &'a mut RowResults);

impl WriteRows for Collected<'_> {
    fn write(
        &mut self,
        _: Record,
        values: Result<&Values, &RowError>,
        _: &Diagnostics,
        _: Option<Spooled>,
    ) -> Result<(), TableError> {
        self.0.push(match values {
            Ok(Values::Scores(numbers) | Values::Image(numbers)) => Ok(numbers.clone()),
            Ok(Values::Dropped(_)) => unreachable!("only rows of tables are dropped"),
            #[cfg(feature = "parquet")]
            Ok(Values::Vectors(_)) => unreachable!("vectors of pairs are kept in files"),
            Err(error) => Err(error.clone()),
        });
        Ok(())
    }

    fn flush(&mut self) -> Result<(), TableError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), TableError> {
        Ok(())
    }

    fn finish_early(&mut self) -> Result<(), TableError> {
        Ok(())
    }
}
