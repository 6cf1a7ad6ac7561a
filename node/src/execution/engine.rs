//! What the node needs of a sandbox, whichever engine it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Execution, ExecutionError, HostFunction, Limits};

/// A switch that stops a running task within one fuel slice (a few milliseconds). Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Stops every task that was started with this switch.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was thrown.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One task to run.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The module, in binary form.
    pub module: &'a [u8],
    /// Its input.
    pub input: &'a [u8],
    /// What it may use.
    pub limits: Limits,
    /// Host functions it may import.
    pub grants: &'a [HostFunction],
    /// Stops it early.
    pub cancel: &'a Cancel,
}

/// A sandbox. Calls block until the task is over; they belong on a thread that may.
pub trait TaskEngine: Send + Sync + 'static {
    /// Engine and version, part of every receipt.
    fn id(&self) -> &'static str;

    /// Checks that a module would be run: well-formed, with the exports of the ABI, importing only what is granted.
    ///
    /// # Errors
    /// [`ExecutionError::BadModule`] or [`ExecutionError::NotGranted`].
    fn check(&self, module: &[u8], grants: &[HostFunction]) -> Result<(), ExecutionError>;

    /// Runs a task to its end or to its first limit.
    ///
    /// # Errors
    /// [`ExecutionError`] says which limit or refusal.
    fn execute(&self, request: Request<'_>) -> Result<Execution, ExecutionError>;
}
