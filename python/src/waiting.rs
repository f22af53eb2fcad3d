//! Work that may take long, without Python's lock: signals are looked for and progress is told meanwhile, on the thread of
//! the caller.

use std::mem;
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use clipgauge::cancel::{Cancel, Cause};
use clipgauge::progress::Progress;
use clipgauge::table::Position;
use pyo3::prelude::*;

/// How long the work may take before signals are looked for, and how often that is done.
const TICK: Duration = Duration::from_millis(50);

/// Does the work on another thread, and waits for it. `hook`, if there is one, has a method `update` that takes how many
/// more rows are done, as bars of `tqdm` have it.
///
/// # Errors
///
/// A signal's handler or the hook raised something: the work was then asked to end, and has ended.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    hook: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&dyn Progress, &Cancel) -> T + Send,
) -> PyResult<T> {
    let hook = hook.map(|hook| hook.clone().unbind());
    let (news, cancel) = (News::default(), Cancel::new());
    py.detach(|| {
        thread::scope(|scope| {
            let (sender, done) = mpsc::channel();
            let (for_work, until) = (&news, &cancel);
            // Nobody has gone: this thread waits for what is sent.
            let worker = scope.spawn(move || drop(sender.send(work(for_work, until))));
            let mut raised = None;
            let result = loop {
                match done.recv_timeout(TICK) {
                    Ok(result) => break result,
                    Err(RecvTimeoutError::Timeout) => {
                        let looked =
                            Python::attach(|py| py.check_signals().and_then(|()| news.tell(py, hook.as_ref())));
                        if let Err(error) = looked {
                            cancel.request(Cause::Interrupt);
                            // The first one counts.
                            raised.get_or_insert(error);
                        }
                    }
                    Err(RecvTimeoutError::Disconnected) => {
                        panic::resume_unwind(worker.join().expect_err("it ends without a result only by a panic"))
                    }
                }
            };
            match raised {
                Some(error) => Err(error),
                None => Python::attach(|py| news.tell(py, hook.as_ref())).map(|()| result),
            }
        })
    })
}

/// What the work tells, until it is told on.
#[derive(Default)]
struct News {
    rows: AtomicU64,
    told: AtomicU64,
    messages: Mutex<Vec<String>>,
}

impl News {
    fn tell(&self, py: Python<'_>, hook: Option<&Py<PyAny>>) -> PyResult<()> {
        let messages = mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner));
        if !messages.is_empty() {
            let logger = py.import("logging")?.call_method1("getLogger", ("clipgauge",))?;
            for message in messages {
                logger.call_method1("warning", ("%s", message))?;
            }
        }
        let rows = self.rows.load(Ordering::Relaxed);
        let more = rows - self.told.swap(rows, Ordering::Relaxed);
        match hook {
            Some(hook) if more > 0 => hook.call_method1(py, "update", (more,)).map(drop),
            _ => Ok(()),
        }
    }
}

impl Progress for News {
    fn rows(&self, done: u64, _: u64) {
        // Calls of several threads may overtake each other.
        self.rows.fetch_max(done, Ordering::Relaxed);
    }

    fn input(&self, _: Position) {}

    fn download(&self, file: &str, done: u64, total: Option<u64>) {
        if done == 0 {
            let size = total.map(|total| format!(" ({} MB)", total / 1_000_000)).unwrap_or_default();
            self.message(&format!("downloading {file}{size}"));
        }
    }

    fn message(&self, text: &str) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
    }
}
