//! What the encoder costs: a model of ViT-B/32's shape with random weights, on one core.
//!
//! `make bench` makes the model; GFLOP/s are those of the linear layers and of attention, counted once each.

use std::path::Path;
use std::sync::LazyLock;

use clipgauge_core::backend::cpu::{Cpu, vector_lanes};
use clipgauge_core::backend::{Backend, Rows};
use clipgauge_core::encoder::Encoder;
use clipgauge_core::family::{self, LoadOptions};
use clipgauge_core::model_files::ModelFiles;
use clipgauge_core::pixels::PixelBatch;
use clipgauge_core::precision::Precision;
use clipgauge_core::tokenize::TokenBatch;
use divan::Bencher;
use divan::counter::ItemsCount;

static F32: LazyLock<Box<dyn Encoder>> = LazyLock::new(|| model(Precision::F32));
static INT8: LazyLock<Box<dyn Encoder>> = LazyLock::new(|| model(Precision::Int8));

fn model(precision: Precision) -> Box<dyn Encoder> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench/vit-b-32");
    family::load_with(&ModelFiles::Folder(folder), &LoadOptions { precision, ..LoadOptions::default() })
        .expect("`make bench` makes target/bench/vit-b-32 first")
}

fn main() {
    println!("f32 in a vector: {}", vector_lanes());
    LazyLock::force(&F32);
    LazyLock::force(&INT8);
    divan::main();
}

/// Items are images: 8.7 GFLOP each.
#[divan::bench(args = [1, 4, 16, 32], sample_count = 10)]
fn images(bencher: Bencher<'_, '_>, count: usize) {
    encode_images(bencher, count, &**F32);
}

#[divan::bench(args = [1, 4, 16, 32], sample_count = 10)]
fn images_int8(bencher: Bencher<'_, '_>, count: usize) {
    encode_images(bencher, count, &**INT8);
}

fn encode_images(bencher: Bencher<'_, '_>, count: usize, model: &dyn Encoder) {
    let values = (0..count * 3 * 224 * 224).map(|index| (index % 255) as f32 / 127.5 - 1.0).collect();
    let batch = PixelBatch::Pictures { values, height: 224, width: 224 };
    bencher.counter(ItemsCount::new(count)).bench(|| model.encode_images(&batch).expect("the model takes 224×224"));
}

/// Items are texts of 18 tokens: 1.4 GFLOP each.
#[divan::bench(args = [1, 4, 16, 32], sample_count = 10)]
fn texts(bencher: Bencher<'_, '_>, count: usize) {
    encode_texts(bencher, count, &**F32);
}

#[divan::bench(args = [1, 4, 16, 32], sample_count = 10)]
fn texts_int8(bencher: Bencher<'_, '_>, count: usize) {
    encode_texts(bencher, count, &**INT8);
}

fn encode_texts(bencher: Bencher<'_, '_>, count: usize, model: &dyn Encoder) {
    let ids: Vec<u32> = [49_406].into_iter().chain(1000..1016).chain([49_407]).collect();
    let batch: TokenBatch = std::iter::repeat_n(ids.as_slice(), count).collect();
    bencher.counter(ItemsCount::new(count)).bench(|| model.encode_texts(&batch).expect("the model takes these ids"));
}

/// Items are multiply-adds of a linear layer of 768 to 3072, by rows: what the matrix kernel reaches at most.
#[divan::bench(args = [1, 16, 256, 1024], sample_count = 20)]
fn linear(bencher: Bencher<'_, '_>, rows: usize) {
    multiply(bencher, rows, Cpu::new(Precision::F32));
}

#[divan::bench(args = [1, 16, 256, 1024], sample_count = 20)]
fn linear_int8(bencher: Bencher<'_, '_>, rows: usize) {
    multiply(bencher, rows, Cpu::new(Precision::Int8));
}

fn multiply(bencher: Bencher<'_, '_>, rows: usize, cpu: Cpu) {
    let layer = cpu.prepare_linear(vec![0.01; 768 * 3072], None, 768);
    let input = Rows::from_values(vec![0.5; rows * 768], 768);
    let mut output = Rows::new(3072);
    bencher.counter(ItemsCount::new(rows * 768 * 3072)).bench_local(|| cpu.linear(&input, &layer, &mut output));
}
