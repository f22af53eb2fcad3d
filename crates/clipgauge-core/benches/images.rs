//! From the bytes of a 768×768 JPEG to CLIP's 224×224 numbers, on one thread: `cargo bench -p clipgauge-core --bench
//! images`. `benches/pillow.py` measures the same work in Pillow and transformers.

use clipgauge_core::decode::{DecodeOptions, decode};
use clipgauge_core::preprocess::preprocess;
use clipgauge_core::resize::resize;
use clipgauge_core::spec::{Filter, ImageSpec};
use divan::{Bencher, black_box};

const JPEG: &[u8] = include_bytes!("scene-768.jpg");

fn main() {
    divan::main();
}

fn clip() -> ImageSpec {
    ImageSpec::from_preprocessor_config(b"{}", "the default").unwrap()
}

#[divan::bench]
fn decode_jpeg(bencher: Bencher) {
    bencher.bench(|| decode(black_box(JPEG), &DecodeOptions::default()));
}

#[divan::bench(args = [Filter::Bicubic, Filter::Bilinear, Filter::Lanczos])]
fn resize_to_224(bencher: Bencher, filter: Filter) {
    let picture = decode(JPEG, &DecodeOptions::default()).unwrap();
    bencher.bench(|| resize(black_box(&picture), 224, 224, filter));
}

#[divan::bench]
fn preprocess_for_clip(bencher: Bencher) {
    let picture = decode(JPEG, &DecodeOptions::default()).unwrap();
    let spec = clip();
    bencher.bench(|| preprocess([black_box(&picture)], &spec));
}

#[divan::bench]
fn decode_and_preprocess(bencher: Bencher) {
    let spec = clip();
    bencher.bench(|| preprocess([&decode(black_box(JPEG), &DecodeOptions::default()).unwrap()], &spec));
}
