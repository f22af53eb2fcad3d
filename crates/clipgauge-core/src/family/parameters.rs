//! Parameters by name: from a model's tensors to what the operations take.

use crate::backend::{Backend, LayerNorm, Rows};
use crate::error::LoadError;
use crate::weights::Weights;

/// The tensors of a model, and the backend that they are made ready for.
pub(crate) struct Parameters<'a, B: Backend> {
    pub(crate) weights: &'a Weights,
    pub(crate) backend: &'a B,
}

impl<B: Backend> Parameters<'_, B> {
    /// A vector.
    pub(crate) fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        self.weights.f32(name, &[len])
    }

    /// The one number of a tensor, whether that is a scalar or a vector of one.
    pub(crate) fn number(&self, name: &str) -> Result<f32, LoadError> {
        let shape: &[usize] = if self.weights.shape(name).is_some_and(<[_]>::is_empty) { &[] } else { &[1] };
        Ok(self.weights.f32(name, shape)?[0])
    }

    /// A table of embeddings, a row each.
    pub(crate) fn table(&self, name: &str, rows: usize, width: usize) -> Result<Rows, LoadError> {
        Ok(Rows::from_values(self.weights.f32(name, &[rows, width])?, width))
    }

    /// A layer norm, `NAME.weight` and `NAME.bias`.
    pub(crate) fn norm(&self, name: &str, width: usize, epsilon: f32) -> Result<LayerNorm, LoadError> {
        let gain = self.vector(&format!("{name}.weight"), width)?;
        Ok(LayerNorm { gain, bias: self.vector(&format!("{name}.bias"), width)?, epsilon })
    }

    /// The linear layer `NAME.weight` (`[outputs, inputs]`) with `NAME.bias`.
    pub(crate) fn linear(&self, name: &str, outputs: usize, inputs: usize) -> Result<B::Linear, LoadError> {
        let matrix = self.matrix(&format!("{name}.weight"), outputs, inputs)?;
        let bias = self.vector(&format!("{name}.bias"), outputs)?;
        Ok(self.backend.prepare_linear(matrix, Some(bias), inputs))
    }

    /// Several linear layers of the same inputs as one, their outputs side by side.
    pub(crate) fn linear_of(&self, names: &[String], outputs: usize, inputs: usize) -> Result<B::Linear, LoadError> {
        let (mut matrix, mut bias) = (Vec::new(), Vec::new());
        for name in names {
            matrix.extend(self.matrix(&format!("{name}.weight"), outputs, inputs)?);
            bias.extend(self.vector(&format!("{name}.bias"), outputs)?);
        }
        Ok(self.backend.prepare_linear(matrix, Some(bias), inputs))
    }

    /// The linear layer `NAME.weight` (`[outputs, inputs]`), which has no bias.
    pub(crate) fn projection(&self, name: &str, outputs: usize, inputs: usize) -> Result<B::Linear, LoadError> {
        let matrix = self.matrix(&format!("{name}.weight"), outputs, inputs)?;
        Ok(self.backend.prepare_linear(matrix, None, inputs))
    }

    /// The linear layer whose matrix is stored as `[inputs, outputs]` under `name` alone, without a bias.
    pub(crate) fn transposed_projection(
        &self,
        name: &str,
        outputs: usize,
        inputs: usize,
    ) -> Result<B::Linear, LoadError> {
        let stored = self.matrix(name, inputs, outputs)?;
        let columns = (0..outputs).flat_map(|output| stored.iter().skip(output).step_by(outputs));
        Ok(self.backend.prepare_linear(columns.copied().collect(), None, inputs))
    }

    /// A matrix, row-major.
    pub(crate) fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Vec<f32>, LoadError> {
        self.weights.f32(name, &[rows, columns])
    }
}
