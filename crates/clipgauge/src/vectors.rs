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

/// The names, where each later one of the same name has a number behind it, as pandas reads such tables.
pub(crate) fn distinct(names: Vec<String>) -> Vec<String> {
    let mut taken: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        let mut numbered = (1..).map(|number: u32| format!("{name}.{number}"));
        let free = match taken.contains(&name) {
            false => name.clone(),
            true => numbered.find(|name| !taken.contains(name)).unwrap_or(name.clone()),
        };
        taken.push(free);
    }
    taken
}

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
    fn columns_of_one_name_are_numbered() {
        let names = ["a", "b", "a", "a.1", "a"].map(str::to_owned).to_vec();
        assert_eq!(distinct(names), ["a", "b", "a.1", "a.1.1", "a.2"]);
    }

    #[test]
    fn normalized_vectors_have_length_one() {
        assert_eq!(normalized(&[3.0, -4.0]), [0.6, -0.8]);
        assert_eq!(normalized(&[0.0, 0.0]), [0.0, 0.0]);
        // The squares are beyond what 32 bits hold.
        assert_eq!(normalized(&[1e30, 0.0]), [1.0, 0.0]);
        assert_eq!(normalized(&[1e-30, 0.0]), [1.0, 0.0]);
    }
}
