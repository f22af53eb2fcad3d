//! What `clipgauge-core` does, seen from outside.

mod images;
