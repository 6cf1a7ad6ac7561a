//! A validator's part of the ledger that blocks and votes act on: executed, not yet final blocks over final state.

use std::collections::VecDeque;
use std::sync::Arc;

use mesh30k_consensus::app::LogPosition;
use mesh30k_consensus::finality::{
    ChainAction, ChainError, ChainTracker, Decision, Proposer, ProposerView, SignedHeader,
};
use mesh30k_ledger::block::Block;
use mesh30k_ledger::execute::{BlockError, Execution, execute_with};
use mesh30k_ledger::state::Overlay;
use mesh30k_ledger::types::{Height, TimeMs, TxId};

use super::store::{FinalBlock, LedgerStore, StoredBlock};
use super::verdicts::Verdicts;

/// A block executed on top of the unfinal ones below it.
struct Executed {
    block: Block,
    changes: Arc<mesh30k_ledger::state::ChangeSet>,
    stored: StoredParts,
    position: LogPosition,
}

struct StoredParts {
    outcomes: Vec<mesh30k_ledger::outcome::Outcome>,
    due: Vec<mesh30k_ledger::outcome::DueEvent>,
    commitment: mesh30k_ledger::finality::Commitment,
    transactions: Vec<TxId>,
}

/// What came of an ordered entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It is a block and was executed.
    Executed(Height),
    /// It changed nothing; why, in words.
    NoOp(String),
    /// Too many blocks are unfinal: apply it again when one is final.
    TooDeep,
}

/// A block that just became final and was written.
pub(crate) struct Finalized {
    pub(crate) stored: StoredBlock,
    pub(crate) changes: Arc<mesh30k_ledger::state::ChangeSet>,
    pub(crate) transactions: Vec<TxId>,
}

/// Storage failed: the process must stop rather than go on with state it cannot read or write.
#[derive(Debug, thiserror::Error)]
#[error("the ledger's storage failed: {0}")]
pub(crate) struct StorageFailed(pub(crate) String);

pub(crate) struct Core {
    pub(crate) tracker: ChainTracker,
    pub(crate) proposer: Proposer,
    overlay: Overlay<LedgerStore>,
    executed: VecDeque<Executed>,
    actions: VecDeque<ChainAction>,
    applied: LogPosition,
    verdicts: Arc<Verdicts>,
}

impl Core {
    pub(crate) fn new(tracker: ChainTracker, proposer: Proposer, store: LedgerStore, verdicts: Arc<Verdicts>) -> Self {
        Self {
            tracker,
            proposer,
            overlay: Overlay::new(store),
            executed: VecDeque::new(),
            actions: VecDeque::new(),
            applied: LogPosition { term: 0, index: 0 },
            verdicts,
        }
    }

    /// State after the last executed block, final or not.
    pub(crate) const fn state(&self) -> &Overlay<LedgerStore> {
        &self.overlay
    }

    /// Raft passed an entry that is nobody's block.
    pub(crate) fn skip(&mut self, position: LogPosition) {
        self.applied = position;
    }

    /// Raft ordered `entry`.
    pub(crate) fn apply(&mut self, now: TimeMs, position: LogPosition, entry: &[u8]) -> Result<Applied, StorageFailed> {
        if !self.tracker.has_room() && self.tracker.halted().is_none() {
            return Ok(Applied::TooDeep);
        }
        self.applied = position;
        let Ok(block) = mesh30k_ledger::codec::decode::<Block>(entry, mesh30k_ledger::block::MAX_BLOCK_BYTES) else {
            self.push(|tracker| tracker.on_noop(now, position.index, None));
            return Ok(Applied::NoOp("the entry is no block".to_owned()));
        };
        let header = block.header;
        let signed = SignedHeader::of(&block);
        let refusal = match execute_with(&self.overlay, &block, self.verdicts.as_ref()) {
            Ok(execution) => match self.accept(now, position, signed, block, execution) {
                Ok(()) => {
                    self.proposer.on_block(now, true, header.term, header.height);
                    return Ok(Applied::Executed(header.height));
                }
                Err(error) => error.to_string(),
            },
            Err(BlockError::State(error)) => return Err(StorageFailed(error.to_string())),
            Err(error) => error.to_string(),
        };
        self.proposer.on_block(now, false, header.term, header.height);
        self.push(|tracker| tracker.on_noop(now, position.index, Some(signed)));
        Ok(Applied::NoOp(refusal))
    }

    fn accept(
        &mut self,
        now: TimeMs,
        position: LogPosition,
        signed: SignedHeader,
        block: Block,
        execution: Execution,
    ) -> Result<(), ChainError> {
        let actions = self.tracker.on_executed(now, position.index, signed, execution.commitment)?;
        let changes = Arc::new(execution.changes);
        self.overlay.push(Arc::clone(&changes));
        let stored = StoredParts {
            outcomes: execution.outcomes,
            due: execution.due,
            commitment: execution.commitment,
            transactions: execution.transactions,
        };
        self.executed.push_back(Executed { block, changes, stored, position });
        self.actions.extend(actions);
        Ok(())
    }

    /// Gives the tracker something and keeps what it wants done.
    pub(crate) fn push(&mut self, input: impl FnOnce(&mut ChainTracker) -> Vec<ChainAction>) {
        let actions = input(&mut self.tracker);
        self.actions.extend(actions);
    }

    /// The next thing to carry out.
    pub(crate) fn next_action(&mut self) -> Option<ChainAction> {
        self.actions.pop_front()
    }

    /// Writes the lowest unfinal block to final state. The overlay keeps its layer until the write is done, so that
    /// readers of the tip never see it missing.
    pub(crate) fn finalize(
        &mut self,
        height: Height,
        certificate: mesh30k_ledger::finality::Certificate,
    ) -> Result<Finalized, StorageFailed> {
        let is_lowest = self.executed.front().is_some_and(|lowest| lowest.block.header.height == height);
        let Some(lowest) = self.executed.pop_front().filter(|_| is_lowest) else {
            return Err(StorageFailed(format!("block {height} is final but was not executed here")));
        };
        let StoredParts { outcomes, due, commitment, transactions } = lowest.stored;
        let stored = StoredBlock { block: lowest.block, certificate, outcomes, due, commitment };
        let block = FinalBlock {
            stored: &stored,
            changes: &lowest.changes,
            transactions: &transactions,
            position: Some(lowest.position),
        };
        self.overlay.base().commit(&block).map_err(|error| StorageFailed(error.to_string()))?;
        self.overlay.pop_lowest();
        Ok(Finalized { stored, changes: lowest.changes, transactions })
    }

    /// Height of an executed block that holds this transaction and is not final.
    pub(crate) fn ordered(&self, id: &TxId) -> Option<Height> {
        let holds = |executed: &&Executed| executed.stored.transactions.contains(id);
        self.executed.iter().find(holds).map(|executed| executed.block.header.height)
    }

    /// Height and time of the last executed block.
    pub(crate) fn tip_header(&self) -> (Height, TimeMs) {
        self.executed.back().map_or_else(
            || (self.tracker.tip().height, self.tracker.tip().time),
            |executed| (executed.block.header.height, executed.block.header.time),
        )
    }

    /// Whether to propose now, seen from this validator.
    pub(crate) fn decide(&self, now: TimeMs, term: u64, ready: bool, work: bool, next_due: Option<TimeMs>) -> Decision {
        let (tip_height, tip_time) = self.tip_header();
        let view = ProposerView {
            leader: ready,
            term,
            last_log_index: self.applied.index,
            applied: (self.applied.term, self.applied.index),
            tip_height,
            tip_time,
            unfinal: self.tracker.unfinal(),
            work,
            next_due,
            halted: self.tracker.halted().is_some(),
        };
        self.proposer.decide(now, &view)
    }
}
