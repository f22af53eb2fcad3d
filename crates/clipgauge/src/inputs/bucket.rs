//! What the address of a table in a bucket stands for: itself, or with a pattern in its key all objects of such a name.
//!
//! A bucket has no folders; what is between two slashes counts as one.

use std::path::Path;

use super::InputsError;
use crate::options::Part;
use crate::source::FetchOptions;

#[cfg(not(feature = "object-store"))]
pub(super) fn expand(address: &str, _: &FetchOptions) -> Result<Vec<Part>, InputsError> {
    // That it cannot be read is told when it is opened.
    Ok(vec![Part::of_file(Path::new(address))])
}

/// The tables that an address stands for, sorted by name.
#[cfg(feature = "object-store")]
pub(super) fn expand(address: &str, fetch: &FetchOptions) -> Result<Vec<Part>, InputsError> {
    use std::path::PathBuf;

    use glob::Pattern;

    use super::{MATCHING, WILDCARDS};
    use crate::objects::{ObjectUrl, list};

    let alone = || Ok(vec![Part::of_file(Path::new(address))]);
    // What is wrong with it is told when it is opened.
    let Ok(url) = ObjectUrl::parse(address) else { return alone() };
    let key = url.key();
    let Some(wildcard) = key.find(WILDCARDS) else { return alone() };
    let bad = |source| InputsError::Pattern { pattern: address.to_owned(), source };
    let pattern = Pattern::new(key).map_err(bad)?;
    let folder = key[..wildcard].rfind('/').map_or("", |slash| &key[..slash]);
    let is_deep = key[wildcard..].contains('/');
    let fails = |source| InputsError::Read { path: PathBuf::from(address), source };
    let keys = list(&url, folder, is_deep, fetch).map_err(fails)?;
    if keys.iter().any(|there| there == key) {
        return alone();
    }
    let root = url.root();
    let of_key = |key: String| Part::of_file(Path::new(&format!("{root}/{key}")));
    let parts: Vec<_> = keys.into_iter().filter(|key| pattern.matches_with(key, MATCHING)).map(of_key).collect();
    match parts.is_empty() {
        true => Err(InputsError::NoMatch { pattern: address.to_owned() }),
        false => Ok(parts),
    }
}
