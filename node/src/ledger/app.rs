//! The ledger as the application of the global Raft group.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh30k_consensus::app::{AppSnapshot, Application, LogPosition, RestoreRefused};
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::types::{BlockId, Height, TimeMs};
use tokio::sync::Notify;

use super::core::{Applied, Core, StorageFailed};
use super::store::LedgerStore;
use crate::clock;

/// How long the group's task waits at a time for a block to become final when too many are not.
const ROOM_WAIT: Duration = Duration::from_millis(50);

/// A validator's core with what wakes those who wait for it.
pub(crate) struct Shared {
    core: Mutex<Core>,
    room: Condvar,
    /// Told whenever there is something to carry out.
    pub(crate) wake: Notify,
}

impl Shared {
    pub(crate) fn new(core: Core) -> Self {
        Self { core: Mutex::new(core), room: Condvar::new(), wake: Notify::new() }
    }

    /// The core; never held across an await.
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block became final: who waits for room may go on.
    pub(crate) fn made_room(&self) {
        self.room.notify_all();
    }

    fn apply(&self, position: LogPosition, entry: &[u8]) -> Result<Applied, StorageFailed> {
        let mut core = self.core();
        loop {
            match core.apply(TimeMs(clock::wall_ms()), position, entry)? {
                Applied::TooDeep => {
                    core = self.room.wait_timeout(core, ROOM_WAIT).unwrap_or_else(PoisonError::into_inner).0;
                }
                applied => return Ok(applied),
            }
        }
    }
}

/// Drives [`Core`] with what Raft orders.
pub(crate) struct LedgerApp {
    shared: Arc<Shared>,
    store: LedgerStore,
}

impl LedgerApp {
    pub(crate) const fn new(shared: Arc<Shared>, store: LedgerStore) -> Self {
        Self { shared, store }
    }

    fn reference(&self) -> io::Result<Option<(LogPosition, Vec<u8>)>> {
        let Some(position) = self.store.final_position()? else { return Ok(None) };
        let (height, block) = {
            let core = self.shared.core();
            (core.tracker.tip().height, core.tracker.tip().block)
        };
        Ok(Some((position, encode(&(height, block)))))
    }
}

impl Application for LedgerApp {
    fn apply(&mut self, position: LogPosition, entry: &[u8]) -> Vec<u8> {
        // Waiting for votes must not stop the tasks that bring them.
        let applied = tokio::task::block_in_place(|| self.shared.apply(position, entry));
        self.shared.wake.notify_one();
        match applied {
            Ok(Applied::Executed(height)) => encode(&Ok::<u64, String>(height.0)),
            Ok(Applied::NoOp(reason)) => {
                tracing::info!(%reason, "an ordered entry changed nothing");
                encode(&Err::<u64, String>(reason))
            }
            Ok(Applied::TooDeep) => Vec::new(),
            Err(error) => super::stop_process(&error),
        }
    }

    fn skip(&mut self, position: LogPosition) {
        self.shared.core().skip(position);
        self.shared.wake.notify_one();
    }

    fn durable_position(&self) -> Option<LogPosition> {
        match self.store.final_position() {
            Ok(position) => position,
            Err(error) => super::stop_process(&StorageFailed(error.to_string())),
        }
    }

    fn snapshot(&mut self) -> io::Result<AppSnapshot> {
        // Only a reference: state travels as a certified snapshot on the sync lane.
        Ok(match self.reference()? {
            Some((position, bytes)) => AppSnapshot { position: Some(position), bytes },
            None => AppSnapshot { position: None, bytes: Vec::new() },
        })
    }

    fn admits(&self, position: LogPosition, bytes: &[u8]) -> Result<(), RestoreRefused> {
        let refused = |reason: String| RestoreRefused { position, reason };
        let (height, block): (Height, BlockId) =
            decode(bytes, 128).map_err(|error| refused(format!("it does not name a block: {error}")))?;
        let own = self.store.block(height).map_err(|error| refused(error.to_string()))?;
        match own {
            Some(stored) if stored.block.id() == block => Ok(()),
            Some(_) => Err(refused(format!("block {height} is final here and is another one"))),
            None => Err(refused(format!(
                "block {height} is not final here yet; a bare Raft snapshot never replaces certified state"
            ))),
        }
    }

    fn restore(&mut self, position: LogPosition, bytes: &[u8]) -> Result<(), RestoreRefused> {
        self.admits(position, bytes)
    }
}
