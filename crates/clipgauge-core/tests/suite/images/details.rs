//! What the golden files don't show: options, crops of odd differences, batches.

use clipgauge_core::decode::{DecodeOptions, decode};
use clipgauge_core::pixels::{PixelBatch, Pixels};
use clipgauge_core::preprocess::preprocess;
use clipgauge_core::spec::{ImageSpec, Resize};

use super::golden::{clip, golden_file, siglip};

fn decoded(name: &str, options: &DecodeOptions) -> Pixels {
    decode(&golden_file(name), options).unwrap()
}

fn color_at(picture: &Pixels, x: u32, y: u32) -> [u8; 3] {
    let at = ((y * picture.width() + x) * 3) as usize;
    picture.rgb()[at..at + 3].try_into().unwrap()
}

/// The levels of a batch of pictures that were neither rescaled nor normalised.
fn values(pictures: &[&Pixels], spec: &ImageSpec) -> Vec<f32> {
    let spec = ImageSpec { rescale_factor: 1.0, mean: [0.0; 3], std: [1.0; 3], ..spec.clone() };
    match preprocess(pictures.iter().copied(), &spec) {
        PixelBatch::Pictures { values, .. } | PixelBatch::Patches { values, .. } => values,
    }
}

#[test]
fn orientation_can_be_left_alone() {
    let stored = DecodeOptions { apply_orientation: false, ..DecodeOptions::default() };
    for name in ["jpeg-exif-6.jpg", "png-exif-6.png", "webp-exif-8.webp"] {
        let [upright, as_stored] = [decoded(name, &DecodeOptions::default()), decoded(name, &stored)];
        assert_eq!([upright.width(), upright.height()], [as_stored.height(), as_stored.width()], "{name}");
    }
}

#[test]
fn a_background_shows_through_what_is_transparent() {
    // Alpha goes from 0 on the left to 255 on the right.
    let background = [10, 200, 30];
    let over = DecodeOptions { background: Some(background), ..DecodeOptions::default() };
    for name in ["webp-lossy-alpha.webp", "png-gray-alpha.png"] {
        let [dropped, laid] = [decoded(name, &DecodeOptions::default()), decoded(name, &over)];
        let right = laid.width() - 1;
        assert_eq!(color_at(&laid, 0, 5), background, "{name}");
        assert_eq!(color_at(&laid, right, 5), color_at(&dropped, right, 5), "{name}");
        assert_ne!(color_at(&dropped, 0, 5), background, "{name}");
    }
}

#[test]
fn a_colour_that_is_transparent_as_a_whole_is_white_or_the_background() {
    let background = [1, 2, 3];
    let over = DecodeOptions { background: Some(background), ..DecodeOptions::default() };
    for name in ["png-palette-trns.png", "gif-transparent.gif"] {
        let [white, laid] = [decoded(name, &DecodeOptions::default()), decoded(name, &over)];
        let pixels = || white.rgb().chunks(3).zip(laid.rgb().chunks(3));
        assert!(pixels().any(|(white, laid)| white == [255; 3] && laid == background), "{name}");
        assert!(pixels().all(|(white, laid)| white == laid || white == [255; 3] && laid == background), "{name}");
    }
}

#[test]
fn a_picture_at_the_limit_is_decoded() {
    let png = golden_file("size-2x3.png");
    let at_most = |max_pixels| decode(&png, &DecodeOptions { max_pixels, ..DecodeOptions::default() });
    assert!(at_most(6).is_ok());
    assert_eq!(at_most(5).unwrap_err().to_string(), "2×3 pixels are more than the 5 allowed");
}

#[test]
fn odd_differences_crop_down_and_fill_up() {
    // Five columns of one row, 10 to 50.
    let row = Pixels::new(5, 1, (1..=5).flat_map(|value| [value * 10; 3]).collect());
    for (crop, expected) in [
        ([1, 2], &[20.0, 30.0][..]),
        ([1, 4], &[10.0, 20.0, 30.0, 40.0]),
        ([1, 6], &[0.0, 10.0, 20.0, 30.0, 40.0, 50.0]),
        ([1, 8], &[0.0, 0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 0.0]),
        ([2, 1], &[0.0, 30.0]),
    ] {
        let spec = ImageSpec { resize: Resize::Keep, crop: Some(crop), ..clip(1) };
        let red = &values(&[&row], &spec)[..expected.len()];
        assert_eq!(red, expected, "{crop:?}");
    }
}

#[test]
fn the_longer_side_is_rounded_down() {
    // 64 · 101 / 75 is 86.2: the crop of 64 starts at (86 − 64) / 2 = 11.
    let picture = decoded("size-101x75.png", &DecodeOptions::default());
    let [whole, cropped] = [[64, 86], [64, 64]]
        .map(|crop| values(&[&picture], &ImageSpec { resize: Resize::ShortestEdge(64), crop: Some(crop), ..clip(64) }));
    for (whole, cropped) in whole.chunks(86).zip(cropped.chunks(64)) {
        assert_eq!(&whole[11..75], cropped);
    }
}

#[test]
fn a_picture_far_longer_than_wide_costs_no_more_than_its_crop() {
    for (width, height) in [(1, 300_000), (300_000, 1)] {
        let line = Pixels::new(width, height, vec![77; 900_000]);
        let all = values(&[&line], &clip(224));
        assert!(all.iter().all(|value| *value == 77.0), "{width}×{height}");
        assert_eq!(all.len(), 3 * 224 * 224);
    }
}

#[test]
fn a_picture_in_a_batch_is_the_picture_alone() {
    let names = ["tall.png", "size-101x75.png", "jpeg-gray.jpg"];
    let pictures = names.map(|name| decoded(name, &DecodeOptions::default()));
    let patches = ImageSpec { resize: Resize::Patches { patch_size: 16, max_patches: 32 }, ..siglip(1) };
    for spec in [clip(48), siglip(40), patches] {
        let together = values(&pictures.each_ref(), &spec);
        let alone: Vec<f32> = pictures.iter().flat_map(|picture| values(&[picture], &spec)).collect();
        assert_eq!(together, alone, "{:?}", spec.resize);
    }
}

#[test]
fn no_pictures_are_an_empty_batch() {
    assert!(preprocess([], &clip(8)).is_empty());
    assert!(
        preprocess([], &ImageSpec { resize: Resize::Patches { patch_size: 8, max_patches: 4 }, ..clip(8) }).is_empty()
    );
}
