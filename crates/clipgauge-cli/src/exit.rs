//! How the process ends: exit codes, and errors as one sentence for a person.

use std::error::Error;
use std::io::{self, Write};

use clipgauge::cancel::Cause;

/// A command that could do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Everything was done: 0.
    Done,
    /// Rows failed, and `--allow-failures` was not given: 3.
    SomeFailed,
    /// A signal ended it early, and cleanly: 130 or 143, as shells report a process that the signal killed.
    Cancelled(Cause),
}

/// An error that another command line mends: 2, as for flags that cannot be parsed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Usage(pub(crate) anyhow::Error);

const SUCCESS: u8 = 0;
const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
const SOME_ROWS_FAILED: u8 = 3;
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;

/// The exit code of what a command came to; an error is told on standard error.
pub(crate) fn code(ended: Result<Ended, anyhow::Error>) -> u8 {
    match ended {
        Ok(Ended::Done) => SUCCESS,
        Ok(Ended::SomeFailed) => SOME_ROWS_FAILED,
        Ok(Ended::Cancelled(cause)) => of_signal(cause),
        Err(error) if is_closed_pipe(&error) => SUCCESS,
        Err(error) => {
            // With standard error closed there is nobody to tell.
            let _ = writeln!(io::stderr(), "error: {}", sentence(error.as_ref()));
            if error.is::<Usage>() { USAGE } else { FAILED }
        }
    }
}

/// The exit code of a process that this signal ended.
pub(crate) fn of_signal(cause: Cause) -> u8 {
    match cause {
        Cause::Interrupt => INTERRUPTED,
        Cause::Terminate => TERMINATED,
    }
}

/// Whether what reads standard output has gone away (`| head`): it has what it wants, so that is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// An error with the chain of its causes, from the outermost in. A cause that an outer message quotes already is not said
/// again.
pub fn sentence(error: &(dyn Error + 'static)) -> String {
    let mut sentence = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        next = error.source();
        let cause = error.to_string();
        if sentence.contains(&cause) {
            continue;
        }
        if !sentence.is_empty() {
            sentence.push_str(": ");
        }
        sentence.push_str(&cause);
    }
    sentence
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn causes_make_one_sentence_without_repetition() {
        let error =
            anyhow!("No such file (os error 2)").context("a.csv cannot be read").context("a.csv cannot be read");
        assert_eq!(sentence(error.as_ref()), "a.csv cannot be read: No such file (os error 2)");
    }
}
