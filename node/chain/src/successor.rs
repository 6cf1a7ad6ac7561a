//! How a node that follows goes through a recovery it was not told of: it is shown the chain's hand-overs, believes them with nothing
//! but the genesis, takes the blocks that stay by the operators' word, and goes on with the new validators.

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_consensus::finality::FinalTip;
use mesh30k_consensus::storage::StoreError;
use mesh30k_ledger::authority::{Authority, AuthorityError};
use mesh30k_ledger::block::Block;
use mesh30k_ledger::finality::{Certificate, ValidatorSet};
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::handover::{BlockResult, Handover};
use mesh30k_ledger::restart::restart;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::types::{Epoch, Height, Round};

use crate::store::LedgerStore;

/// What a peer shows: the chain's hand-overs, and a certificate by those whom they lead to.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Succession {
    /// From the genesis on, in order.
    pub handovers: Vec<Handover>,
    /// That the last validators really went on: an order that nobody carried out leads nowhere.
    pub certificate: Certificate,
}

/// Why a succession is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuccessionError {
    /// Not to be believed.
    #[error("the hand-overs shown do not lead from the genesis to the certificate shown")]
    Authority(#[from] AuthorityError),
    /// The last validators have certified nothing yet.
    #[error("the validators of epoch {epoch}, round {round} have certified nothing yet")]
    NotInUse {
        /// Theirs.
        epoch: Epoch,
        /// Theirs.
        round: Round,
    },
    /// More is final here than the hand-over leaves.
    #[error("the hand-over to round {round} begins after block {last}, but block {own} is final here")]
    Undoes {
        /// Where it leads.
        round: Round,
        /// The last block before it.
        last: Height,
        /// Final height here.
        own: Height,
    },
}

/// A hand-over that was not written.
#[derive(Debug, thiserror::Error)]
pub enum HandOverFailed {
    /// State can't be read.
    #[error("state can't be read")]
    State(#[from] StateError),
    /// The database.
    #[error("the ledger's storage failed")]
    Storage(#[from] StoreError),
}

impl Succession {
    /// The validators whom it leads to, believed with nothing but the genesis.
    ///
    /// # Errors
    /// [`SuccessionError`].
    pub fn verify(&self, genesis: &Genesis) -> Result<ValidatorSet, SuccessionError> {
        let authority = Authority::led_by(genesis, &self.handovers)?;
        authority.check(&self.certificate)?;
        let (epoch, round) = authority.place();
        if (self.certificate.epoch, self.certificate.round) != (epoch, round) {
            return Err(SuccessionError::NotInUse { epoch, round });
        }
        Ok(authority.validators().clone())
    }
}

/// Waits at the end of a round for the next one.
#[derive(Debug, Default)]
pub struct Successor {
    next: Option<Handover>,
}

impl Successor {
    /// A peer shows a succession to a node that is in this epoch and round. Only the next step counts; the others follow in their
    /// turn. True when there is one by an order: one by a vote comes with its block.
    ///
    /// # Errors
    /// [`SuccessionError`]; what was known before stays.
    pub fn on_succession(
        &mut self,
        shown: &Succession,
        genesis: &Genesis,
        tip: &FinalTip,
        place: (Epoch, Round),
    ) -> Result<bool, SuccessionError> {
        shown.verify(genesis)?;
        let next = shown.handovers.iter().find(|handover| handover.leads_to() > place);
        let Some(next) = next.filter(|next| matches!(next, Handover::Restart(_))) else { return Ok(false) };
        let last = next.last();
        if tip.height > last.height {
            return Err(SuccessionError::Undoes { round: next.leads_to().1, last: last.height, own: tip.height });
        }
        self.next = Some(next.clone());
        Ok(true)
    }

    /// Whether this block is the next one and stays by the order, however few voted for it.
    #[must_use]
    pub fn keeps(&self, tip: &FinalTip, block: &Block, certificate: &Certificate) -> bool {
        let Some(Handover::Restart(signed)) = &self.next else { return false };
        let result = BlockResult::of(certificate);
        let named = (result.height, result.block) == (block.header.height, block.id());
        named && block.header.height == tip.height.next() && signed.terms.stays.contains(&result)
    }

    /// The hand-over to carry out on this block, the last one before it.
    pub fn due(&mut self, tip: &FinalTip) -> Option<Handover> {
        let here = BlockResult { height: tip.height, block: tip.block, commitment: tip.commitment };
        self.next.take_if(|next| next.last() == here)
    }
}

impl LedgerStore {
    /// Writes the new validators and the new round: this node's last final block is the last one before the hand-over.
    ///
    /// # Errors
    /// Storage that fails.
    pub fn carry_out(&self, handover: &Handover) -> Result<(), HandOverFailed> {
        let (epoch, round) = handover.leads_to();
        let changes = restart(self, epoch, round, handover.validators())?;
        Ok(self.hand_over(&changes, handover, None)?)
    }
}

#[cfg(test)]
#[path = "successor_tests.rs"]
mod tests;
