//! What the mesh needs of the ledger, as a trait, so that its parts can be tested without a chain.

use mesh30k_ledger::operators::Operators;
use mesh30k_ledger::query;
use mesh30k_ledger::records::FreezeRecord;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_ledger::types::{NodeId, TxId};
use tokio::sync::watch;

use crate::ledger::{FinalBlockTip, LedgerHandle, SubmitError, TxStatus};

/// The ledger as the mesh sees it. Everything is read at the last final block.
pub trait MeshLedger: Send + Sync + 'static {
    /// The chain.
    fn context(&self) -> ChainContext;

    /// Told of every final block; the roster is up to date before.
    fn finals(&self) -> watch::Receiver<FinalBlockTip>;

    /// Who may freeze and thaw.
    ///
    /// # Errors
    /// State that can't be read.
    fn operators(&self) -> Result<Operators, StateError>;

    /// The freezes in force.
    ///
    /// # Errors
    /// State that can't be read.
    fn freezes(&self) -> Result<Vec<FreezeRecord>, StateError>;

    /// Whether a transaction is in a final block, whatever came of it.
    ///
    /// # Errors
    /// State that can't be read.
    fn is_recorded(&self, id: &TxId) -> Result<bool, StateError>;

    /// The node whose clock is mesh time: the first validator.
    ///
    /// # Errors
    /// State that can't be read.
    fn anchor(&self) -> Result<Option<NodeId>, StateError>;

    /// Accepts a transaction for the validators.
    ///
    /// # Errors
    /// When the ledger would reject it or there is no room.
    fn submit(&self, signed: SignedTransaction) -> Result<TxId, SubmitError>;
}

impl MeshLedger for LedgerHandle {
    fn context(&self) -> ChainContext {
        Self::context(self)
    }

    fn finals(&self) -> watch::Receiver<FinalBlockTip> {
        Self::finals(self)
    }

    fn operators(&self) -> Result<Operators, StateError> {
        self.read(|state| query::operators(state))
    }

    fn freezes(&self) -> Result<Vec<FreezeRecord>, StateError> {
        self.read(|state| query::freezes(state))
    }

    fn is_recorded(&self, id: &TxId) -> Result<bool, StateError> {
        Ok(matches!(self.status_of(id)?, TxStatus::Final(..)))
    }

    fn anchor(&self) -> Result<Option<NodeId>, StateError> {
        Ok(self.read(|state| query::validator_set(state))?.0.first().map(|validator| validator.node))
    }

    fn submit(&self, signed: SignedTransaction) -> Result<TxId, SubmitError> {
        Self::submit(self, signed)
    }
}
