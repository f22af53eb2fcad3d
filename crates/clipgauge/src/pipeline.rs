//! The whole way of a table: rows, two lanes, an ordered join.
