//! Who validates.

use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::types::{AccountId, Epoch, NodeId, Uftns};
use serde::{Deserialize, Serialize};

/// `GET /v1/validators`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ValidatorsAnswer {
    /// Counts the sets there were.
    pub epoch: Epoch,
    /// Votes that make a block final.
    pub quorum: usize,
    /// In order of node.
    pub validators: Vec<ValidatorRow>,
    /// The nodes that validate from the block after the next on, while a change is under way.
    pub next: Option<Vec<NodeId>>,
}

/// One seat.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ValidatorRow {
    /// Who holds it.
    pub node: NodeId,
    /// Where its share of the fees goes.
    pub account: AccountId,
    /// What its votes are signed with.
    pub validator_key: PublicKey,
    /// What that account has bonded as validator.
    pub bonded_uftns: Uftns,
}
