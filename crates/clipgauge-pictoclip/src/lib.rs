//! clipgauge-pictoclip
