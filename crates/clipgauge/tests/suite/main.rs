//! What clipgauge does with files, servers and tables, seen from the outside.

mod compare;
mod hub;
mod scorer;
mod sessions;
mod sources;
