//! Captions as SigLIP's authors wrote them: lower case, without punctuation, with single spaces.
//!
//! big_vision's `prompt_engineering.py`, and open_clip's `canonicalize_text` after it.

/// What Python's `string.punctuation` has: the punctuation of ASCII, and nothing of other scripts.
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// Lower-cases a text, takes an underscore for a space, drops the other punctuation of ASCII, and leaves one space
/// between words.
///
/// Tokenizers of SigLIP do this themselves. Those of SigLIP 2 on the Hugging Face hub do not, though the model was
/// trained so; open_clip does it for them.
///
/// ```
/// assert_eq!(clipgauge_core::tokenize::canonicalize(" A photo, of_a  CAT!"), "a photo of a cat");
/// ```
pub fn canonicalize(text: &str) -> String {
    let spaced = text.chars().map(|c| if c == '_' { ' ' } else { c });
    let plain: String = spaced.filter(|c| !PUNCTUATION.contains(*c)).collect();
    // Python splits at ASCII's four separators too, which Unicode does not count as white space.
    let is_space = |c: char| c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}');
    let lower = plain.to_lowercase();
    lower.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::canonicalize;

    /// The right-hand sides are open_clip 3.3's.
    #[test]
    fn texts_are_as_open_clip_makes_them() {
        let cases = [
            ("A photo of a Cat!", "a photo of a cat"),
            ("snake_case, kebab-case", "snake case kebabcase"),
            ("  it's\t3.14\n(really) ", "its 314 really"),
            ("ΟΔΟΣ İstanbul ẞ", "οδος i\u{307}stanbul ß"),
            ("“curly” — dash… ¿qué?", "“curly” — dash… ¿qué"),
            ("a\u{1c}b\u{a0}c\u{3000}d\u{200b}e", "a b c d\u{200b}e"),
            ("$100 & <b>`x`</b>^~|", "100 bxb"),
            ("", ""),
            ("_!_", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(canonicalize(text), expected, "{text:?}");
        }
    }
}
