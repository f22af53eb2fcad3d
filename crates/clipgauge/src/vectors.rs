//! The vectors of images and captions as files: a Parquet table, or a folder of numpy arrays as clip-retrieval has it.
//!
//! Both are written as the rows come, in memory that does not grow with the table.

mod folder;
mod npy;
mod parquet;

pub use folder::{DEFAULT_PART_ROWS, FolderOptions, VectorFolder};
pub use npy::{NpyFile, NpyType};
pub use parquet::{Column, ParquetFile, Value};
pub(crate) use parquet::{of_arrow, of_parquet};

/// The vectors of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct PairVectors {
    /// The image's.
    pub image: Vec<f32>,
    /// The caption's.
    pub text: Vec<f32>,
}

impl PairVectors {
    /// The same directions at length 1.
    #[must_use]
    pub fn normalized(&self) -> Self {
        Self { image: normalized(&self.image), text: normalized(&self.text) }
    }
}

/// A vector of the same direction and length 1; one of zeros stays as it is. The length is summed in 64 bits, in order.
#[must_use]
pub fn normalized(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    let scale = if length == 0.0 { 1.0 } else { 1.0 / length };
    vector.iter().map(|number| (f64::from(*number) * scale) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalized_vectors_have_length_one() {
        assert_eq!(normalized(&[3.0, -4.0]), [0.6, -0.8]);
        assert_eq!(normalized(&[0.0, 0.0]), [0.0, 0.0]);
        // The squares are beyond what 32 bits hold.
        assert_eq!(normalized(&[1e30, 0.0]), [1.0, 0.0]);
        assert_eq!(normalized(&[1e-30, 0.0]), [1.0, 0.0]);
    }
}
