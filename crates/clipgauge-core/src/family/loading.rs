//! What is loaded side by side: the parts of a model, and the blocks of a tower. Packing a weight is the processor's
//! work, and reading it the disk's; with several threads neither waits for the other.
//!
//! Threads are those of rayon's current pool, which [`load_with`](super::load_with) makes.

use std::num::NonZeroUsize;
use std::thread;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::error::LoadError;
use crate::precision::Precision;

/// The most threads that load a model. Each holds a matrix as it is read beside the same one packed; more threads than
/// these would wait for the memory and take more of it.
const MAX_THREADS: usize = 4;

/// How many of a tower's blocks are loaded before it is looked whether one failed.
const AT_ONCE: usize = 48;

/// How a model is made ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// How many threads load at once; beyond a few, more make no difference.
    pub threads: NonZeroUsize,
    /// What the linear layers are computed in.
    pub precision: Precision,
}

impl Default for LoadOptions {
    /// A thread for each core, and linear layers in f32.
    fn default() -> Self {
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { threads, precision: Precision::default() }
    }
}

/// Does the work with so many threads for [`together`] and [`each`].
pub(super) fn with_threads<R: Send>(threads: NonZeroUsize, work: impl FnOnce() -> R + Send) -> R {
    match rayon::ThreadPoolBuilder::new().num_threads(threads.get().min(MAX_THREADS)).build() {
        Ok(pool) => pool.install(work),
        // No thread can be had: the model is the same without them.
        Err(_) => work(),
    }
}

/// The parts of a model: its image tower, its text tower, its spec.
pub(super) fn together<I: Send, T: Send, S: Send>(
    image: impl FnOnce() -> Result<I, LoadError> + Send,
    text: impl FnOnce() -> Result<T, LoadError> + Send,
    spec: impl FnOnce() -> Result<S, LoadError> + Send,
) -> Result<(I, T, S), LoadError> {
    let (image, (text, spec)) = rayon::join(image, || rayon::join(text, spec));
    Ok((image?, text?, spec?))
}

/// All `count` of what a tower has several of. Of several that fail, it is the first whose error is given.
pub(super) fn each<T: Send>(
    count: usize,
    load: impl Fn(usize) -> Result<T, LoadError> + Send + Sync,
) -> Result<Vec<T>, LoadError> {
    let mut loaded = Vec::new();
    // Some at a time: a configuration that promises a million of them must not make as many errors.
    for first in (0..count).step_by(AT_ONCE) {
        let some: Vec<_> = (first..count.min(first + AT_ONCE)).into_par_iter().map(&load).collect();
        for one in some {
            loaded.push(one?);
        }
    }
    Ok(loaded)
}
