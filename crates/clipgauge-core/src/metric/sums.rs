//! The sums that metrics are made of: in f64, in an order that depends on nothing but the vectors' length.

/// Sums that run side by side, so that the processor can add several numbers at once without the order depending on
/// how many it can.
const LANES: usize = 8;

/// The sum of a term for each pair of numbers. The vectors must be of one length; of the longer the rest is not used.
pub(super) fn sum(left: &[f32], right: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let (left_lanes, left_rest) = left.as_chunks::<LANES>();
    let (right_lanes, right_rest) = right.as_chunks::<LANES>();
    for (left, right) in left_lanes.iter().zip(right_lanes) {
        for (sum, (left, right)) in sums.iter_mut().zip(left.iter().zip(right)) {
            *sum += term(f64::from(*left), f64::from(*right));
        }
    }
    let rest: f64 =
        left_rest.iter().zip(right_rest).map(|(left, right)| term(f64::from(*left), f64::from(*right))).sum();
    sums.iter().sum::<f64>() + rest
}

/// The inner product. Each product of two f32 is exact in f64.
pub(super) fn dot(left: &[f32], right: &[f32]) -> f64 {
    sum(left, right, |left, right| left * right)
}

/// What to multiply a vector with so that its length is 1; a vector of zeros stays one.
pub(super) fn normalizer(vector: &[f32]) -> f64 {
    let length = dot(vector, vector).sqrt();
    if length == 0.0 { 0.0 } else { 1.0 / length }
}

/// The cosine of the angle between two vectors, in [-1, 1]; 0 when one of them is all zeros, as for vectors that have
/// nothing in common.
pub(super) fn cosine(left: &[f32], right: &[f32]) -> f64 {
    (dot(left, right) * (normalizer(left) * normalizer(right))).clamp(-1.0, 1.0)
}

/// The sum of a term for each difference between the normalised vectors. The differences are taken before anything
/// is squared, so that of vectors that are nearly the same no digits cancel.
pub(super) fn sum_of_differences(left: &[f32], right: &[f32], term: impl Fn(f64) -> f64) -> f64 {
    let (left_scale, right_scale) = (normalizer(left), normalizer(right));
    sum(left, right, |left, right| term(left * left_scale - right * right_scale))
}
