//! `tokenizer.json`: the whole tokenizer, as the `tokenizers` crate serialises it.

use tokenizers::Tokenizer;

use super::guarded;
use super::special_tokens::SpecialTokens;
use crate::error::LoadError;
use crate::model_files::ModelFiles;

const FILE: &str = "tokenizer.json";

pub(super) fn read(files: &ModelFiles) -> Result<Option<Tokenizer>, LoadError> {
    let Some(json) = files.read(FILE)? else { return Ok(None) };
    let malformed = |problem: String| LoadError::Malformed { file: files.display(FILE), problem: problem.into() };
    let special = SpecialTokens::read(files)?;
    let tokenizer = guarded(|| {
        let mut json: serde_json::Value = serde_json::from_slice(&json)?;
        special.impose_on(&mut json);
        let mut tokenizer: Tokenizer = serde_json::from_value(json)?;
        special.add_to(&mut tokenizer)?;
        Ok(tokenizer)
    });
    tokenizer.map(Some).map_err(|error| malformed(error.to_string()))
}
