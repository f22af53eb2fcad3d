//! What every encoder must do, one of this crate's or one that a caller brings.

use crate::encoder::Encoder;
use crate::pixels::{PixelBatch, Pixels};
use crate::preprocess::preprocess;
use crate::tokenize::TokenBatch;

/// More items than any kernel takes at a time, and a number that is no multiple of any.
const ITEMS: usize = 37;

/// Encodes pictures and texts alone, together and in reverse, and panics where a vector differs by a bit, has another
/// width than the spec says, or is not finite.
///
/// `texts` are token ids that the encoder takes, of different lengths.
pub fn encoder(encoder: &dyn Encoder, texts: &[&[u32]]) {
    let pictures: Vec<PixelBatch> = (0..5).map(|index| preprocess([&picture(index)], &encoder.spec().image)).collect();
    let images = |indices: &[usize]| {
        let mut batch = pictures[indices[0]].clone();
        indices[1..].iter().for_each(|&index| batch.append(pictures[index].clone()));
        encoder.encode_images(&batch).expect("pictures as the spec wants them are encoded")
    };
    let words = |indices: &[usize]| {
        let batch: TokenBatch = indices.iter().map(|&index| texts[index]).collect();
        encoder.encode_texts(&batch).expect("texts as the caller gave them are encoded")
    };
    let width = encoder.spec().embedding_width;
    independent("picture", pictures.len(), width, images);
    independent("text", texts.len(), width, words);
}

fn independent(what: &str, count: usize, width: usize, encode: impl Fn(&[usize]) -> crate::embeddings::Embeddings) {
    let order: Vec<usize> = (0..ITEMS).map(|index| (index * 3 + 1) % count).collect();
    let reversed: Vec<usize> = order.iter().rev().copied().collect();
    let (together, backwards) = (encode(&order), encode(&reversed));
    assert_eq!((together.len(), together.width()), (ITEMS, width), "{what}s: how many vectors of which width");
    for (row, &index) in order.iter().enumerate() {
        let alone = encode(&[index]);
        assert!(alone.row(0).iter().all(|value| value.is_finite()), "{what} {index}: a number is not finite");
        assert_eq!(alone.row(0), together.row(row), "{what} {index} alone and at row {row} of {ITEMS}");
        assert_eq!(alone.row(0), backwards.row(ITEMS - 1 - row), "{what} {index} alone and in the reversed batch");
    }
}

/// A picture with edges and gradients, another one for each index.
fn picture(index: u32) -> Pixels {
    let (width, height) = (97 + 31 * index, 160 - 23 * index);
    let byte =
        |x: u32, y: u32, channel: u32| ((x * (3 + index) + y * 5 * channel + (x / 16 + y / 16) % 2 * 90) % 256) as u8;
    let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |channel| byte(x, y, channel))));
    Pixels::new(width, height, pixels.collect())
}
