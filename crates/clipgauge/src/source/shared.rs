//! Equal addresses are fetched once: rows that come while another fetches the same wait for it, and what was fetched
//! lately is kept.
//!
//! Who waits holds no turn, and what is kept has none either, so that sharing cannot hold up those whom it waits for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{OnceCell, OwnedSemaphorePermit};
use url::Position;

use crate::address::{Address, InlineImage};
use crate::generations::Generations;
use crate::row::RowError;
use crate::source::ImageBytes;

/// The memory that pictures which were fetched may take, in bytes, beside those that rows have.
const BUDGET: usize = 32 << 20;

/// What an entry takes besides the picture, roughly.
const ENTRY_COST: usize = 200;

/// What tells addresses apart: a BLAKE3 hash, since they may be long, and anybody may have made them.
type Key = [u8; 32];

/// The picture, or why there is none.
type Fetched = Result<Bytes, RowError>;

/// What is being fetched and what was fetched lately.
#[derive(Debug)]
pub(super) struct Shared(Mutex<State>);

#[derive(Debug)]
struct State {
    under_way: HashMap<Key, Arc<OnceCell<Fetched>>>,
    kept: Generations<Key, Fetched>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { under_way: HashMap::new(), kept: Generations::new(BUDGET) }))
    }

    /// What `fetch` gives, or what another fetch of the same address has given lately. Failures that may pass are shared
    /// with those only who wait for the same fetch.
    pub(super) async fn fetch(
        &self,
        address: &Address,
        fetch: impl Future<Output = Result<ImageBytes, RowError>>,
    ) -> Result<ImageBytes, RowError> {
        let under_way = match self.look(key(address)) {
            Ok(kept) => return kept.map(|bytes| ImageBytes::new(bytes, None)),
            Err(under_way) => under_way,
        };
        let mut permits = None;
        let mine = &mut permits;
        let fetching = async move {
            let (fetched, held) = match fetch.await.map(ImageBytes::into_parts) {
                Ok((bytes, held)) => (Ok(bytes), held),
                Err(error) => (Err(error), Vec::new()),
            };
            *mine = Some(held);
            fetched
        };
        // If the one that fetches is dropped before it is done, another that waits fetches anew.
        let fetched = under_way.cell.get_or_init(|| fetching).await.clone();
        // Has permits only who fetched.
        if let Some(cost) = permits.as_ref().and_then(|_| cost(&fetched)) {
            self.lock().kept.put(under_way.key, fetched.clone(), cost);
        }
        fetched.map(|bytes| ImageBytes::new(bytes, permits.unwrap_or_else(Vec::<OwnedSemaphorePermit>::new)))
    }

    /// What is kept, or else the place where it is to be fetched.
    fn look(&self, key: Key) -> Result<Fetched, UnderWay<'_>> {
        let mut state = self.lock();
        if let Some(fetched) = state.kept.get(&key) {
            return Ok(fetched);
        }
        let cell = Arc::clone(state.under_way.entry(key).or_default());
        Err(UnderWay { shared: self, key, cell })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No panic can leave the state half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fetch that one or more rows wait for.
struct UnderWay<'a> {
    shared: &'a Shared,
    key: Key,
    cell: Arc<OnceCell<Fetched>>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        // The map's own and this one: the lock keeps others from taking one meanwhile.
        let is_over = self.cell.initialized() || Arc::strong_count(&self.cell) == 2;
        if let Entry::Occupied(entry) = state.under_way.entry(self.key)
            && is_over
            && Arc::ptr_eq(entry.get(), &self.cell)
        {
            entry.remove();
        }
    }
}

fn key(address: &Address) -> Key {
    let mut hasher = blake3::Hasher::new();
    hasher.update(address.kind().name().as_bytes()).update(&[0]);
    match address {
        Address::File(path) => hasher.update(path.as_os_str().as_encoded_bytes()),
        // What is behind `#` is not sent.
        Address::Http(url) => hasher.update(url[..Position::AfterQuery].as_bytes()),
        Address::Hub(file) => hasher.update(file.to_string().as_bytes()),
        Address::Object(url) => hasher.update(url.to_string().as_bytes()),
        Address::Inline(InlineImage::Data(text) | InlineImage::Base64(text)) => hasher.update(text.as_bytes()),
    };
    *hasher.finalize().as_bytes()
}

/// What it costs to keep something; `None` for what is not to be kept.
fn cost(fetched: &Fetched) -> Option<usize> {
    match fetched {
        Ok(bytes) => Some(ENTRY_COST + bytes.len()),
        Err(error) if error.kind.is_transient() => None,
        Err(error) => Some(ENTRY_COST + error.message.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::row::RowErrorKind;

    fn address(cell: &str) -> Address {
        Address::parse(cell, Path::new("/")).unwrap()
    }

    #[test]
    fn addresses_are_told_apart() {
        let equal = [("http://a.example/1", "HTTP://A.example:80/1"), ("http://a.example/1", "http://a.example/1#top")];
        for (first, second) in equal {
            assert_eq!(key(&address(first)), key(&address(second)), "{first} {second}");
        }
        let different =
            ["http://a.example/1", "http://a.example/1?", "http://u:p@a.example/1", "https://a.example/1", "/1"];
        for (index, first) in different.iter().enumerate() {
            for second in &different[index + 1..] {
                assert_ne!(key(&address(first)), key(&address(second)), "{first} {second}");
            }
        }
    }

    /// Takes a while, and gives what it is told.
    async fn slowly(count: &AtomicUsize, result: Result<&'static str, RowErrorKind>) -> Result<ImageBytes, RowError> {
        count.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(50)).await;
        match result {
            Ok(text) => Ok(ImageBytes::new(text.as_bytes().to_vec(), None)),
            Err(kind) => Err(RowError::new(kind, "failed")),
        }
    }

    #[tokio::test]
    async fn what_is_shared_and_what_is_kept() {
        use RowErrorKind::{NotFound, Timeout};
        for (name, result, later) in
            [("bytes", Ok("a"), 1), ("for good", Err(NotFound), 1), ("it may pass", Err(Timeout), 2)]
        {
            let (shared, address, count) = (Shared::new(), address("/1"), AtomicUsize::new(0));
            let fetch = || async { shared.fetch(&address, slowly(&count, result)).await };
            let (first, second, third) = tokio::join!(fetch(), fetch(), fetch());
            assert_eq!(count.load(Ordering::SeqCst), 1, "{name}: those that wait");
            for found in [first, second, third, fetch().await] {
                assert_eq!(
                    found.map(|bytes| bytes.to_vec()).map_err(|error| error.kind),
                    result.map(Vec::from),
                    "{name}"
                );
            }
            assert_eq!(count.load(Ordering::SeqCst), later, "{name}: one that comes later");
            assert!(shared.lock().under_way.is_empty(), "{name}");
        }
    }

    #[tokio::test]
    async fn a_fetch_that_is_dropped_leaves_it_to_another() {
        let (shared, address, count) = (Shared::new(), address("/1"), AtomicUsize::new(0));
        let never = shared.fetch(&address, std::future::pending());
        let dropped = tokio::time::timeout(Duration::from_millis(10), never);
        let waiting = shared.fetch(&address, slowly(&count, Ok("b")));
        let (dropped, found) = tokio::join!(dropped, waiting);
        assert!(dropped.is_err());
        assert_eq!(*found.unwrap(), *b"b");
        assert!(shared.lock().under_way.is_empty());
    }
}
