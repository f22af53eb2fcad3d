//! Every backend against the definitions of its operations.

use clipgauge_core::backend::cpu::Cpu;
use clipgauge_core::conformance;

#[test]
fn the_cpu_computes_what_the_operations_are_defined_as() {
    conformance::backend(&Cpu);
}
