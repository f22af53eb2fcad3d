//! Which objects there are in a bucket.

use std::io;
use std::sync::Arc;

use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use super::stores::AskError;
use super::table::{TableStores, io_error};
use super::url::ObjectUrl;
use crate::source::FetchOptions;

/// The keys of the objects in the bucket of `url` that are in a folder, and of those in the folders in it if `is_deep`,
/// sorted.
///
/// # Errors
///
/// The bucket is not there, or may not be looked at.
pub(crate) fn list(url: &ObjectUrl, folder: &str, is_deep: bool, options: &FetchOptions) -> io::Result<Vec<String>> {
    let prefix = Path::parse(folder).map_err(|error| io_error(AskError::Unasked(error.into())))?;
    let list = |client: Arc<dyn ObjectStore>, _| {
        let prefix = prefix.clone();
        async move {
            match is_deep {
                true => client.list(Some(&prefix)).try_collect().await,
                false => client.list_with_delimiter(Some(&prefix)).await.map(|found| found.objects),
            }
        }
    };
    let objects: Vec<ObjectMeta> = TableStores::new(options)?.ask(url, list)?;
    let mut keys: Vec<_> = objects.into_iter().map(|object| object.location.to_string()).collect();
    keys.sort();
    Ok(keys)
}
