//! ctrl-C and `SIGTERM` ask the run to end cleanly; a second one ends the process at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use clipgauge::cancel::{Cancel, Cause};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit;

/// The request that the signals make.
pub(crate) fn watch() -> Result<Cancel, anyhow::Error> {
    let cancel = Cancel::new();
    let is_second = Arc::new(AtomicBool::new(false));
    for (signal, cause) in [(SIGINT, Cause::Interrupt), (SIGTERM, Cause::Terminate)] {
        // Handlers run in the order of their registration: the first signal finds the flag unset, and sets it.
        flag::register_conditional_shutdown(signal, exit::of_signal(cause).into(), Arc::clone(&is_second))
            .and_then(|_| flag::register(signal, Arc::clone(&is_second)))
            .and_then(|_| flag::register_usize(signal, cancel.flag(), cause as usize))
            .context("signals cannot be watched")?;
    }
    Ok(cancel)
}
