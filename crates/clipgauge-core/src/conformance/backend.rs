//! What every backend must do: each operation against its definition, computed plainly in f64, and each row the same
//! whatever rows are beside it.

use crate::backend::{Activation, Attention, Backend, Columns, LayerNorm, Rows, spans};

/// The largest difference from the definition, relative to the size of the numbers that were summed.
const TOLERANCE: f64 = 2e-6;

/// Runs every operation and panics where one is wrong.
pub fn backend<B: Backend>(backend: &B) {
    backend_within(backend, TOLERANCE);
}

/// The same for a backend whose linear layers are not as exact as f32: each number may differ by `tolerance`, relative
/// to the size of the numbers that were summed. That a row is the same whatever rows are beside it holds to the bit.
pub fn backend_within<B: Backend>(backend: &B, tolerance: f64) {
    linear(backend, tolerance);
    feed_forward(backend, tolerance);
    layer_norm(backend);
    attention(backend);
}

/// Numbers between -1 and 1 that look random and are the same each time (SplitMix64, Steele et al. 2014).
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed << 32;
    let number = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(number).take(count).collect()
}

fn rows(seed: u64, len: usize, width: usize) -> Rows {
    Rows::from_values(numbers(seed, len * width), width)
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

#[track_caller]
fn assert_close(what: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: how many numbers");
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(found) - expected).abs();
        assert!(difference <= tolerance, "{what}: number {index} is {found}, not {expected}");
    }
}

/// `input · weightᵀ + bias`, `[rows, outputs]`.
fn plain_linear(input: &[f64], weight: &[f64], bias: &[f64], inputs: usize) -> Vec<f64> {
    let product = |row: &[f64], column: &[f64]| row.iter().zip(column).map(|(a, b)| a * b).sum::<f64>();
    let row = |row| weight.chunks_exact(inputs).zip(bias).map(move |(column, bias)| product(row, column) + bias);
    input.chunks_exact(inputs).flat_map(row).collect()
}

fn linear<B: Backend>(backend: &B, tolerance: f64) {
    for (len, inputs, outputs) in
        [(1, 1, 1), (1, 40, 24), (7, 33, 50), (65, 600, 130), (3, 64, 1500), (2, 769, 17), (4, 3072, 33)]
    {
        let what = format!("linear, {len} rows of {inputs} to {outputs}");
        let (input, weight, bias) = (rows(1, len, inputs), numbers(2, inputs * outputs), numbers(3, outputs));
        let layer = backend.prepare_linear(weight.clone(), Some(bias.clone()), inputs);
        let expected = plain_linear(&wide(input.values()), &wide(&weight), &wide(&bias), inputs);
        let tolerance = tolerance * (inputs as f64).sqrt().max(1.0);

        let mut output = Rows::new(outputs);
        backend.linear(&input, &layer, &mut output);
        assert_close(&what, output.values(), &expected, tolerance);

        let mut residual = rows(4, len, outputs);
        let sums: Vec<f64> = expected.iter().zip(wide(residual.values())).map(|(a, b)| a + b).collect();
        backend.linear_add(&input, &layer, &mut residual);
        assert_close(&format!("{what}, added"), residual.values(), &sums, tolerance);

        for index in 0..len {
            let mut alone = Rows::new(outputs);
            backend.linear(&input.gather([index]), &layer, &mut alone);
            assert_eq!(alone.row(0), output.row(index), "{what}: row {index} alone");
        }
        let unbiased = backend.prepare_linear(weight.clone(), None, inputs);
        let expected = plain_linear(&wide(input.values()), &wide(&weight), &vec![0.0; outputs], inputs);
        backend.linear(&input, &unbiased, &mut output);
        assert_close(&format!("{what}, without bias"), output.values(), &expected, tolerance);
    }
}

/// The activations' definitions: Hendrycks & Gimpel 2016, with the error function by its series and fraction.
fn plain_activation(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
        Activation::Gelu => x * 0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            x * 0.5 * (1.0 + inner.tanh())
        }
    }
}

/// The error function by its Maclaurin series, which is exact enough for the arguments here (|x| < 5).
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

fn feed_forward<B: Backend>(backend: &B, tolerance: f64) {
    // More rows than a backend is likely to take at a time, and a number that is no multiple of any block.
    let (len, width, inner) = (531, 24, 96);
    for activation in [Activation::QuickGelu, Activation::Gelu, Activation::GeluTanh] {
        let what = format!("feed forward with {activation:?}");
        let (input, residual) = (rows(5, len, width), rows(6, len, width));
        let (expand, expand_bias) = (numbers(7, width * inner), numbers(8, inner));
        let (contract, contract_bias) = (numbers(9, inner * width), numbers(10, width));
        let activated: Vec<f64> = plain_linear(&wide(input.values()), &wide(&expand), &wide(&expand_bias), width)
            .into_iter()
            .map(|x| plain_activation(activation, x))
            .collect();
        let contracted = plain_linear(&activated, &wide(&contract), &wide(&contract_bias), inner);
        let expected: Vec<f64> = contracted.iter().zip(wide(residual.values())).map(|(a, b)| a + b).collect();

        let expand = backend.prepare_linear(expand, Some(expand_bias), width);
        let contract = backend.prepare_linear(contract, Some(contract_bias), inner);
        let mut sums = residual.clone();
        backend.feed_forward(&input, &expand, activation, &contract, &mut sums);
        assert_close(&what, sums.values(), &expected, 20.0 * tolerance);
        for index in [0, 127, 128, 287, 288, 530] {
            let mut alone = residual.gather([index]);
            backend.feed_forward(&input.gather([index]), &expand, activation, &contract, &mut alone);
            assert_eq!(alone.row(0), sums.row(index), "{what}: row {index} alone");
        }
    }
}

fn layer_norm<B: Backend>(backend: &B) {
    for width in [1, 7, 48, 768] {
        let norm = LayerNorm { gain: numbers(11, width), bias: numbers(12, width), epsilon: 1e-5 };
        // A large mean and a small spread: what a single pass over squares would lose to cancellation.
        let values = numbers(13, 5 * width).into_iter().map(|value| 3.0 + value).collect();
        let input = Rows::from_values(values, width);
        let expected: Vec<f64> = wide(input.values())
            .chunks_exact(width)
            .flat_map(|row| {
                let mean = row.iter().sum::<f64>() / width as f64;
                let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
                let scaled = move |x: f64| (x - mean) / (variance + f64::from(norm.epsilon)).sqrt();
                let affine = wide(&norm.gain).into_iter().zip(wide(&norm.bias));
                row.iter().zip(affine).map(|(&x, (gain, bias))| scaled(x) * gain + bias).collect::<Vec<_>>()
            })
            .collect();
        let mut output = Rows::new(width);
        backend.layer_norm(&input, &norm, &mut output);
        assert_close(&format!("layer norm of {width}"), output.values(), &expected, 10.0 * TOLERANCE);
    }
}

fn attention<B: Backend>(backend: &B) {
    let (heads, head_width) = (3, 8);
    let width = heads * head_width;
    let ends = [1, 4, 54, 61];
    // Queries, keys and values side by side, and a column before them that must not be touched.
    let (stride, start) = (3 * width + 1, 1);
    let packed = rows(14, ends[3], stride);
    let column = |part: usize| Columns { rows: &packed, start: start + part * width };
    for is_causal in [false, true] {
        let what = if is_causal { "causal attention" } else { "attention" };
        let mut expected = vec![0.0; ends[3] * width];
        for span in spans(&ends) {
            for (query, head) in span.clone().flat_map(|query| (0..heads).map(move |head| (query, head))) {
                let part = |row: usize, part: usize| {
                    wide(&packed.row(row)[start + part * width + head * head_width..][..head_width])
                };
                let seen = if is_causal { span.start..query + 1 } else { span.clone() };
                let dot = |key| part(query, 0).iter().zip(part(key, 1)).map(|(a, b)| a * b).sum::<f64>();
                let weights: Vec<f64> = seen.clone().map(|key| (dot(key) / (head_width as f64).sqrt()).exp()).collect();
                let total: f64 = weights.iter().sum();
                for (key, weight) in seen.zip(weights) {
                    let output = &mut expected[query * width + head * head_width..][..head_width];
                    output.iter_mut().zip(part(key, 2)).for_each(|(sum, value)| *sum += weight / total * value);
                }
            }
        }
        let shape = Attention { heads, query_ends: &ends, key_ends: &ends, is_causal };
        let mut output = Rows::new(width);
        backend.attention(column(0), column(1), column(2), &shape, &mut output);
        assert_close(what, output.values(), &expected, 4.0 * TOLERANCE);

        // Each item alone gives the same bits.
        for span in spans(&ends) {
            let alone = packed.gather(span.clone());
            let columns = |part: usize| Columns { rows: &alone, start: start + part * width };
            let len = [span.len()];
            let shape = Attention { heads, query_ends: &len, key_ends: &len, is_causal };
            let mut separate = Rows::new(width);
            backend.attention(columns(0), columns(1), columns(2), &shape, &mut separate);
            assert_eq!(separate.values(), output.gather(span.clone()).values(), "{what}: item {span:?} alone");
        }
    }
    // Fewer queries than keys, as in the last block.
    let queries = packed.gather([0, 10]);
    let shape = Attention { heads, query_ends: &[1, 2], key_ends: &[4, 61], is_causal: false };
    let mut few = Rows::new(width);
    backend.attention(Columns { rows: &queries, start }, column(1), column(2), &shape, &mut few);
    let all = Attention { heads, query_ends: &[4, 61], key_ends: &[4, 61], is_causal: false };
    let mut output = Rows::new(width);
    backend.attention(column(0), column(1), column(2), &all, &mut output);
    for (few, all) in few.values().iter().zip(output.gather([0, 10]).values()) {
        assert!((few - all).abs() < 1e-5, "attention of some queries: {few}, not {all}");
    }
}
