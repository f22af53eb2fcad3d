//! Members that are written anew: the JSON of a sample with its new fields.

use tar::{EntryType, Header};

use super::sample::JsonMember;
use crate::members::BLOCK;

/// Where a header has what is not a member's own any more when its data is another.
const NAME: std::ops::Range<usize> = 0..100;
const LINK_NAME: std::ops::Range<usize> = 157..257;
const PREFIX: std::ops::Range<usize> = 345..500;

/// A member with other data: everything else about it stays.
pub(super) fn with_data(member: &JsonMember, data: &[u8]) -> Vec<u8> {
    let start = member.blocks.len() - BLOCK;
    let mut header = Header::from_byte_slice(&member.blocks[start..]).clone();
    if member.has_size_note {
        // A note that would say the old size.
        return new_member(&header, &member.name, data);
    }
    header.set_size(data.len() as u64);
    header.set_cksum();
    let mut bytes = member.blocks[..start].to_vec();
    append(&mut bytes, &header, data);
    bytes
}

/// A new member whose owner, mode and time are those of another.
pub(crate) fn new_member(template: &Header, name: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if name.len() > NAME.len() {
        let mut long_name = Header::new_gnu();
        long_name.as_mut_bytes()[..13].copy_from_slice(b"././@LongLink");
        long_name.set_entry_type(EntryType::GNULongName);
        long_name.set_size(name.len() as u64 + 1);
        long_name.set_cksum();
        append(&mut bytes, &long_name, &[name, b"\0"].concat());
    }
    let mut header = template.clone();
    let block = header.as_mut_bytes();
    for field in [NAME, LINK_NAME, PREFIX] {
        block[field].fill(0);
    }
    let shown = &name[..name.len().min(NAME.len())];
    block[..shown.len()].copy_from_slice(shown);
    header.set_entry_type(EntryType::Regular);
    header.set_size(data.len() as u64);
    header.set_cksum();
    append(&mut bytes, &header, data);
    bytes
}

fn append(bytes: &mut Vec<u8>, header: &Header, data: &[u8]) {
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
}
