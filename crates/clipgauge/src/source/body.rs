//! The bytes of one picture as they arrive, no more than are allowed, with the room that they take in memory.

use tokio::sync::OwnedSemaphorePermit;

use crate::source::failure::Failure;
use crate::source::room::{FREE, Room};
use crate::source::{endless, too_large};

/// The most bytes set aside because a server says so; more than that has to arrive first.
const MAX_RESERVED: u64 = 1 << 20;

/// A whole body, with the room that it takes beyond what is free.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// A body under way.
pub(super) struct Arriving<'a> {
    rooms: &'a Room,
    max_bytes: u64,
    announced: Option<u64>,
    body: Body,
}

impl<'a> Arriving<'a> {
    /// Begins a body of this length, if it is known. Fails before anything of it is read if that is too much.
    pub(super) fn begin(rooms: &'a Room, max_bytes: u64, announced: Option<u64>) -> Result<Self, Failure> {
        if let Some(length) = announced.filter(|length| *length > max_bytes) {
            return Err(Failure::for_good(too_large(length, max_bytes)));
        }
        let bytes = Vec::with_capacity(announced.unwrap_or_default().min(MAX_RESERVED) as usize);
        Ok(Self { rooms, max_bytes, announced, body: Body { bytes, room: None } })
    }

    /// Takes what comes next. Waits for room if the body needs more than is free, which is not the server's fault.
    pub(super) async fn add(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        let Body { bytes, room } = &mut self.body;
        let length = bytes.len() + chunk.len();
        if length as u64 > self.max_bytes {
            return Err(Failure::for_good(endless(self.max_bytes)));
        }
        if length > FREE && room.is_none() {
            *room = Some(self.rooms.take(self.announced).await);
            let announced = self.announced.map_or(0, |announced| announced as usize);
            bytes.reserve_exact(announced.saturating_sub(bytes.len()));
        }
        bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// How many bytes have arrived.
    pub(super) fn len(&self) -> usize {
        self.body.bytes.len()
    }

    /// The body, of which nothing more will come.
    pub(super) fn end(mut self) -> Body {
        // Of an unknown length, up to half of it may be empty.
        self.body.bytes.shrink_to_fit();
        self.body
    }
}
