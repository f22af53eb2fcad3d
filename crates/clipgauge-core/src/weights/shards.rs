//! Weights in several files: `*.index.json` says which tensor is in which.
//!
//! As transformers writes it: `{"metadata": {…}, "weight_map": {"tensor": "file"}}`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{ReadTensors, Weights};
use crate::error::LoadError;
use crate::model_files::ModelFiles;

/// The most files that the weights of one model may be in.
const MAX_SHARDS: usize = 1_024;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Opens every file that the index names.
pub(super) fn open(files: &ModelFiles, index_name: &str, read: ReadTensors) -> Result<Weights, LoadError> {
    let display_name = files.display(index_name);
    let malformed = |problem: String| LoadError::Malformed { file: display_name.clone(), problem: problem.into() };
    let missing = || LoadError::MissingFile { file: index_name.to_owned().into(), place: files.place() };

    let json = files.read(index_name)?.ok_or_else(missing)?;
    let index: Index = serde_json::from_slice(&json).map_err(|error| malformed(error.to_string()))?;
    let shards: BTreeSet<&str> = index.weight_map.values().map(String::as_str).collect();
    if shards.len() > MAX_SHARDS {
        return Err(malformed(format!("it names {} files, more than {MAX_SHARDS}", shards.len())));
    }
    if let Some(outside) = shards.iter().find(|shard| !is_plain_file_name(shard)) {
        return Err(malformed(format!("it names {outside:?}, which is not the name of a file beside it")));
    }

    let mut weights = Weights::empty(display_name.clone());
    for shard in shards {
        if !files.contains(shard) {
            let problem = "is not beside it".into();
            return Err(LoadError::Field { file: display_name, field: shard.to_owned(), problem });
        }
        weights.add(files, shard, read)?;
    }
    for (tensor, shard) in &index.weight_map {
        let found = weights.tensors.get(tensor).map(|(file, _)| weights.files[*file].display_name());
        if found != Some(&files.display(shard)) {
            let problem = format!("should be in {shard}, where it is not").into();
            return Err(LoadError::Field { file: display_name, field: tensor.clone(), problem });
        }
    }
    Ok(weights)
}

/// Whether a name can only mean a file in the model's own folder, on every system.
fn is_plain_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', ':', '\0'])
}
