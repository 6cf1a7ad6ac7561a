//! Tasks on blocking threads: how many run, how many wait, and what is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::engine::{Cancel, Request, TaskEngine};
use super::{Execution, ExecutionError, HostFunction, Limits};

/// Tasks that may wait for each one that runs.
const WAITING_PER_RUNNING: usize = 16;

/// One task, owned, so that it can move to another thread.
#[derive(Debug, Clone)]
pub struct Job {
    /// The module, in binary form.
    pub module: Bytes,
    /// Its input.
    pub input: Bytes,
    /// What it may use.
    pub limits: Limits,
    /// Host functions it may import.
    pub grants: Vec<HostFunction>,
    /// Stops it early.
    pub cancel: Cancel,
}

/// Runs jobs within a host's ceiling. Clones share the same places.
#[derive(Clone)]
pub struct Runner {
    engine: Arc<dyn TaskEngine>,
    ceiling: Limits,
    running: Arc<Semaphore>,
    parallel: usize,
    admitted: Arc<AtomicUsize>,
}

impl Runner {
    /// A runner with `parallel` (at least one) tasks at a time, none above `ceiling`.
    #[must_use]
    pub fn new(engine: Arc<dyn TaskEngine>, ceiling: Limits, parallel: usize) -> Self {
        let parallel = parallel.max(1);
        Self {
            engine,
            ceiling,
            running: Arc::new(Semaphore::new(parallel)),
            parallel,
            admitted: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// The engine, for its id and for checking modules.
    #[must_use]
    pub fn engine(&self) -> &dyn TaskEngine {
        self.engine.as_ref()
    }

    /// What this host allows a task.
    #[must_use]
    pub fn ceiling(&self) -> Limits {
        self.ceiling
    }

    /// Runs a job on a blocking thread. Dropping the future stops a job that waits; one that runs is stopped.
    ///
    /// # Errors
    /// [`ExecutionError::AboveCeiling`] and [`ExecutionError::Busy`] at once, any other once it ran.
    pub async fn run(&self, job: Job) -> Result<Execution, ExecutionError> {
        job.limits.check(&self.ceiling)?;
        let _place = self.admit()?;
        let permit = Arc::clone(&self.running).acquire_owned().await.map_err(|_| ExecutionError::Cancelled)?;
        let engine = Arc::clone(&self.engine);
        let mut abandoned = CancelOnDrop::new(job.cancel.clone());
        let work = tokio::task::spawn_blocking(move || {
            // The permit lives as long as the work, also when nobody waits for it any more.
            let _permit = permit;
            engine.execute(Request {
                module: &job.module,
                input: &job.input,
                limits: job.limits,
                grants: &job.grants,
                cancel: &job.cancel,
            })
        });
        let result = work.await;
        abandoned.disarm();
        result.unwrap_or_else(|error| Err(ExecutionError::Engine { reason: error.to_string() }))
    }

    fn admit(&self) -> Result<Place, ExecutionError> {
        let waiting = self.parallel.saturating_mul(WAITING_PER_RUNNING);
        let most = self.parallel.saturating_add(waiting);
        let place = Place(Arc::clone(&self.admitted));
        // `place` gives its count back when dropped, so that the refused one does too.
        if self.admitted.fetch_add(1, Ordering::Relaxed) >= most {
            return Err(ExecutionError::Busy { running: self.parallel, waiting });
        }
        Ok(place)
    }
}

/// One admitted job.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Stops a job nobody waits for any more.
struct CancelOnDrop(Option<Cancel>);

impl CancelOnDrop {
    fn new(cancel: Cancel) -> Self {
        Self(Some(cancel))
    }

    fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(cancel) = &self.0 {
            cancel.cancel();
        }
    }
}
