//! Work before the first row that may take long or wait for ever: for the header from a pipe, for who reads a named one,
//! for a disk that hangs, for a large model. It must not keep a run from being ended.

use std::io;
use std::panic;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::cancel::Cancel;

/// How long the work may wait before it is looked whether the run is to end.
const PATIENCE: Duration = Duration::from_millis(50);

/// Why there is nothing that the work came to.
#[derive(Debug)]
pub(crate) enum Unfinished {
    /// The run was to end first.
    Cancelled,
    /// The system gives no thread for it.
    NoThread(io::Error),
}

/// What the work comes to, unless the run is to end first: then nobody can stop the work, and it goes on by itself,
/// with nothing that anybody else needs.
pub(crate) fn unless_cancelled<T: Send + 'static>(
    cancel: &Cancel,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unfinished> {
    let (sender, done) = mpsc::channel();
    let worker = thread::Builder::new()
        .name("clipgauge-begin".to_owned())
        // Nobody receives any more when the run has ended.
        .spawn(move || drop(sender.send(work())))
        .map_err(Unfinished::NoThread)?;
    loop {
        match done.recv_timeout(PATIENCE) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Timeout) if cancel.is_requested() => return Err(Unfinished::Cancelled),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                panic::resume_unwind(worker.join().expect_err("it ends without a result only by a panic"))
            }
        }
    }
}
