//! Memory for the bodies under way. A few of the largest pictures allowed at once would be no harm, one for each fetch
//! under way would: at 64 times 50 MB, they are 3 GB.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What each body may take without asking, in bytes. Nearly all pictures are smaller.
pub(super) const FREE: usize = 2 << 20;

/// What bodies that are larger may take together, in KiB; more only if a single one may be larger than that.
const BUDGET: usize = 256 << 10;

/// What bodies that are larger share.
#[derive(Debug)]
pub(super) struct Room {
    permits: Arc<Semaphore>,
    max_kib: u32,
}

impl Room {
    /// Room for bodies of at most so many bytes each.
    pub(super) fn new(max_bytes: u64) -> Self {
        let most = Semaphore::MAX_PERMITS.min(u32::MAX as usize);
        let max_kib = usize::try_from(max_bytes.div_ceil(1024)).unwrap_or(most).min(most);
        Self { permits: Arc::new(Semaphore::new(BUDGET.max(max_kib))), max_kib: max_kib as u32 }
    }

    /// Waits for room for a whole body: of its announced length, or else of the greatest that is allowed. Asked for once
    /// by each body, so that no two can wait for each other.
    pub(super) async fn take(&self, announced: Option<u64>) -> OwnedSemaphorePermit {
        let kib = announced.and_then(|bytes| u32::try_from(bytes.div_ceil(1024)).ok());
        let kib = kib.unwrap_or(self.max_kib).min(self.max_kib);
        Arc::clone(&self.permits).acquire_many_owned(kib).await.expect("the semaphore is never closed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[tokio::test]
    async fn a_body_takes_what_it_announces_or_else_the_most() {
        let room = Room::new(50 * MIB);
        let cases = [
            ("announced", Some(3 * MIB), 3 << 10),
            ("a broken number", Some(3 * MIB + 1), (3 << 10) + 1),
            ("not announced", None, 50 << 10),
            ("more than is allowed", Some(u64::MAX), 50 << 10),
        ];
        for (name, announced, kib) in cases {
            let taken = room.take(announced).await;
            assert_eq!(room.permits.available_permits(), BUDGET - kib, "{name}");
            drop(taken);
        }
        assert_eq!(room.permits.available_permits(), BUDGET);
    }

    #[tokio::test]
    async fn the_largest_body_always_fits() {
        for max_bytes in [0, 1, MIB, 1024 * MIB, u64::MAX] {
            let room = Room::new(max_bytes);
            drop(room.take(None).await);
            drop(room.take(Some(max_bytes)).await);
        }
    }
}
