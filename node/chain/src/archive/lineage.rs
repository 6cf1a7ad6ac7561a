//! Whether the blocks of a history follow one another and were certified, each by the validators of its time.

use std::collections::VecDeque;

use mesh30k_ledger::authority::{Authority, AuthorityError};
use mesh30k_ledger::block::Block;
use mesh30k_ledger::finality::{Certificate, ValidatorSet};
use mesh30k_ledger::finality_proof::{FinalityProofError, check};
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::handover::Handover;
use mesh30k_ledger::receipt::outcomes_root;
use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_ledger::types::{BlockId, Height, NodeId, TxId};

use super::MAX_ARCHIVE_LINE_BYTES;
use crate::store::{STORED_BLOCK_BYTES_MAX, StoredBlock};

/// Why a line of a history is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant says in its sentence what its fields are")]
pub enum HistoryError {
    #[error("it has {bytes} bytes, at most {MAX_ARCHIVE_LINE_BYTES} are taken")]
    TooLong { bytes: usize },
    #[error("it can't be read as a block: {0}")]
    Unreadable(String),
    #[error("its block has {bytes} bytes, at most {STORED_BLOCK_BYTES_MAX} are kept")]
    TooLarge { bytes: usize },
    #[error("it is not written as an export writes this block")]
    NotAsWritten,
    #[error("it is block {found}, expected {expected}")]
    Height { found: Height, expected: Height },
    #[error("its parent is {found}, but the block before it is {expected}")]
    Parent { found: BlockId, expected: BlockId },
    #[error("its transactions do not lead to the root in its header")]
    Transactions,
    #[error("its outcomes do not lead to the root that was certified")]
    Outcomes,
    #[error("its proposer, node {0}, is no validator of its epoch or did not sign it")]
    Proposer(NodeId),
    #[error("it is not certified by validators that the genesis leads to")]
    NotFinal(#[from] FinalityProofError),
    #[error("it is another last block than the first line's")]
    OtherLast,
}

/// Follows the hand-overs of a chain from block to block.
pub(super) struct Lineage {
    authority: Authority,
    /// The validators before the last hand-over: blocks that an order of the operators kept are theirs.
    before: ValidatorSet,
    ahead: VecDeque<Handover>,
    passed: usize,
    next: Height,
    /// Unknown before the first block of a history that begins later than the chain.
    parent: Option<BlockId>,
}

impl Lineage {
    /// Before the block at `first`.
    pub(super) fn new(genesis: &Genesis, handovers: &[Handover], first: Height, parent: Option<BlockId>) -> Self {
        let (authority, before) = (Authority::of(genesis), genesis.validators.clone());
        Self { authority, before, ahead: handovers.iter().cloned().collect(), passed: 0, next: first, parent }
    }

    /// The block that is to come.
    pub(super) const fn next(&self) -> Height {
        self.next
    }

    /// Checks the next block; gives the names of its transactions.
    pub(super) fn take(&mut self, stored: &StoredBlock) -> Result<Vec<TxId>, HistoryError> {
        let StoredBlock { block, certificate, outcomes, due, commitment } = stored;
        let header = &block.header;
        if header.height != self.next {
            return Err(HistoryError::Height { found: header.height, expected: self.next });
        }
        if let Some(expected) = self.parent.filter(|parent| *parent != header.parent) {
            return Err(HistoryError::Parent { found: header.parent, expected });
        }
        if Block::transactions_root(&block.transactions) != header.tx_root {
            return Err(HistoryError::Transactions);
        }
        let ids: Vec<TxId> = block.transactions.iter().map(SignedTransaction::id).collect();
        if outcomes.len() != ids.len() || outcomes_root(outcomes, &ids, due) != commitment.outcomes_root {
            return Err(HistoryError::Outcomes);
        }
        self.follow(certificate)?;
        check(&self.authority, header, commitment, certificate)?;
        self.check_proposer(block)?;
        (self.next, self.parent) = (self.next.next(), Some(block.id()));
        Ok(ids)
    }

    /// Passes the hand-overs that lead to this certificate, and one more where an order kept a block that too few voted for.
    fn follow(&mut self, certificate: &Certificate) -> Result<(), FinalityProofError> {
        let place = (certificate.epoch, certificate.round);
        while self.ahead.front().is_some_and(|next| next.leads_to() <= place) {
            self.pass()?;
        }
        let has_few = certificate.signatures.len() < self.authority.validators().quorum();
        if has_few && self.authority.place() == place && matches!(self.ahead.front(), Some(Handover::Restart(_))) {
            self.pass()?;
        }
        Ok(())
    }

    fn pass(&mut self) -> Result<(), AuthorityError> {
        let Some(next) = self.ahead.pop_front() else { return Ok(()) };
        let before = self.authority.validators().clone();
        self.passed += 1;
        self.authority.pass(&next).map_err(|source| AuthorityError::Handover { number: self.passed, source })?;
        self.before = before;
        Ok(())
    }

    /// Its signature is in no hash that was certified.
    fn check_proposer(&self, block: &Block) -> Result<(), HistoryError> {
        let header = &block.header;
        let is_of_now = (header.epoch, header.round) == self.authority.place();
        let validators = if is_of_now { self.authority.validators() } else { &self.before };
        let proposer = validators.get(header.proposer);
        if proposer.is_some_and(|proposer| block.is_signed_by(&proposer.key, self.authority.context())) {
            return Ok(());
        }
        Err(HistoryError::Proposer(header.proposer))
    }
}
