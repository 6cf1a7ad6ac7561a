//! Proposals and votes.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::ops::{Choice, ProposalKind};
use crate::types::{AccountId, Height, ProposalId, TimeMs, Uftns};

/// A proposal from opening to end.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Proposal {
    /// Its number.
    pub id: ProposalId,
    /// Who opened it.
    pub proposer: AccountId,
    /// What it is called.
    pub title: String,
    /// What it does.
    pub kind: ProposalKind,
    /// Held until the count.
    pub deposit: Uftns,
    /// Block time of its opening.
    pub opened_at: TimeMs,
    /// The block whose balances count.
    pub snapshot: Height,
    /// All weight at that block.
    pub snapshot_weight: Uftns,
    /// When it is counted.
    pub voting_ends: TimeMs,
    /// When it is carried out, once it passed.
    pub executes_at: Option<TimeMs>,
    /// Where it stands.
    pub status: ProposalStatus,
    /// The count so far.
    pub tally: Tally,
    /// Why it failed or was defeated.
    pub reason: Option<String>,
}

/// Where a proposal stands, in the field's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub enum ProposalStatus {
    /// Votes are taken.
    Active,
    /// Passed (left at once for Queued).
    Succeeded,
    /// Waits out its timelock.
    Queued,
    /// Carried out.
    Executed,
    /// Not enough part, or not more yes than no.
    Defeated,
    /// A third or more vetoed; the deposit is lost.
    Vetoed,
    /// Could not be carried out; nothing changed.
    Failed,
}

impl std::fmt::Display for ProposalStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Active => "Active",
            Self::Succeeded => "Succeeded",
            Self::Queued => "Queued",
            Self::Executed => "Executed",
            Self::Defeated => "Defeated",
            Self::Vetoed => "Vetoed",
            Self::Failed => "Failed",
        })
    }
}

/// Weights by choice, as owned and with the cap of each voter applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Tally {
    /// Accounts that voted.
    pub voters: u64,
    /// Yes, no, abstain, veto as owned: counts with fewer than ten voters.
    pub owned: [u64; 4],
    /// The same with no voter above 10 % of the snapshot: counts from ten voters on.
    pub capped: [u64; 4],
}

/// One account's vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct VoteRecord {
    /// How it voted.
    pub choice: Choice,
    /// Its weight in the snapshot.
    pub weight: Uftns,
}
