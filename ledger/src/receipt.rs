//! Receipts: a transaction, what became of it, and everything needed to check both offline.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::block::{Block, Header};
use crate::execute::Execution;
use crate::finality::{Certificate, CertificateError, Commitment, ValidatorSet};
use crate::genesis::Genesis;
use crate::merkle::{self, ListProof};
use crate::outcome::{DueEvent, Outcome};
use crate::transaction::SignedTransaction;
use crate::types::{BlockId, Epoch, Hash, TxId};

/// Bytes of one encoded receipt, at most.
pub const MAX_RECEIPT_BYTES: usize = 256 * 1_024;

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
    /// The block's header.
    pub header: Header,
    /// What the validators vouched for.
    pub commitment: Commitment,
    /// That they did.
    pub certificate: Certificate,
    /// The validators of the epoch; those of epoch 0 stand in the genesis.
    pub validators: ValidatorSet,
}

/// Why a receipt proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant says in its sentence what its fields are")]
pub enum ReceiptError {
    #[error("the receipt's validators (epoch {epoch}, {found}) are not those of the genesis ({expected})")]
    UnknownValidators { epoch: Epoch, found: Hash, expected: Hash },
    #[error("the certificate is for another block ({found}) than the header ({expected})")]
    WrongBlock { found: BlockId, expected: BlockId },
    #[error("the header's {0} differs from the certificate's")]
    HeaderMismatch(&'static str),
    #[error("the certificate is not valid")]
    Certificate(#[from] CertificateError),
    #[error("the transaction is for another chain than the genesis")]
    WrongChain,
    #[error("the commitment's parts do not make the hash that was certified")]
    WrongCommitment,
    #[error("the transaction is not among those of the block, or it was changed")]
    NotInBlock,
    #[error("the outcome is not the one that was certified for this transaction")]
    WrongOutcome,
}

impl Receipt {
    /// Makes the receipt of the transaction at `index`; nothing when there is none.
    #[must_use]
    pub fn build(
        block: &Block,
        execution: &Execution,
        certificate: &Certificate,
        validators: &ValidatorSet,
        index: usize,
    ) -> Option<Self> {
        let leaves = |list: &[SignedTransaction]| list.iter().map(SignedTransaction::leaf).collect::<Vec<_>>();
        let outcomes = outcome_leaves(&execution.outcomes, &execution.transactions, &execution.due);
        Some(Self {
            transaction: block.transactions.get(index)?.clone(),
            outcome: execution.outcomes.get(index)?.clone(),
            transaction_proof: merkle::prove(&leaves(&block.transactions), index)?,
            outcome_proof: merkle::prove(&outcomes, index)?,
            header: block.header,
            commitment: execution.commitment,
            certificate: certificate.clone(),
            validators: validators.clone(),
        })
    }

    /// The transaction's name.
    #[must_use]
    pub fn id(&self) -> TxId {
        self.transaction.id()
    }

    /// Checks everything with nothing but the genesis. In epoch 0 the validators are those of the genesis; later epochs need a chain
    /// of hand-overs, which comes with the change of validators itself.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn verify(&self, genesis: &Genesis) -> Result<(), ReceiptError> {
        let (found, expected) = (self.validators.hash(), genesis.validators.hash());
        if found != expected || self.certificate.epoch != Epoch(0) {
            return Err(ReceiptError::UnknownValidators { epoch: self.certificate.epoch, found, expected });
        }
        let (header, certificate, context) = (&self.header, &self.certificate, genesis.context());
        if certificate.block != header.id() {
            return Err(ReceiptError::WrongBlock { found: certificate.block, expected: header.id() });
        }
        let same = [
            ("chain", header.chain == context.chain),
            ("epoch", header.epoch == certificate.epoch),
            ("round", header.round == certificate.round),
            ("height", header.height == certificate.height),
            ("parent", header.parent == certificate.parent),
        ];
        if let Some((field, _)) = same.iter().find(|(_, equal)| !equal) {
            return Err(ReceiptError::HeaderMismatch(field));
        }
        certificate.verify(&genesis.validators, &context)?;
        if self.commitment.hash() != certificate.commitment {
            return Err(ReceiptError::WrongCommitment);
        }
        if self.transaction.tx.context() != context {
            return Err(ReceiptError::WrongChain);
        }
        if self.transaction_proof.root_from(&self.transaction.leaf()) != Some(header.tx_root) {
            return Err(ReceiptError::NotInBlock);
        }
        // Outcomes stand first in their list and in the order of the transactions: the same position ties them.
        let root = self.outcome_proof.root_from(&self.outcome.leaf(&self.id()));
        if root != Some(self.commitment.outcomes_root) || self.outcome_proof.index != self.transaction_proof.index {
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
