//! Pairs in, scores out: any encoder with any metric.
