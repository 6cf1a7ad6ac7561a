//! What falls due at a block time.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::types::{AccountId, EscrowId, Hash, ProposalId, Scope};

/// An entry of the due queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// A vote ends and is counted.
    VotingEnds(ProposalId),
    /// A passed proposal is carried out.
    Execute(ProposalId),
    /// What was not released goes back.
    EscrowDeadline(EscrowId),
    /// A freeze ends.
    FreezeEnds(Scope),
    /// A scheduled payment is made.
    Payment(Hash),
    /// Bonded money comes free.
    Unbonding(AccountId),
    /// The window or the ruling of a claim ends.
    ClaimEnds(EscrowId, u32),
    /// The panel of a dispute is drawn.
    DrawPanel(EscrowId, u32),
    /// An auction ends.
    AuctionEnds(Hash),
    /// A quarter ends and its dividend is set aside.
    QuarterEnds,
    /// Lent quota goes back.
    QuotaLoanEnds(Hash),
    /// What an emergency took for a task goes back, unless it goes on.
    QuotaDrawEnds(EscrowId),
    /// A listing takes no more orders.
    ListingEnds(Hash),
}
