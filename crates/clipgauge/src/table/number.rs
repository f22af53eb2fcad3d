//! How a score is written in text.

use std::io::Write;

/// Writes the shortest decimal that reads back as the same `f32`: as a plain number from 1e-5 up to 1e16, with an
/// exponent beyond (`1e-20` rather than a zero with twenty digits; Python, pandas and R read both). A negative zero
/// keeps its sign.
pub(crate) fn write_f32(out: &mut Vec<u8>, number: f32) {
    let size = number.abs();
    let written = if size != 0.0 && size.is_finite() && !(1e-5..1e16).contains(&size) {
        write!(out, "{number:e}")
    } else {
        write!(out, "{number}")
    };
    debug_assert!(written.is_ok(), "a vector takes every byte");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(number: f32) -> String {
        let mut out = Vec::new();
        write_f32(&mut out, number);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.3, "0.3"),
            (1.0, "1"),
            (-0.106595, "-0.106595"),
            (0.0, "0"),
            (-0.0, "-0"),
            (28.5, "28.5"),
            (1e-5, "0.00001"),
            (9.5e-6, "9.5e-6"),
            (1e-20, "1e-20"),
            (-3e20, "-3e20"),
            (f32::MIN_POSITIVE, "1.1754944e-38"),
            (f32::MAX, "3.4028235e38"),
        ];
        for (number, text) in cases {
            assert_eq!(written(number), text);
        }
    }

    proptest! {
        #[test]
        fn numbers_read_back_as_they_were(bits in any::<u32>()) {
            let number = f32::from_bits(bits);
            prop_assume!(!number.is_nan());
            let text = written(number);
            prop_assert_eq!(text.parse::<f32>().expect("a number").to_bits(), bits);
            prop_assert!(text.len() <= 18, "{} is long", text);
        }
    }
}
