//! What clipgauge does with files, servers and tables, seen from the outside.

mod hub;
mod scorer;
mod sources;
