//! Pictures: nothing larger than allowed is decoded, and no header makes the memory for it be taken. The limit on single
//! allocations is libFuzzer's (`-malloc_limit_mb`, see the Makefile).
#![no_main]

use clipgauge_core::decode::{DecodeError, DecodeOptions, decode, extension};
use libfuzzer_sys::fuzz_target;

/// The most pixels. What is taken for so many, in 16 bits with transparency and once more, is well below the limit.
const MAX_PIXELS: u64 = 1 << 20;

fuzz_target!(|data: &[u8]| {
    for background in [None, Some([10, 20, 30])] {
        let options = DecodeOptions { max_pixels: MAX_PIXELS, background, ..DecodeOptions::default() };
        match decode(data, &options) {
            Ok(pixels) => {
                let size = u64::from(pixels.width()) * u64::from(pixels.height());
                assert!(size > 0 && size <= MAX_PIXELS && pixels.rgb().len() as u64 == size * 3);
                assert!(extension(data).is_some());
            }
            Err(DecodeError::NotAnImage { .. } | DecodeError::Empty) => assert_eq!(extension(data), None),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
