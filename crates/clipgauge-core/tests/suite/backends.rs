//! Every backend against the definitions of its operations.

use clipgauge_core::backend::cpu::Cpu;
use clipgauge_core::conformance;
use clipgauge_core::precision::Precision;

#[test]
fn the_cpu_computes_what_the_operations_are_defined_as() {
    conformance::backend(&Cpu::default());
}

/// The steps of 8 bits are 1/255 of a row's range and 1/127 of a weight's, or more on a kernel that adds four products in
/// 16 bits, 1/42 for weights like these: 0.004 of what was summed, and here up to several times that, as thousands of
/// numbers are looked at.
#[test]
fn linear_layers_in_8_bits_are_near_and_each_row_stands_alone() {
    conformance::backend_within(&Cpu::new(Precision::Int8), 0.03);
}
