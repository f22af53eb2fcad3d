//! Names in braces, as shells and WebDataset's users write them: `{00000..00041}.tar`, `{train,val}.csv`.
//!
//! The rules are bash's for numbers and lists: a range counts up or down, and its numbers have as many digits as the
//! longer end if one begins with a zero. Braces that are neither stay as they are.

use super::InputsError;

/// The most names that a word may stand for.
pub(super) const MAX_NAMES: usize = 1_000_000;

/// All names that a word stands for, in the order in which they are written.
pub(super) fn expand(word: &str) -> Result<Vec<String>, InputsError> {
    let too_many = || InputsError::TooMany { pattern: word.to_owned() };
    let mut names = vec![String::new()];
    let mut rest = word;
    while let Some(open) = rest.find('{') {
        let (literal, braced) = rest.split_at(open);
        let close = braced.find('}');
        let choices = match close.map(|close| &braced[1..close]) {
            Some(inner) => choices(inner).ok_or_else(too_many)?,
            None => Vec::new(),
        };
        let (choices, behind) = match (close, choices.is_empty()) {
            (Some(close), false) => (choices, &braced[close + 1..]),
            // No braces of these: they are part of the name.
            _ => (vec!["{".to_owned()], &braced[1..]),
        };
        if names.len().saturating_mul(choices.len()) > MAX_NAMES {
            return Err(too_many());
        }
        names = names
            .iter()
            .flat_map(|name| choices.iter().map(move |choice| format!("{name}{literal}{choice}")))
            .collect();
        rest = behind;
    }
    names.iter_mut().for_each(|name| name.push_str(rest));
    Ok(names)
}

/// What braces stand for: nothing if they hold neither a range nor a list; `None` if that is too much.
fn choices(inner: &str) -> Option<Vec<String>> {
    if let Some((first, last)) = inner.split_once("..").filter(|(first, last)| is_number(first) && is_number(last)) {
        let (from, to): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        if from.abs_diff(to) >= MAX_NAMES as u64 {
            return None;
        }
        let is_padded = [first, last].iter().any(|end| end.len() > 1 && end.starts_with('0'));
        let width = if is_padded { first.len().max(last.len()) } else { 0 };
        let name = |number: u64| format!("{number:0width$}");
        return Some(if from <= to { (from..=to).map(name).collect() } else { (to..=from).rev().map(name).collect() });
    }
    let is_list = inner.contains(',') && !inner.contains('{');
    Some(if is_list { inner.split(',').map(str::to_owned).collect() } else { Vec::new() })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_lists_are_bash_s() {
        // Each as `printf '%s ' WORD` shows it.
        for (word, names) in [
            ("a.csv", vec!["a.csv"]),
            ("{00009..00011}.tar", vec!["00009.tar", "00010.tar", "00011.tar"]),
            ("x{9..11}", vec!["x9", "x10", "x11"]),
            ("{08..10}", vec!["08", "09", "10"]),
            ("{3..1}", vec!["3", "2", "1"]),
            ("{0..1}/{a,b}", vec!["0/a", "0/b", "1/a", "1/b"]),
            ("{a,,b}", vec!["a", "", "b"]),
            ("{a}", vec!["{a}"]),
            ("{1..}", vec!["{1..}"]),
            ("a{b", vec!["a{b"]),
            ("}{1,2}", vec!["}1", "}2"]),
            ("{x{1,2}", vec!["{x1", "{x2"]),
            ("猫{1,2}", vec!["猫1", "猫2"]),
        ] {
            assert_eq!(expand(word).expect("names"), names, "{word}");
        }
    }

    #[test]
    fn there_is_a_limit() {
        for word in ["{0..1000000}", "{0..999}{0..999}{0..1}", "{0..99999999999999999999}"] {
            assert!(matches!(expand(word), Err(InputsError::TooMany { .. })), "{word}");
        }
        assert_eq!(expand("{0..999999}").expect("names").len(), 1_000_000);
    }
}
