//! Pillow's resampling, exactly: two passes, horizontal first, in 8 bits and fixed point.
