//! What models there are, and what one is: listed, shown, fetched, checked.
//!
//! Names are found as everywhere ([`hub::resolve`](crate::hub::resolve)); what is known without a network is the table
//! in `data/models.json`.

mod check;
mod known;
mod list;
mod show;

use clipgauge_core::encoder::EncodeError;
use clipgauge_core::tokenize::TokenizeError;

use crate::hub::HubError;
use crate::loading::LoadingError;

pub use check::{Checked, Took, check};
pub use known::{KnownModel, known};
pub(crate) use known::{alias, near_open_clip};
pub use list::{Cached, Listed, list};
pub use show::{Shown, show};

/// Why a model cannot be shown or checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// It cannot be had or used.
    #[error(transparent)]
    Loading(#[from] LoadingError),
    /// It was loaded but does not take a picture or a text that its own preprocessing gives.
    #[error("the model `{model}` does not take what its own files make of a picture and a text")]
    Encode {
        /// The model's name.
        model: String,
        /// What it does not take.
        #[source]
        source: EncodeError,
    },
    /// Its tokenizer fails.
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
}

impl ModelError {
    /// Whether it is that the user asked to end.
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Self::Loading(error) if error.is_interrupted())
    }
}

impl From<HubError> for ModelError {
    fn from(error: HubError) -> Self {
        Self::Loading(error.into())
    }
}
