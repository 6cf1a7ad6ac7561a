//! Receipts: a transaction, what became of it, and everything needed to check both offline.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::block::Block;
use crate::execute::Execution;
use crate::finality_proof::{FinalityProof, FinalityProofError};
use crate::genesis::Genesis;
use crate::handover::{MAX_HANDOVER_BYTES, MAX_HANDOVERS};
use crate::merkle::{self, ListProof};
use crate::outcome::{DueEvent, Outcome};
use crate::transaction::SignedTransaction;
use crate::types::{Hash, TxId};

/// Bytes of one encoded receipt, at most: its own, and those of all hand-overs there may be.
pub const MAX_RECEIPT_BYTES: usize = 256 * 1_024 + MAX_HANDOVERS * MAX_HANDOVER_BYTES;

/// Proof of what happened to one transaction.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Receipt {
    /// What was asked for.
    pub transaction: SignedTransaction,
    /// What became of it.
    pub outcome: Outcome,
    /// From the transaction to the header's root.
    pub transaction_proof: ListProof,
    /// From the outcome to the commitment's root.
    pub outcome_proof: ListProof,
    /// That the block is final and led to this.
    #[serde(flatten)]
    pub finality: FinalityProof,
}

/// Why a receipt proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant says in its sentence what its fields are")]
pub enum ReceiptError {
    #[error("its block is not proven to be final")]
    NotFinal(#[from] FinalityProofError),
    #[error("the transaction is for another chain than the genesis")]
    WrongChain,
    #[error("the transaction is not among those of the block, or it was changed")]
    NotInBlock,
    #[error("the outcome is not the one that was certified for this transaction")]
    WrongOutcome,
}

impl Receipt {
    /// Makes the receipt of the transaction at `index` of the block that `finality` is about; nothing when there is none.
    #[must_use]
    pub fn build(block: &Block, execution: &Execution, finality: FinalityProof, index: usize) -> Option<Self> {
        let leaves = |list: &[SignedTransaction]| list.iter().map(SignedTransaction::leaf).collect::<Vec<_>>();
        let outcomes = outcome_leaves(&execution.outcomes, &execution.transactions, &execution.due);
        Some(Self {
            transaction: block.transactions.get(index)?.clone(),
            outcome: execution.outcomes.get(index)?.clone(),
            transaction_proof: merkle::prove(&leaves(&block.transactions), index)?,
            outcome_proof: merkle::prove(&outcomes, index)?,
            finality,
        })
    }

    /// The transaction's name.
    #[must_use]
    pub fn id(&self) -> TxId {
        self.transaction.id()
    }

    /// Checks everything with nothing but the genesis.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn verify(&self, genesis: &Genesis) -> Result<(), ReceiptError> {
        self.finality.verify(genesis)?;
        let FinalityProof { header, commitment, .. } = &self.finality;
        if self.transaction.tx.context() != genesis.context() {
            return Err(ReceiptError::WrongChain);
        }
        if self.transaction_proof.root_from(&self.transaction.leaf()) != Some(header.tx_root) {
            return Err(ReceiptError::NotInBlock);
        }
        // Outcomes stand first in their list and in the order of the transactions: the same position ties them.
        let root = self.outcome_proof.root_from(&self.outcome.leaf(&self.id()));
        if root != Some(commitment.outcomes_root) || self.outcome_proof.index != self.transaction_proof.index {
            return Err(ReceiptError::WrongOutcome);
        }
        Ok(())
    }
}

/// The leaves under an outcomes root: outcomes in order, then what fell due.
pub(crate) fn outcome_leaves(outcomes: &[Outcome], transactions: &[TxId], due: &[DueEvent]) -> Vec<Hash> {
    outcomes
        .iter()
        .zip(transactions)
        .map(|(outcome, id)| outcome.leaf(id))
        .chain(due.iter().map(DueEvent::leaf))
        .collect()
}

/// What a commitment names as its outcomes root: over the outcomes of these transactions, in order, and what fell due.
#[must_use]
pub fn outcomes_root(outcomes: &[Outcome], transactions: &[TxId], due: &[DueEvent]) -> Hash {
    merkle::root(&outcome_leaves(outcomes, transactions, due))
}
