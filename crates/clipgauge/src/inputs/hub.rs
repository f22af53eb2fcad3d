//! What an address on the Hugging Face hub stands for: a file, with a pattern in its path all files of such a name; a
//! folder, or the whole repository, stands for its tables.
//!
//! Parts are addresses at the commit that was found, so that a branch that moves meanwhile changes nothing.

use std::path::Path;

use glob::Pattern;

use super::folder::Tables;
use super::{InputsError, MATCHING, WILDCARDS, braces};
use crate::hub::{self, HubFile, HubOptions, HubPath, Repo, RepoFiles};
use crate::options::Part;

/// The tables that a word stands for: what braces write out in their order, and what each stands for sorted by name.
pub(super) fn expand(word: &str, options: &HubOptions) -> Result<Vec<Part>, InputsError> {
    let mut listings: Vec<(Repo, RepoFiles)> = Vec::new();
    let mut parts = Vec::new();
    for address in braces::expand(word)? {
        let place =
            HubPath::parse(&address).map_err(|source| InputsError::HubFile { address: address.clone(), source })?;
        if let Some(file) = at_hand(&place, options) {
            parts.push(Part::of_file(Path::new(&file.to_string())));
            continue;
        }
        let known = listings.iter().position(|(repo, _)| *repo == place.repo);
        let known = match known {
            Some(known) => known,
            None => {
                listings.push((place.repo.clone(), hub::list(&place.repo, options)?));
                listings.len() - 1
            }
        };
        parts.extend(tables(&address, &place, &listings[known].1)?);
    }
    Ok(parts)
}

/// A file of a commit, if it is in the cache: then there is nothing to ask.
fn at_hand(place: &HubPath, options: &HubOptions) -> Option<HubFile> {
    let file = place.clone().file().ok().filter(|_| place.repo.is_at_commit())?;
    hub::cached(&file, options).is_some().then_some(file)
}

fn tables(address: &str, place: &HubPath, files: &RepoFiles) -> Result<Vec<Part>, InputsError> {
    let root = place.repo.at(&files.commit).to_string();
    let of_path = |path: &str| Part::of_file(Path::new(&format!("{root}/{path}")));
    let path = place.path.trim_end_matches('/');
    if files.paths.iter().any(|there| there == path) {
        return Ok(vec![of_path(path)]);
    }
    let found = match path.contains(WILDCARDS) {
        true => {
            let bad = |source| InputsError::Pattern { pattern: address.to_owned(), source };
            let pattern = Pattern::new(path).map_err(bad)?;
            let matching = files.paths.iter().filter(|path| pattern.matches_with(path, MATCHING));
            matching.map(|path| of_path(path)).collect()
        }
        false => folder(address, &root, path, files)?,
    };
    if files.is_only_cached && !found.is_empty() {
        tracing::warn!("{address} stands for the {} tables of it that are in the cache", found.len());
    }
    match found.is_empty() {
        false => Ok(found),
        true if files.is_only_cached => Err(InputsError::NotInCache { address: address.to_owned() }),
        true if path.contains(WILDCARDS) => Err(InputsError::NoMatch { pattern: address.to_owned() }),
        true => Err(InputsError::NotOnHub { address: address.to_owned(), repo: place.repo.id().clone() }),
    }
}

/// The tables of a folder and those in it; none if there is no such folder.
fn folder(address: &str, root: &str, path: &str, files: &RepoFiles) -> Result<Vec<Part>, InputsError> {
    let (prefix, folder) = match path.is_empty() {
        true => (String::new(), root.to_owned()),
        false => (format!("{path}/"), format!("{root}/{path}")),
    };
    let mut tables = Tables::of(Path::new(&folder));
    let mut is_there = false;
    for name in files.paths.iter().filter_map(|there| there.strip_prefix(&prefix)) {
        is_there = true;
        if !name.split('/').any(|part| part.starts_with('.')) {
            tables.look_at(Path::new(&format!("{folder}/{name}")))?;
        }
    }
    match (is_there, tables.parts.is_empty()) {
        (true, true) if !files.is_only_cached => Err(InputsError::NoTables { address: address.to_owned() }),
        _ => Ok(tables.parts),
    }
}
