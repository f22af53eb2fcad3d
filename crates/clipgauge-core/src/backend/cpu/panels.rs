//! The right-hand matrix of a product in the order in which the kernel reads it: panels of a few columns, each with
//! its rows one after the other.

use super::vector_lanes;

/// Numbers in a cache line. Panels begin at one, so that no vector of them lies across two.
const LINE: usize = 16;

/// Where numbers lie: `rows` of some width, each `stride` after the one before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strided<'a> {
    pub(super) values: &'a [f32],
    pub(super) rows: usize,
    pub(super) stride: usize,
}

impl<'a> Strided<'a> {
    /// Rows that lie without a gap.
    pub(super) fn dense(values: &'a [f32], width: usize) -> Self {
        assert!(values.len().is_multiple_of(width), "{} numbers are not rows of {width}", values.len());
        Self { values, rows: values.len() / width, stride: width }
    }

    fn row(self, index: usize, width: usize) -> &'a [f32] {
        &self.values[index * self.stride..][..width]
    }
}

/// A matrix `[depth, columns]`, packed: panels of [`panel_width`] columns, the last one filled up with zeros.
#[derive(Default)]
pub(super) struct Panels {
    /// With the panels from `start` on.
    buffer: Vec<f32>,
    start: usize,
    depth: usize,
    columns: usize,
}

impl Panels {
    /// Packs the transpose of `[columns, depth]`, each number times `factor`.
    pub(super) fn pack_transposed(&mut self, rows: Strided<'_>, depth: usize, factor: f32) {
        let width = self.set_shape(depth, rows.rows);
        for (index, panel) in self.values_mut().chunks_exact_mut(width * depth).enumerate() {
            let columns = index * width..rows.rows.min((index + 1) * width);
            // A cache line of each row at a time: what is read and what is written then both stay in the first-level
            // cache.
            for first in (0..depth).step_by(LINE) {
                let until = depth.min(first + LINE);
                for (column, row) in columns.clone().enumerate() {
                    let numbers = &rows.row(row, depth)[first..until];
                    let targets = panel[first * width + column..].iter_mut().step_by(width);
                    targets.zip(numbers).for_each(|(target, number)| *target = number * factor);
                }
            }
        }
    }

    /// Packs `[depth, columns]`.
    pub(super) fn pack(&mut self, rows: Strided<'_>, columns: usize) {
        let width = self.set_shape(rows.rows, columns);
        for (index, panel) in self.values_mut().chunks_exact_mut(width * rows.rows).enumerate() {
            let range = index * width..columns.min((index + 1) * width);
            for (row, target) in panel.chunks_exact_mut(width).enumerate() {
                target[..range.len()].copy_from_slice(&rows.row(row, columns)[range.clone()]);
            }
        }
    }

    /// Makes room, and zeros what no column fills. Returns the width of a panel.
    fn set_shape(&mut self, depth: usize, columns: usize) -> usize {
        let width = panel_width();
        (self.depth, self.columns) = (depth, columns);
        self.buffer.clear();
        self.buffer.resize(columns.next_multiple_of(width) * depth + LINE, 0.0);
        self.start = self.buffer.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        width
    }

    /// Rows of the matrix.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Columns of the matrix, without what fills up the last panel.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// All panels, one after the other.
    pub(super) fn values(&self) -> &[f32] {
        &self.buffer[self.start..][..self.columns.next_multiple_of(panel_width()) * self.depth]
    }

    fn values_mut(&mut self) -> &mut [f32] {
        &mut self.buffer[self.start..][..self.columns.next_multiple_of(panel_width()) * self.depth]
    }
}

/// Columns of a panel: as many vectors as one tile of the kernel is wide.
pub(super) fn panel_width() -> usize {
    let lanes = vector_lanes();
    lanes * vectors(lanes)
}

/// Vectors that a tile is wide, by the numbers in a vector: with six rows, the sums fill the registers.
pub(super) const fn vectors(lanes: usize) -> usize {
    match lanes {
        16 => 4,
        4 if cfg!(target_arch = "aarch64") => 4,
        _ => 2,
    }
}
