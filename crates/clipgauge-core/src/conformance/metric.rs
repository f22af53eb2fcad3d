//! The rules for metrics.

use crate::metric::Compare;

/// Lengths of the vectors that are compared: below, at and above the number of sums that run side by side.
const WIDTHS: [usize; 5] = [2, 3, 8, 29, 512];

/// Steps from vectors that point the same way to vectors that point opposite ways.
const STEPS: usize = 64;

/// Puts a metric through the rules:
///
/// - image and text may change places,
/// - the same two vectors always give the same score,
/// - of unit vectors, the same vector is the best match for itself,
/// - the score never becomes better when the angle between unit vectors becomes larger, and does become worse between
///   the same and the opposite direction, where better means what [`Compare::higher_is_better`] says,
/// - vectors of zeros, and very small ones, have a finite score.
///
/// # Panics
/// When a rule is broken, with the rule.
///
/// # Examples
/// ```
/// use clipgauge_core::{conformance, metric::Compare};
///
/// struct Overlap;
///
/// impl Compare for Overlap {
///     fn compare(&self, image: &[f32], text: &[f32]) -> f32 {
///         image.iter().zip(text).map(|(image, text)| image * text).sum()
///     }
///
///     fn higher_is_better(&self) -> bool {
///         true
///     }
/// }
///
/// conformance::metric(&Overlap);
/// ```
pub fn metric(metric: &dyn Compare) {
    for width in WIDTHS {
        let sweep: Vec<Vec<f32>> = (0..=STEPS).map(|step| turned(width, step)).collect();
        let best = &sweep[0];
        let badness = |vector: &[f32]| {
            let score = metric.compare(best, vector);
            assert!(score.is_finite(), "width {width}: the score {score} of unit vectors is not finite");
            assert_eq!(score, metric.compare(best, vector), "width {width}: two scores for the same vectors");
            assert_eq!(score, metric.compare(vector, best), "width {width}: image and text cannot change places");
            if metric.higher_is_better() { -score } else { score }
        };
        let sweep: Vec<f32> = sweep.iter().map(|vector| badness(vector)).collect();
        for (step, pair) in sweep.windows(2).enumerate() {
            // Steps are far larger than rounding, so a score that falls back falls for a reason.
            assert!(pair[0] <= pair[1], "width {width}: a larger angle is a better match, at step {step} of {STEPS}");
        }
        assert!(sweep[0] < sweep[STEPS], "width {width}: opposite vectors match as well as the same vector does");

        let zeros = vec![0.0; width];
        let tiny = vec![f32::from_bits(1); width];
        for (left, right) in [(&zeros, best), (best, &zeros), (&zeros, &zeros), (&tiny, best), (&tiny, &tiny)] {
            let score = metric.compare(left, right);
            assert!(
                score.is_finite(),
                "width {width}: the score {score} of vectors of zeros, or nearly, is not finite"
            );
        }
    }
}

/// The unit vector that lies `step` of [`STEPS`] of half a turn away from the first one, the turn taking place in a
/// plane that all coordinates take part in.
fn turned(width: usize, step: usize) -> Vec<f32> {
    let angle = std::f64::consts::PI * step as f64 / STEPS as f64;
    let scale = (width as f64).sqrt().recip();
    // Two unit vectors at a right angle: alternating signs, in pairs; a last odd coordinate is left to the first.
    let pairs = (width / 2) as f64;
    (0..width)
        .map(|index| {
            let first = scale;
            let is_paired = index / 2 < width / 2;
            let second = if !is_paired { 0.0 } else { (1.0 / (2.0 * pairs)).sqrt() * [1.0, -1.0][index % 2] };
            (first * angle.cos() + second * angle.sin()) as f32
        })
        .collect()
}
