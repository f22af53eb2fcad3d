//! The resize against Pillow's, byte for byte (`tests/golden/make/resize.py`).

use std::fs;

use clipgauge_core::pixels::Pixels;
use clipgauge_core::resize::resize;
use clipgauge_core::spec::Filter;
use serde_json::Value;

use super::golden::workspace;

/// The filters by Pillow's numbers.
const FILTERS: [Filter; 6] =
    [Filter::Nearest, Filter::Lanczos, Filter::Bilinear, Filter::Bicubic, Filter::Box, Filter::Hamming];

fn made_up(width: u32, height: u32) -> Pixels {
    let bytes = (0..width * height * 3).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8);
    Pixels::new(width, height, bytes.collect())
}

fn fnv(bytes: &[u8]) -> String {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

#[test]
fn every_filter_equals_pillow() {
    let golden = fs::read(workspace().join("tests/golden/images/resize.json")).unwrap();
    let golden: Value = serde_json::from_slice(&golden).unwrap();
    let mut problems = Vec::new();
    for case in golden["cases"].as_array().unwrap() {
        let number = |field: &str, at: usize| case[field][at].as_u64().unwrap() as u32;
        let filter = FILTERS[case["filter"].as_u64().unwrap() as usize];
        let resized = resize(&made_up(number("from", 0), number("from", 1)), number("to", 0), number("to", 1), filter);
        if fnv(resized.rgb()) != case["fnv"].as_str().unwrap() {
            problems.push(format!("{} to {} with {filter:?}", case["from"], case["to"]));
        }
    }
    assert!(problems.is_empty(), "other bytes than Pillow's:\n{}", problems.join("\n"));
}
