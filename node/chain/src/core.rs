//! A validator's part of the ledger that blocks and votes act on: executed, not yet final blocks over final state.

use std::collections::VecDeque;
use std::sync::Arc;

use mesh30k_consensus::app::LogPosition;
use mesh30k_consensus::finality::halt::HaltContext;
use mesh30k_consensus::finality::{
    ChainAction, ChainError, ChainTracker, Decision, HaltReport, Mistake, Proposer, ProposerView, SignedHeader,
};
use mesh30k_ledger::block::Block;
use mesh30k_ledger::execute::{BlockError, Execution, execute_with};
use mesh30k_ledger::finality::Certificate;
use mesh30k_ledger::invariants::Breach;
use mesh30k_ledger::query;
use mesh30k_ledger::seats::ends_epoch;
use mesh30k_ledger::state::Overlay;
use mesh30k_ledger::types::{Height, NodeId, TimeMs, TxId};

use crate::store::{FinalBlock, LedgerStore, StoredBlock};
use crate::verdicts::Verdicts;

/// A block executed on top of the unfinal ones below it.
struct Executed {
    block: Block,
    changes: Arc<mesh30k_ledger::state::ChangeSet>,
    stored: StoredParts,
    /// `None`: it came certified from a peer, not from the log.
    position: Option<LogPosition>,
}

struct StoredParts {
    outcomes: Vec<mesh30k_ledger::outcome::Outcome>,
    due: Vec<mesh30k_ledger::outcome::DueEvent>,
    commitment: mesh30k_ledger::finality::Commitment,
    transactions: Vec<TxId>,
}

/// What came of an ordered entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is a block and was executed.
    Executed(Height),
    /// It changed nothing; why, in words.
    NoOp(String),
}

/// A block that just became final and was written.
#[derive(Debug)]
pub struct Finalized {
    /// The block with its proof.
    pub stored: StoredBlock,
    /// What it changed in state.
    pub changes: Arc<mesh30k_ledger::state::ChangeSet>,
    /// Names of its transactions.
    pub transactions: Vec<TxId>,
}

/// Storage failed: the process must stop rather than go on with state it cannot read or write.
#[derive(Debug, thiserror::Error)]
#[error("the ledger's storage failed: {0}")]
pub struct StorageFailed(pub String);

/// Executed, not yet final blocks over final state, with what decides about them.
pub struct Core {
    /// From ordered to final.
    pub tracker: ChainTracker,
    /// When to propose.
    pub proposer: Proposer,
    overlay: Overlay<LedgerStore>,
    executed: VecDeque<Executed>,
    actions: VecDeque<ChainAction>,
    /// No room on the disk: own votes wait, one for each executed block at most.
    is_read_only: bool,
    held: VecDeque<ChainAction>,
    applied: LogPosition,
    verdicts: Arc<Verdicts>,
    mistake: Option<Mistake>,
    has_ended: bool,
}

impl Core {
    /// A core on the last final block of `store`.
    #[must_use]
    pub fn new(tracker: ChainTracker, proposer: Proposer, store: LedgerStore, verdicts: Arc<Verdicts>) -> Self {
        Self {
            tracker,
            proposer,
            overlay: Overlay::new(store),
            executed: VecDeque::new(),
            actions: VecDeque::new(),
            is_read_only: false,
            held: VecDeque::new(),
            applied: LogPosition { term: 0, index: 0 },
            verdicts,
            mistake: None,
            has_ended: false,
        }
    }

    /// Plants a mistake; for tests of the checks.
    pub fn plant(&mut self, mistake: Mistake) {
        self.mistake = Some(mistake);
        self.tracker.plant(mistake);
    }

    /// State after the last executed block, final or not.
    #[must_use]
    pub const fn state(&self) -> &Overlay<LedgerStore> {
        &self.overlay
    }

    /// Raft passed an entry that is nobody's block.
    pub fn skip(&mut self, position: LogPosition) {
        self.applied = position;
    }

    /// Whether another entry may be applied, or has to wait until a block is final, or until there is room on the disk.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.is_read_only && (self.tracker.has_room() || self.tracker.halted().is_some() || self.has_ended)
    }

    /// Whether nothing new may be written, for want of room on the disk: then nothing is executed, signed or proposed. What is
    /// executed already becomes final with the votes of the others, which is bounded and has its room in the reserve.
    pub fn set_read_only(&mut self, read_only: bool) {
        self.is_read_only = read_only;
        if !read_only {
            let (tip, is_voting) = (self.tracker.tip().height, self.tracker.is_voting());
            let is_due = |action: &ChainAction| {
                is_voting && matches!(action, ChainAction::SignAndSendVote { vote } if vote.height > tip)
            };
            // Before whatever came later: votes are recorded in the order of heights.
            let due = std::mem::take(&mut self.held).into_iter().filter(is_due);
            self.actions = due.chain(std::mem::take(&mut self.actions)).collect();
        }
    }

    /// What [`Self::set_read_only`] said last.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// Raft ordered `entry`.
    ///
    /// # Errors
    /// Storage that fails: the process must end.
    pub fn apply(&mut self, now: TimeMs, position: LogPosition, entry: &[u8]) -> Result<Applied, StorageFailed> {
        self.applied = position;
        let Ok(block) = mesh30k_ledger::codec::decode::<Block>(entry, mesh30k_ledger::block::MAX_BLOCK_BYTES) else {
            self.push(|tracker| tracker.on_noop(now, position.index, None));
            return Ok(Applied::NoOp("the entry is no block".to_owned()));
        };
        let header = block.header;
        let applied = self.execute(now, Some(position), block)?;
        self.proposer.on_block(now, matches!(applied, Applied::Executed(_)), header.term, header.height);
        Ok(applied)
    }

    /// Takes a certified block from a peer, when this node has missed its entry in the log: the log may be purged by now.
    /// Nothing happens unless it is the next block. A certificate that does not check is counted against the peer; one that
    /// contradicts what is executed here halts.
    ///
    /// # Errors
    /// Storage that fails: the process must end.
    pub fn adopt(
        &mut self,
        now: TimeMs,
        from: NodeId,
        block: Block,
        certificate: Certificate,
    ) -> Result<Option<Applied>, StorageFailed> {
        let (height, tip) = self.tracker.executed_tip();
        let next = block.header.height == height.next() && block.header.parent == tip;
        let names = (certificate.height, certificate.block) == (block.header.height, block.id());
        if !next || !names || !self.has_room() || self.tracker.halted().is_some() {
            return Ok(None);
        }
        self.push(|tracker| tracker.on_certificate(now, from, certificate));
        if !self.tracker.is_certified(height.next()) {
            return Ok(None);
        }
        self.execute(now, None, block).map(Some)
    }

    /// The block goes on top, or passes without effect.
    fn execute(&mut self, now: TimeMs, position: Option<LogPosition>, block: Block) -> Result<Applied, StorageFailed> {
        let height = block.header.height;
        let signed = SignedHeader::of(&block);
        let refusal = match execute_with(&self.overlay, &block, self.verdicts.as_ref()) {
            Ok(execution) => match self.accept(now, position, signed, block, execution) {
                Ok(()) => return Ok(Applied::Executed(height)),
                Err(error) => error.to_string(),
            },
            Err(BlockError::State(error)) => return Err(StorageFailed(error.to_string())),
            Err(BlockError::Broken(breach)) => return self.halt(now, height, &breach),
            Err(error) => error.to_string(),
        };
        let index = self.applied.index;
        self.push(|tracker| tracker.on_noop(now, index, Some(signed)));
        Ok(Applied::NoOp(refusal))
    }

    /// Nothing is built on books that do not balance.
    fn halt(&mut self, now: TimeMs, height: Height, breach: &Breach) -> Result<Applied, StorageFailed> {
        let context = query::context(&self.overlay).map_err(|error| StorageFailed(error.to_string()))?;
        let tip = self.tracker.tip();
        let at = HaltContext { context: &context, last_final: (tip.height, tip.block), reporter: None, now };
        let report = HaltReport::books_broken(height, &breach.to_string(), &at);
        let sentence = report.sentence.clone();
        // Entries that are still in the log are ordered after it as well; the first report stands.
        if self.tracker.halted().is_none() {
            self.tracker.resume_halt(report.clone());
            self.actions.push_back(ChainAction::Halt { report: Box::new(report) });
        }
        Ok(Applied::NoOp(sentence))
    }

    fn accept(
        &mut self,
        now: TimeMs,
        position: Option<LogPosition>,
        signed: SignedHeader,
        block: Block,
        execution: Execution,
    ) -> Result<(), ChainError> {
        let actions = self.tracker.on_executed(now, self.applied.index, signed, execution.commitment)?;
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
    pub fn push(&mut self, input: impl FnOnce(&mut ChainTracker) -> Vec<ChainAction>) {
        let actions = input(&mut self.tracker);
        self.actions.extend(actions);
    }

    /// Transactions in executed blocks that are not final.
    #[must_use]
    pub fn unfinal_transactions(&self) -> usize {
        self.executed.iter().map(|executed| executed.stored.transactions.len()).sum()
    }

    /// Whether there is something to carry out.
    #[must_use]
    pub fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// The next thing to carry out.
    pub fn next_action(&mut self) -> Option<ChainAction> {
        loop {
            match self.actions.pop_front()? {
                vote @ ChainAction::SignAndSendVote { .. } if self.is_read_only => self.held.push_back(vote),
                action => return Some(action),
            }
        }
    }

    /// Writes the lowest unfinal block to final state. The overlay keeps its layer until the write is done, so that
    /// readers of the tip never see it missing.
    ///
    /// # Errors
    /// Storage that fails, or a block that was not executed here: the process must end.
    pub fn finalize(&mut self, height: Height, certificate: Certificate) -> Result<Finalized, StorageFailed> {
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
            position: lowest.position,
        };
        let write =
            if self.mistake == Some(Mistake::TornCommit) { LedgerStore::commit_torn } else { LedgerStore::commit };
        write(self.overlay.base(), &block).map_err(|error| StorageFailed(error.to_string()))?;
        self.overlay.pop_lowest();
        self.has_ended = ends_epoch(&lowest.changes);
        Ok(Finalized { stored, changes: lowest.changes, transactions })
    }

    /// Height of an executed block that holds this transaction and is not final.
    #[must_use]
    pub fn ordered(&self, id: &TxId) -> Option<Height> {
        let holds = |executed: &&Executed| executed.stored.transactions.contains(id);
        self.executed.iter().find(holds).map(|executed| executed.block.header.height)
    }

    /// Height and time of the last executed block.
    #[must_use]
    pub fn tip_header(&self) -> (Height, TimeMs) {
        self.executed.back().map_or_else(
            || (self.tracker.tip().height, self.tracker.tip().time),
            |executed| (executed.block.header.height, executed.block.header.time),
        )
    }

    /// Whether the last block of the epoch was executed here: this core takes no other block.
    #[must_use]
    pub fn is_epoch_over(&self) -> bool {
        self.has_ended || self.executed.back().is_some_and(|last| ends_epoch(&last.changes))
    }

    /// Whether that block is final here: what comes after it is a new core's.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether to propose now, seen from this validator.
    #[must_use]
    pub fn decide(&self, now: TimeMs, term: u64, ready: bool, waiting: usize, next_due: Option<TimeMs>) -> Decision {
        let (tip_height, tip_time) = self.tip_header();
        let view = ProposerView {
            leader: ready,
            term,
            last_log_index: self.applied.index,
            applied: if self.mistake == Some(Mistake::EarlyLeader) {
                (term, self.applied.index)
            } else {
                (self.applied.term, self.applied.index)
            },
            tip_height,
            tip_time,
            unfinal: self.tracker.unfinal(),
            waiting,
            next_due,
            halted: self.tracker.halted().is_some(),
            epoch_over: self.is_epoch_over(),
        };
        self.proposer.decide(now, &view)
    }
}
