//! Work before the first row that may wait for ever: for the header from a pipe, for who reads a named one, for a disk
//! that hangs. It must not keep a run from being ended.

use std::panic;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::ScoreTableError;
use crate::cancel::Cancel;

/// How long the work may wait before it is looked whether the run is to end.
const PATIENCE: Duration = Duration::from_millis(50);

/// What the work comes to, unless the run is to end first: then nobody can stop the work, and it goes on by itself,
/// with nothing that anybody else needs.
pub(super) fn unless_cancelled<T: Send + 'static>(
    cancel: &Cancel,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ScoreTableError> {
    let (sender, done) = mpsc::channel();
    let worker = thread::Builder::new()
        .name("clipgauge-open".to_owned())
        // Nobody receives any more when the run has ended.
        .spawn(move || drop(sender.send(work())))
        .map_err(ScoreTableError::Threads)?;
    loop {
        match done.recv_timeout(PATIENCE) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Timeout) if cancel.is_requested() => return Err(ScoreTableError::Interrupted),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                panic::resume_unwind(worker.join().expect_err("it ends without a result only by a panic"))
            }
        }
    }
}
