//! The ledger as the application of the global Raft group.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use borsh::BorshDeserialize as _;
use mesh30k_consensus::app::{Admission, AppSnapshot, Application, LogPosition, RestoreRefused, Room};
use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::finality::Certificate;
use mesh30k_ledger::types::{BlockId, Height, NodeId, TimeMs};

use crate::core::{Applied, Core, StorageFailed};
use crate::store::LedgerStore;

/// A validator follows no leader whose block lies further ahead of its clock than this, ms, nor further after the last executed
/// block where that is later. Twice the pause of an idle chain, so that a validator whose own clock is behind goes on by the
/// blocks it has; a vote waits for at most this less [`MAX_AHEAD_MS`](mesh30k_consensus::finality::chain::MAX_AHEAD_MS).
pub const MAX_ORDER_AHEAD_MS: u64 = 10_000;

/// What a validator's core needs of the process around it.
pub struct Hooks {
    /// This node's clock.
    pub now: Box<dyn Fn() -> TimeMs + Send + Sync>,
    /// Tells the validator's loop that there is something to carry out.
    pub wake: Box<dyn Fn() + Send + Sync>,
    /// Storage failed: ends the process. Where it returns, the core does nothing any more.
    pub storage_failed: Box<dyn Fn(&StorageFailed) + Send + Sync>,
}

/// A validator's core with what wakes those who wait for it.
pub struct Shared {
    core: Mutex<Core>,
    hooks: Hooks,
    /// Time of the last executed block, ms: known without waiting for a block that is being executed.
    tip_ms: AtomicU64,
}

impl Shared {
    /// A core in its process.
    #[must_use]
    pub fn new(core: Core, hooks: Hooks) -> Self {
        let tip_ms = AtomicU64::new(core.tip_header().1.0);
        Self { core: Mutex::new(core), hooks, tip_ms }
    }

    /// The core; never held across an await.
    pub fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes certified blocks that a peer sent, in order, as far as they are what is missing here.
    pub fn adopt(&self, from: NodeId, blocks: Vec<(Block, Certificate)>) {
        for (block, certificate) in blocks {
            let adopted = self.core().adopt(self.now(), from, block, certificate);
            match adopted {
                Ok(_) => {}
                Err(error) => return self.storage_failed(&error),
            }
            self.note_tip();
        }
        self.wake();
    }

    /// Whether a leader may have this entry ordered, as far as this validator is concerned: nobody would vote for a block of
    /// tomorrow before tomorrow, and everything after it would wait as long.
    ///
    /// # Errors
    /// A sentence that names the block, its proposer and its time.
    pub fn admits(&self, entry: &[u8]) -> Result<(), String> {
        // What is no block changes nothing when its turn comes.
        let Ok(header) = Header::deserialize(&mut &*entry) else { return Ok(()) };
        let from = self.now().max(TimeMs(self.tip_ms.load(Ordering::Relaxed)));
        if header.time <= from.plus_ms(MAX_ORDER_AHEAD_MS) {
            return Ok(());
        }
        let Header { height, proposer, time, .. } = header;
        Err(format!(
            "block {height} of validator {proposer} has the time {time} (Unix ms), more than {MAX_ORDER_AHEAD_MS} ms ahead of \
             this validator's clock; check the clock of validator {proposer}"
        ))
    }

    fn note_tip(&self) {
        let tip = self.core().tip_header().1;
        self.tip_ms.store(tip.0, Ordering::Relaxed);
    }

    /// Tells the validator's loop that there is something to do.
    pub fn wake(&self) {
        (self.hooks.wake)();
    }

    /// This node's clock.
    #[must_use]
    pub fn now(&self) -> TimeMs {
        (self.hooks.now)()
    }

    /// Ends the process: nothing must be built upon state that can't be read or written.
    pub fn storage_failed(&self, error: &StorageFailed) {
        (self.hooks.storage_failed)(error);
    }
}

/// Drives [`Core`] with what Raft orders.
pub struct LedgerApp {
    shared: Arc<Shared>,
    store: LedgerStore,
}

impl LedgerApp {
    /// The application over a core and the store that core writes to.
    #[must_use]
    pub const fn new(shared: Arc<Shared>, store: LedgerStore) -> Self {
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
    fn room(&self) -> Option<Room> {
        let shared = Arc::clone(&self.shared);
        Some(Arc::new(move || shared.core().has_room()))
    }

    fn admission(&self) -> Option<Admission> {
        let shared = Arc::clone(&self.shared);
        Some(Arc::new(move |entry| shared.admits(entry)))
    }

    fn apply(&mut self, position: LogPosition, entry: &[u8]) -> Vec<u8> {
        let applied = self.shared.core().apply(self.shared.now(), position, entry);
        self.shared.note_tip();
        self.shared.wake();
        match applied {
            Ok(Applied::Executed(height)) => encode(&Ok::<u64, String>(height.0)),
            Ok(Applied::NoOp(reason)) => {
                tracing::info!(%reason, "an ordered entry changed nothing");
                encode(&Err::<u64, String>(reason))
            }
            Err(error) => {
                self.shared.storage_failed(&error);
                Vec::new()
            }
        }
    }

    fn skip(&mut self, position: LogPosition) {
        self.shared.core().skip(position);
        self.shared.wake();
    }

    fn durable_position(&self) -> Option<LogPosition> {
        let position = self.store.final_position().map_err(|error| StorageFailed(error.to_string()));
        position.unwrap_or_else(|error| {
            self.shared.storage_failed(&error);
            None
        })
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
        self.admits(position, bytes)?;
        let mut core = self.shared.core();
        if core.has_ended() {
            let reason = "the epoch of this group is over".to_owned();
            return Err(RestoreRefused { position, reason });
        }
        // The state is at least as far as the snapshot; from here on the log goes on after it.
        self.store.pass_to(position).map_err(|error| RestoreRefused { position, reason: error.to_string() })?;
        core.skip(position);
        Ok(())
    }
}
