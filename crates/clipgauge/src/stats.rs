//! What a run amounts to: counts by kind, quantiles of the score, time per stage.
