//! How the bodies of a file's batches are compressed, which the reader of the `arrow-ipc` crate does not tell.

use std::io::{BufReader, Read, Seek, SeekFrom};

use arrow_ipc::{CompressionType, MessageHeader, root_as_message};

/// What a file begins with; its messages follow after zeros up to a multiple of 8 or more bytes.
pub(super) const MAGIC: &[u8] = b"ARROW1";

/// Where they begin at the earliest.
const FILE_START: u64 = 8;

/// How many words of zeros may come before them.
const MAX_ZEROS: usize = 32;

/// What a message begins with since Arrow 0.15.
const CONTINUATION: u32 = u32::MAX;

/// The most bytes that a message about a body may have here.
const MAX_MESSAGE: u32 = 64 << 20;

/// The compression of the first batch. Whatever cannot be read is taken for none, and told when it is read for its rows.
pub(super) fn of(file: impl Read + Seek, is_stream: bool) -> Option<CompressionType> {
    let mut file = BufReader::new(file);
    file.seek(SeekFrom::Start(if is_stream { 0 } else { FILE_START })).ok()?;
    let mut zeros = if is_stream { 0 } else { MAX_ZEROS };
    loop {
        let mut length = number(&mut file)?;
        if length == 0 && zeros > 0 {
            zeros -= 1;
            continue;
        }
        zeros = 0;
        if length == CONTINUATION {
            length = number(&mut file)?;
        }
        if length == 0 || length > MAX_MESSAGE {
            return None;
        }
        let mut bytes = vec![0; length as usize];
        file.read_exact(&mut bytes).ok()?;
        let message = root_as_message(&bytes).ok()?;
        match message.header_type() {
            MessageHeader::RecordBatch => return Some(message.header_as_record_batch()?.compression()?.codec()),
            _ => file.seek_relative(message.bodyLength()).ok()?,
        }
    }
}

fn number(file: &mut impl Read) -> Option<u32> {
    let mut bytes = [0; 4];
    file.read_exact(&mut bytes).ok()?;
    Some(u32::from_le_bytes(bytes))
}
