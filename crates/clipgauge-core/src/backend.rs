//! The operations that encoders are made of, and the place where they are implemented.
//!
//! A family of models is written once, over [`Backend`]; a backend knows no family and no picture. Activations are
//! [`Rows`]: one row of numbers per token, the tokens of all items of a batch one after the other, with
//! nothing between them.

use std::ops::Range;

pub mod cpu;
mod rows;

pub use rows::Rows;

/// Functions between two linear layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x · sigmoid(1.702 x)`, OpenAI's approximation of GELU.
    QuickGelu,
    /// `x · Φ(x)` with the error function.
    Gelu,
    /// GELU by `tanh`, `gelu_new` and `gelu_pytorch_tanh` in Hugging Face's configurations.
    GeluTanh,
}

impl Activation {
    /// Reads the name that `hidden_act` has in Hugging Face's configurations.
    pub fn from_hidden_act(name: &str) -> Option<Self> {
        match name {
            "quick_gelu" => Some(Self::QuickGelu),
            "gelu" => Some(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Some(Self::GeluTanh),
            _ => None,
        }
    }

    /// The names that [`from_hidden_act`](Self::from_hidden_act) reads.
    pub const HIDDEN_ACTS: &str = "quick_gelu, gelu, gelu_new, gelu_pytorch_tanh";
}

/// The parameters of a layer norm.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm {
    /// `[width]`
    pub gain: Vec<f32>,
    /// `[width]`
    pub bias: Vec<f32>,
    /// Added to the variance.
    pub epsilon: f32,
}

/// Some columns of some rows: the queries, keys or values within what one linear layer gave.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    /// The rows.
    pub rows: &'a Rows,
    /// The first of the columns; there are as many as the attention's output is wide.
    pub start: usize,
}

/// Which token attends to which: within its own item, and there to all tokens or to those up to itself.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// Heads that the columns are divided into.
    pub heads: usize,
    /// Where the queries of each item end.
    pub query_ends: &'a [usize],
    /// Where the keys and values of each item end.
    pub key_ends: &'a [usize],
    /// Whether query `i` of an item sees its keys up to `i` only. Then an item has as many queries as keys.
    pub is_causal: bool,
}

/// Where each item lies, from where each ends.
pub fn spans(ends: &[usize]) -> impl Iterator<Item = Range<usize>> {
    std::iter::once(0).chain(ends.iter().copied()).zip(ends).map(|(start, &end)| start..end)
}

/// The operations. What an operation gives for a row never depends on the other rows of a batch, bit for bit.
///
/// The shapes are the caller's to get right; an implementation panics on those that do not fit.
pub trait Backend: Send + Sync + 'static {
    /// A linear layer in the form that the backend computes with.
    type Linear: Send + Sync;

    /// Prepares a linear layer: `weight` is `[outputs, inputs]` as PyTorch stores it, `bias` `[outputs]`.
    fn prepare_linear(&self, weight: Vec<f32>, bias: Option<Vec<f32>>, inputs: usize) -> Self::Linear;

    /// `output = input · weightᵀ + bias`
    fn linear(&self, input: &Rows, layer: &Self::Linear, output: &mut Rows);

    /// `residual += input · weightᵀ + bias`
    fn linear_add(&self, input: &Rows, layer: &Self::Linear, residual: &mut Rows);

    /// `residual += contract(activation(expand(input)))`: the two linear layers of a transformer block.
    fn feed_forward(
        &self,
        input: &Rows,
        expand: &Self::Linear,
        activation: Activation,
        contract: &Self::Linear,
        residual: &mut Rows,
    );

    /// `output = (input - mean) / √(variance + epsilon) · gain + bias`, row by row.
    fn layer_norm(&self, input: &Rows, norm: &LayerNorm, output: &mut Rows);

    /// `output = softmax(queries · keysᵀ / √head_width) · values`, item by item and head by head. The output's width
    /// is the caller's to set, its length becomes that of the queries.
    fn attention(
        &self,
        queries: Columns<'_>,
        keys: Columns<'_>,
        values: Columns<'_>,
        attention: &Attention<'_>,
        output: &mut Rows,
    );
}
