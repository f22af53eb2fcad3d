//! Activations: rows of numbers of one width.

/// Rows of numbers, `[len, width]`, row-major. The memory is kept when the shape changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    values: Vec<f32>,
    width: usize,
}

impl Rows {
    /// No rows of this width.
    pub fn new(width: usize) -> Self {
        Self { values: Vec::new(), width }
    }

    /// Takes `values` as rows of `width` numbers.
    ///
    /// # Panics
    /// When `width` does not divide the number of values.
    pub fn from_values(values: Vec<f32>, width: usize) -> Self {
        assert!(width > 0 && values.len().is_multiple_of(width), "{} values are not rows of {width}", values.len());
        Self { values, width }
    }

    /// Sets the number of rows. What they hold afterwards is for the caller to write.
    pub fn set_len(&mut self, len: usize) {
        self.values.resize(len * self.width, 0.0);
    }

    /// Appends a row.
    ///
    /// # Panics
    /// When the row has another width.
    pub fn push(&mut self, row: &[f32]) {
        assert_eq!(row.len(), self.width, "a row of another width");
        self.values.extend_from_slice(row);
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// One row.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..][..self.width]
    }

    /// One row, to be written.
    pub fn row_mut(&mut self, index: usize) -> &mut [f32] {
        &mut self.values[index * self.width..][..self.width]
    }

    /// All numbers.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All numbers, to be written.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The numbers alone.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// The rows of these numbers, in this order.
    pub fn gather(&self, indices: impl IntoIterator<Item = usize>) -> Self {
        let mut gathered = Self::new(self.width);
        indices.into_iter().for_each(|index| gathered.push(self.row(index)));
        gathered
    }
}
