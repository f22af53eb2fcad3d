//! Times each stage by itself over the rows of a table, for `bench/`: `stages MODEL TABLE THREADS` prints milliseconds a
//! pair as JSON. Pictures are decoded and preprocessed on one thread; the towers run on so many, each with batches of its
//! own as in a run. `gemm_gflops` is what the matrix kernel reaches at most on those threads: a linear layer of 768 to
//! 3072 over 256 rows.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use clipgauge_core::backend::cpu::{Cpu, vector_lanes};
use clipgauge_core::backend::{Backend, Rows};
use clipgauge_core::decode::{DecodeOptions, decode};
use clipgauge_core::family;
use clipgauge_core::model_files::ModelFiles;
use clipgauge_core::pixels::PixelBatch;
use clipgauge_core::preprocess::preprocess;
use clipgauge_core::tokenize::TokenBatch;

const BATCH: usize = 16;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, table, threads] = arguments.as_slice() else { return Err("usage: stages MODEL TABLE THREADS".into()) };
    let threads: usize = threads.parse()?;
    let encoder = family::load(&ModelFiles::Folder(model.into()))?;
    let tokenizer = encoder.spec().tokenizer.as_ref().ok_or("the model has no tokenizer")?;
    let rows: Vec<(String, String)> = csv::Reader::from_path(table)?.deserialize().collect::<Result<_, _>>()?;
    let folder = Path::new(table).parent().ok_or("the table has no folder")?;
    let files = rows.iter().map(|(url, _)| std::fs::read(folder.join(url))).collect::<Result<Vec<_>, _>>()?;

    let start = Instant::now();
    let decoded = files.iter().map(|file| decode(file, &DecodeOptions::default())).collect::<Result<Vec<_>, _>>()?;
    let decode_time = start.elapsed();
    let start = Instant::now();
    let pictures: Vec<PixelBatch> =
        decoded.chunks(BATCH).map(|pictures| preprocess(pictures, &encoder.spec().image)).collect();
    let preprocess_time = start.elapsed();
    let start = Instant::now();
    let tokens = rows.iter().map(|(_, caption)| tokenizer.tokenize(caption)).collect::<Result<Vec<_>, _>>()?;
    let tokenize_time = start.elapsed();
    let texts: Vec<TokenBatch> =
        tokens.chunks(BATCH).map(|texts| texts.iter().map(|text| text.ids.as_slice()).collect()).collect();

    encoder.encode_images(&pictures[0])?;
    encoder.encode_texts(&texts[0])?;
    let images_time = on_threads(threads, &pictures, |batch| drop(encoder.encode_images(batch).expect("a picture")));
    let texts_time = on_threads(threads, &texts, |batch| drop(encoder.encode_texts(batch).expect("a caption")));

    let milliseconds = |seconds: f64| seconds * 1e3 / rows.len() as f64;
    let report = serde_json::json!({
        "vector_lanes": vector_lanes(),
        "decode": milliseconds(decode_time.as_secs_f64()),
        "preprocess": milliseconds(preprocess_time.as_secs_f64()),
        "tokenize": milliseconds(tokenize_time.as_secs_f64()),
        "images": milliseconds(images_time),
        "texts": milliseconds(texts_time),
        "gemm_gflops": gemm_gflops(threads),
    });
    println!("{report}");
    Ok(())
}

/// Seconds in which so many threads do the work for all batches.
fn on_threads<T: Sync>(threads: usize, batches: &[T], work: impl Fn(&T) + Sync) -> f64 {
    let work = &work;
    let start = Instant::now();
    std::thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || batches.iter().skip(first).step_by(threads).for_each(work));
        }
    });
    start.elapsed().as_secs_f64()
}

/// The best of some tries: what the machine can do when nothing else is in the way.
fn gemm_gflops(threads: usize) -> f64 {
    const ROWS: usize = 256;
    const REPEATS: usize = 16;
    let cpu = Cpu::default();
    let layer = cpu.prepare_linear(vec![0.01; 768 * 3072], None, 768);
    let inputs = vec![Rows::from_values(vec![0.5; ROWS * 768], 768); threads];
    let operations = (2 * ROWS * 768 * 3072 * REPEATS * threads) as f64;
    let product = |input: &Rows| {
        let mut output = Rows::new(3072);
        (0..REPEATS).for_each(|_| cpu.linear(input, &layer, &mut output));
    };
    let fastest = (0..12).map(|_| on_threads(threads, &inputs, product)).fold(f64::INFINITY, f64::min);
    operations / fastest / 1e9
}
