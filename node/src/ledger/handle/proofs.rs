//! Proofs for whoever holds nothing but the genesis: receipts, what a key holds, and who certifies now.

use mesh30k_chain::{StoredBlock, Succession};
use mesh30k_consensus::storage::StoreError;
use mesh30k_ledger::execute::Execution;
use mesh30k_ledger::finality_proof::FinalityProof;
use mesh30k_ledger::handover::leading_to;
use mesh30k_ledger::query;
use mesh30k_ledger::receipt::Receipt;
use mesh30k_ledger::state::{ChangeSet, StateError};
use mesh30k_ledger::state_receipt::{ProveError, StateReceipt};
use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_ledger::types::{Height, TxId};

use super::LedgerHandle;

/// Why the state is not proven now.
#[derive(Debug, thiserror::Error)]
pub enum StateProofError {
    /// Its proof is elsewhere.
    #[error(
        "the state here is that after block {0}, whose certificate is not kept here (the node began with it): ask again after \
         the next block"
    )]
    NoCertificate(Height),
    /// By its rules.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// State can't be read.
    #[error(transparent)]
    State(#[from] StateError),
}

fn failed(error: StoreError) -> StateError {
    StateError::Storage(error.to_string())
}

impl LedgerHandle {
    /// The proof of a final transaction.
    ///
    /// # Errors
    /// Storage that fails.
    pub fn receipt(&self, id: &TxId) -> Result<Option<Receipt>, StateError> {
        let store = self.store();
        let Some((height, index)) = store.transaction(id).map_err(failed)? else { return Ok(None) };
        let Some(stored) = store.block(height).map_err(failed)? else { return Ok(None) };
        let finality = self.finality_of(&stored)?;
        let StoredBlock { block, outcomes, due, commitment, .. } = stored;
        let transactions = block.transactions.iter().map(SignedTransaction::id).collect();
        let execution =
            Execution { changes: ChangeSet::new(), outcomes, due, commitment, block: block.id(), transactions };
        Ok(Receipt::build(&block, &execution, finality, index))
    }

    /// What a key holds after the last final block, or that it holds nothing, with the proof. No block becomes final meanwhile.
    ///
    /// # Errors
    /// [`StateProofError`].
    pub fn state_receipt(&self, key: &[u8]) -> Result<StateReceipt, StateProofError> {
        let store = self.store();
        let _reading = store.reading();
        let height = query::tip(store)?.height;
        let stored = store.block(height).map_err(failed)?.ok_or(StateProofError::NoCertificate(height))?;
        Ok(StateReceipt::build(store, key, self.finality_of(&stored)?)?)
    }

    /// Who certifies now and how that came about; nothing where the last block's certificate is not kept here.
    ///
    /// # Errors
    /// Storage that fails.
    pub(crate) fn succession(&self) -> Result<Option<Succession>, StateError> {
        let store = self.store();
        let _reading = store.reading();
        let Some(stored) = store.block(query::tip(store)?.height).map_err(failed)? else { return Ok(None) };
        let FinalityProof { certificate, handovers, .. } = self.finality_of(&stored)?;
        Ok(Some(Succession { handovers, certificate }))
    }

    fn finality_of(&self, stored: &StoredBlock) -> Result<FinalityProof, StateError> {
        let all = self.store().handovers().map_err(failed)?;
        let (header, certificate) = (stored.block.header, stored.certificate.clone());
        let handovers = leading_to(&self.genesis().validators, &all, &certificate).to_vec();
        Ok(FinalityProof { header, commitment: stored.commitment, certificate, handovers })
    }
}
