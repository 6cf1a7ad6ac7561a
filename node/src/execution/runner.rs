//! Tasks on blocking threads: how many run, how many wait and in which order, and what is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mesh30k_ledger::priority::Standing;
use tokio::sync::oneshot;

use super::engine::{Cancel, Request, TaskEngine};
use super::queue::{Entered, Queue, Ticket};
use super::{Execution, ExecutionError, HostFunction, Limits};
use crate::clock;

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
    /// What decides its turn when the host is busy.
    pub standing: Standing,
}

/// Runs jobs within a host's ceiling. Clones share the same places.
#[derive(Clone)]
pub struct Runner {
    engine: Arc<dyn TaskEngine>,
    ceiling: Limits,
    parallel: usize,
    line: Arc<Line>,
}

impl Runner {
    /// A runner with `parallel` (at least one) tasks at a time, none above `ceiling`.
    #[must_use]
    pub fn new(engine: Arc<dyn TaskEngine>, ceiling: Limits, parallel: usize) -> Self {
        let parallel = parallel.max(1);
        let queue = Queue::new(parallel, parallel.saturating_mul(WAITING_PER_RUNNING));
        let line = Arc::new(Line(Mutex::new(Places { queue, doors: BTreeMap::new() })));
        Self { engine, ceiling, parallel, line }
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

    /// Runs a job on a blocking thread once it is its turn. Dropping the future stops a job that waits; one that runs is stopped.
    ///
    /// # Errors
    /// [`ExecutionError::AboveCeiling`] at once; [`ExecutionError::Busy`] at once, or when more urgent work needed its place; any other
    /// once it ran.
    pub async fn run(&self, job: Job) -> Result<Execution, ExecutionError> {
        job.limits.check(&self.ceiling)?;
        let turn = self.line.turn(job.standing).await.ok_or(ExecutionError::Busy {
            running: self.parallel,
            waiting: self.parallel.saturating_mul(WAITING_PER_RUNNING),
        })?;
        let engine = Arc::clone(&self.engine);
        let mut abandoned = CancelOnDrop::new(job.cancel.clone());
        let work = tokio::task::spawn_blocking(move || {
            // The turn lasts as long as the work, also when nobody waits for it any more.
            let _turn = turn;
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
}

/// Those who run and those who wait.
struct Line(Mutex<Places>);

struct Places {
    queue: Queue,
    /// Where those who wait hear that it is their turn; closed for who lost its place.
    doors: BTreeMap<Ticket, oneshot::Sender<Turn>>,
}

impl Line {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn; nothing where there is no place to wait.
    async fn turn(self: &Arc<Self>, standing: Standing) -> Option<Turn> {
        let (place, door) = {
            let mut places = self.places();
            let (ticket, displaced) = match places.queue.enter(now_ms(), standing) {
                Entered::Runs => return Some(Turn(Arc::clone(self))),
                Entered::Full => return None,
                Entered::Waits { ticket, displaced } => (ticket, displaced),
            };
            if let Some(displaced) = displaced {
                places.doors.remove(&displaced);
            }
            let (opens, door) = oneshot::channel();
            places.doors.insert(ticket, opens);
            (Place { ticket, line: Arc::clone(self) }, door)
        };
        let turn = door.await.ok();
        drop(place);
        turn
    }
}

/// A place in the queue; given back when it is dropped.
struct Place {
    ticket: Ticket,
    line: Arc<Line>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.line.places();
        places.queue.withdraw(self.ticket);
        places.doors.remove(&self.ticket);
    }
}

/// The right to run; passed on when it is dropped.
struct Turn(Arc<Line>);

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut places = self.0.places();
            let ticket = places.queue.leave(now_ms());
            ticket.and_then(|ticket| places.doors.remove(&ticket))
        };
        if let Some(door) = next {
            // Who does not wait any more gives it back at once, and it is passed on again.
            drop(door.send(Self(Arc::clone(&self.0))));
        }
    }
}

fn now_ms() -> u64 {
    clock::monotonic_us() / 1_000
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
