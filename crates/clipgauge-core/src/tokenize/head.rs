//! How much of a long text decides its first tokens, so that a text of any length costs a bounded amount of work.
//!
//! A text may be cut before a space without changing a token left of it when no token of the vocabulary reaches over
//! the beginning of a space: no byte pair is then merged across it, no piece of a unigram or word-piece vocabulary
//! lies across it, and no normaliser composes a space with what stands before it.
//!
//! Inside a word, byte pairs are merged in the order of their rank. One merge rule `a b` changes the tokens at most
//! one `a` further left than they differed before it, so that all rules together carry a difference at most as far as
//! all their left halves are long (this is the finite lookahead of Berglund and van der Merwe, "Formalizing BPE
//! Tokenization", 2023). Each rule gives a token of its own, so the vocabulary's length bounds it. For CLIP that is
//! 232,000 characters: only a word longer than that is ever cut, and far behind the tokens that are asked for.

use tokenizers::Encoding;

/// Bytes of text for each token asked for that are looked at first. The longest tokens of real vocabularies have
/// fewer, so it is nearly always enough.
const BYTES_PER_TOKEN: usize = 64;

/// How much larger the next look is when a look gave too few tokens.
const GROWTH: usize = 8;

/// Bytes of a text after which nothing more is looked at, whatever came out until there. Reached by texts of nothing
/// but spaces (and, where punctuation is dropped, of nothing but punctuation).
const LAST_LOOK: usize = 2 << 20;

/// The most bytes that a normaliser makes one byte of within a word: mathematical letters are four in UTF-8 and one
/// as the ASCII letter they stand for.
const SHRINKING: usize = 4;

/// Bytes at the end of a cut word that normalisation may still have made otherwise: combining marks are sorted, and
/// composed with the letter before them.
const COMPOSITION: usize = 1 << 16;

/// What spaces are in vocabularies: themselves, SentencePiece's mark, or the byte 32 as GPT-2 writes it.
const SPACES: [char; 3] = [' ', '▁', 'Ġ'];

/// What about a vocabulary decides where a text can be cut.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// Whether no token goes on after its first letter with a space.
    ends_words_at_spaces: bool,
    /// How far before a cut within a word tokens may still differ, in bytes of the text.
    reach: usize,
}

impl Vocabulary {
    pub(super) fn of(tokens: impl IntoIterator<Item: AsRef<str>>) -> Self {
        let (mut ends_words_at_spaces, mut symbols) = (true, 0);
        for token in tokens {
            let token = token.as_ref();
            ends_words_at_spaces &= !token.trim_start_matches(SPACES).contains(SPACES);
            symbols += token.chars().count().saturating_sub(1);
        }
        Self { ends_words_at_spaces, reach: symbols.saturating_mul(SHRINKING).saturating_add(COMPOSITION) }
    }
}

/// The first `room` tokens of a text, and whether it has more. `encode` gives the tokens of a part of it, with their
/// byte offsets if it is told so.
pub(super) fn first_tokens<E>(
    text: &str,
    room: usize,
    vocabulary: &Vocabulary,
    encode: impl Fn(&str, bool) -> Result<Encoding, E>,
) -> Result<(Vec<u32>, bool), E> {
    let mut look = BYTES_PER_TOKEN.saturating_mul(room).min(LAST_LOOK);
    loop {
        let head = Head::of(text, look, vocabulary);
        let is_whole = head.text.len() == text.len();
        let encoding = encode(head.text, !is_whole)?;
        let ids = encoding.get_ids();
        let is_decided =
            || ids.len() > room && encoding.get_offsets()[..room].iter().all(|(_, end)| *end <= head.decided);
        if is_whole || look == LAST_LOOK || is_decided() {
            return Ok((ids[..ids.len().min(room)].to_vec(), ids.len() > room || !is_whole));
        }
        look = look.saturating_mul(GROWTH).min(LAST_LOOK);
    }
}

/// The beginning of a text.
struct Head<'t> {
    text: &'t str,
    /// Tokens that end by this byte are those of the whole text.
    decided: usize,
}

impl<'t> Head<'t> {
    /// At least the first `look` bytes.
    fn of(text: &'t str, look: usize, vocabulary: &Vocabulary) -> Self {
        if text.len() <= look {
            return Self { text, decided: text.len() };
        }
        if vocabulary.ends_words_at_spaces {
            let window = &text.as_bytes()[look..text.len().min(2 * look)];
            // A byte 32 is a space wherever it stands in UTF-8.
            let spaces = window.iter().enumerate().filter(|(_, byte)| **byte == b' ').map(|(index, _)| look + index);
            let word_ends =
                |space: &usize| text[..*space].chars().next_back().is_some_and(|last| !last.is_whitespace());
            if let Some(end) = spaces.into_iter().find(word_ends) {
                return Self { text: &text[..end], decided: end };
            }
        }
        let text = &text[..text.floor_char_boundary(look.saturating_add(vocabulary.reach))];
        Self { text, decided: text.len().saturating_sub(vocabulary.reach) }
    }
}
