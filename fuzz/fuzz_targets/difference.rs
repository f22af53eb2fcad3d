//! What one text has that another has not.

/// What is left of `whole` without `part`, whose bytes it has to have in their order.
pub fn without(whole: &[u8], part: &[u8]) -> Vec<u8> {
    let mut left = Vec::new();
    let mut part = part.iter().peekable();
    for byte in whole {
        match part.next_if_eq(&byte) {
            Some(_) => {}
            None => left.push(*byte),
        }
    }
    assert!(part.peek().is_none(), "{:?} is lost on the way", String::from_utf8_lossy(whole));
    left
}

/// How often each byte is there.
pub fn counts(bytes: &[u8]) -> [u64; 256] {
    let mut counts = [0; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    counts
}
