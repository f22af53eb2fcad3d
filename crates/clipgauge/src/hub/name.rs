//! What a model's name means. Ids follow `validate_repo_id` of `huggingface_hub`; what becomes part of a path is looked
//! at twice.

use std::path::{Path, PathBuf};

use crate::hub::BUNDLED_MODEL;
use crate::hub::error::HubError;
use crate::hub::repo::{DEFAULT_REVISION, Repo};
use crate::models;

/// The longest part of an id.
const MAX_PART: usize = 96;

/// A name, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ModelName {
    /// The model that is part of the program.
    Bundled,
    /// A folder that exists.
    Folder(PathBuf),
    /// A model of the hub.
    Hub(Repo),
}

/// Reads a name.
pub(super) fn parse(name: &str) -> Result<ModelName, HubError> {
    if name == BUNDLED_MODEL {
        return Ok(ModelName::Bundled);
    }
    if let Some(id) = models::alias(name) {
        return hub(id, name);
    }
    if let Some(near) = models::near_open_clip(name) {
        return Err(HubError::NoAlias { name: name.to_owned(), near });
    }
    let path = Path::new(name);
    if path.is_dir() {
        return Ok(ModelName::Folder(path.to_owned()));
    }
    if path.is_file() {
        return Err(HubError::File { file: path.to_owned() });
    }
    if is_meant_as_path(name) {
        return Err(HubError::NoFolder { folder: path.to_owned() });
    }
    hub(name, name)
}

/// A model of the hub, as `org/name` or `org/name@revision`; `name` is what the user wrote.
fn hub(id: &str, name: &str) -> Result<ModelName, HubError> {
    let (id, revision) = id.split_once('@').unwrap_or((id, DEFAULT_REVISION));
    let refused = |problem| HubError::Name { name: name.to_owned(), problem };
    check_id(id).map_err(refused)?;
    if !is_safe_path(revision) {
        return Err(refused("what is behind the `@` cannot be a branch, a tag or a commit"));
    }
    Ok(ModelName::Hub(Repo::model(id, revision)))
}

/// Whether a name can only mean a folder: an absolute or relative path, or something with more than one slash.
fn is_meant_as_path(name: &str) -> bool {
    let id = name.split('@').next().unwrap_or(name);
    name.starts_with(['.', '/', '~']) || name.contains('\\') || id.matches('/').count() > 1
}

pub(super) fn check_id(id: &str) -> Result<(), &'static str> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    for part in id.split('/') {
        let bytes = part.as_bytes();
        if !bytes.iter().all(|&byte| is_word(byte) || byte == b'-' || byte == b'.') {
            return Err("an id of the hub has letters, digits, `-`, `_` and `.` only");
        }
        if !(bytes.first().copied().is_some_and(is_word) && bytes.last().copied().is_some_and(is_word)) {
            return Err("no part of an id of the hub is empty, or begins or ends with `-` or `.`");
        }
        if part.len() > MAX_PART {
            return Err("no part of an id of the hub is longer than 96 characters");
        }
    }
    if id.contains("--") || id.contains("..") {
        return Err("an id of the hub has no `--` and no `..` in it");
    }
    if id.ends_with(".git") {
        return Err("an id of the hub does not end with `.git`");
    }
    Ok(())
}

/// Whether this may become a path below a folder of the cache: relative, and going nowhere but down. Holds for file
/// names, revisions, commits and hashes alike, wherever they come from.
pub(super) fn is_safe_path(path: &str) -> bool {
    let is_safe_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|character| character.is_alphanumeric() || "-_.+=#@,".contains(character))
    };
    path.len() <= 255 && path.split('/').all(is_safe_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let hub = |id: &str, revision: &str| Ok(ModelName::Hub(Repo::model(id, revision)));
        let long = format!("org/{}", "x".repeat(97));
        let cases = [
            ("pictoclip", Ok(ModelName::Bundled)),
            ("src", Ok(ModelName::Folder("src".into()))),
            ("./src/hub", Ok(ModelName::Folder("./src/hub".into()))),
            ("openai/clip-vit-base-patch32", hub("openai/clip-vit-base-patch32", "main")),
            ("clip.v1_2", hub("clip.v1_2", "main")),
            ("ViT-L/14@336px", hub("openai/clip-vit-large-patch14-336", "main")),
            ("hf-hub:org/name@v2", hub("org/name", "v2")),
            ("hf_clip:../up", Err("begins or ends with")),
            ("open_clip:ViT-B-32/laion", Err("no model of open_clip's that is known here; near ones are `open_clip:")),
            ("org/name@v1.0", hub("org/name", "v1.0")),
            ("org/name@refs/pr/1", hub("org/name", "refs/pr/1")),
            ("./missing", Err("there is no folder `./missing`")),
            ("/missing", Err("there is no folder `/missing`")),
            ("a/b/c", Err("there is no folder `a/b/c`")),
            (r"models\clip", Err(r"there is no folder `models\clip`")),
            ("Cargo.toml", Err("`Cargo.toml` is a file")),
            ("../up", Err("there is no folder")),
            ("", Err("is empty")),
            ("org/", Err("is empty")),
            ("-org/name", Err("begins or ends with")),
            ("org/name.", Err("begins or ends with")),
            ("org/na..me", Err("no `--` and no `..`")),
            ("org/na--me", Err("no `--` and no `..`")),
            ("org/name.git", Err("does not end with `.git`")),
            ("org/näme", Err("letters, digits")),
            ("org/na me", Err("letters, digits")),
            (&long, Err("longer than 96")),
            ("org/name@", Err("behind the `@`")),
            ("org/name@../../x", Err("behind the `@`")),
            ("org/name@/etc", Err("behind the `@`")),
        ];
        for (name, expected) in cases {
            match (parse(name), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name}"),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{name}: {error}"),
                (found, expected) => panic!("{name}: {found:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn safe_paths() {
        for path in ["model.safetensors", "model-00001-of-00002.safetensors", "onnx/model.onnx", "0123abcd", "模型.bin"]
        {
            assert!(is_safe_path(path), "{path}");
        }
        let long = "x".repeat(256);
        for path in ["", "/a", "a/", "a//b", "../a", "a/../b", ".git/config", r"a\b", "C:a", "a\0b", "a\nb", &long] {
            assert!(!is_safe_path(path), "{path}");
        }
    }
}
