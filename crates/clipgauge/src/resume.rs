//! What a run takes over from an earlier one of the same output, as the user chooses.

use crate::atomic::is_special;
use crate::options::{OptionsError, Output, ScoreOptions};

/// What a run takes over from an earlier one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResumeOptions {
    /// Whether to go on where an earlier run of this output was ended: rows that it had scored, or that failed for good,
    /// are not fetched or encoded again. Without anything to go on with, the run begins anew; after one that came to its
    /// end there is nothing to do.
    pub resume: bool,
    /// Whether to do only those rows again that have no score in the output that is there. The others keep theirs.
    pub retry_failed: bool,
}

impl ResumeOptions {
    /// Whether the output is one that a run can go on with.
    pub(crate) fn check(self, options: &ScoreOptions) -> Result<(), OptionsError> {
        let has_file = match &options.output {
            Output::File(path) => !is_special(path),
            Output::InPlace => !options.input.is_several(),
            Output::Stdout | Output::Folder(_) => false,
        };
        for (flag, is_given) in [("--resume", self.resume), ("--retry-failed", self.retry_failed)] {
            match options.output_object() {
                Some(path) if is_given => return Err(OptionsError::NotInBucket { flag, path: path.to_owned() }),
                _ if is_given && !has_file => return Err(OptionsError::NoOutputFile { flag }),
                _ => {}
            }
        }
        if let (true, Some(what)) = (self.retry_failed, options.no_one_table()) {
            return Err(OptionsError::OneTable { flag: "--retry-failed", what });
        }
        // What an output says of its rows has to be all that there is to say.
        match (self.retry_failed, options.filters.chooses_rows(), options.diagnostics) {
            (true, Some(flag), _) => Err(OptionsError::Apart { flags: ["--retry-failed", flag] }),
            (true, None, true) => Err(OptionsError::Apart { flags: ["--retry-failed", "--diagnostics"] }),
            _ => Ok(()),
        }
    }
}
