//! Running totals and counters, kept so that conservation can be checked after every block.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::records::Quarter;
use crate::types::{AgentId, Height, NodeId, ProposalId, SectorId, TimeMs, Uftns};

/// Chain-wide figures.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Globals {
    /// Money.
    pub totals: Totals,
    /// Sequence numbers.
    pub counters: Counters,
    /// Votes that are open, oldest first.
    pub open_votes: Vec<OpenVote>,
    /// Since when everything is frozen, if it is.
    pub frozen_since: Option<TimeMs>,
    /// How long everything was frozen in all freezes that ended.
    pub frozen_ms: u64,
    /// What all accounts hold at their lowest in the running quarter.
    pub quarter: Quarter,
}

/// Money by where it is. Balances + stakes + escrows + deposits + dividends + pools = minted - burned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Totals {
    /// Ever created.
    pub minted: Uftns,
    /// Ever destroyed (half of each fee).
    pub burned: Uftns,
    /// No path mints above it.
    pub supply_cap: Uftns,
    /// Free balances.
    pub balances: Uftns,
    /// Bonded.
    pub stakes: Uftns,
    /// Locked for tasks.
    pub escrows: Uftns,
    /// Held for proposals.
    pub deposits: Uftns,
    /// Owed to the holders of quarters that ended.
    pub dividends: Uftns,
    /// Filled by carbon charges and what is withheld for credits owed, pays green discounts.
    pub carbon_pool: Uftns,
    /// Filled by premiums, pays access discounts.
    pub access_fund: Uftns,
    /// Remainders and forfeited deposits.
    pub treasury: Uftns,
}

/// The next of each sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Counters {
    /// Next node.
    pub next_node: NodeId,
    /// Next agent.
    pub next_agent: AgentId,
    /// Next proposal.
    pub next_proposal: ProposalId,
    /// Sectors so far.
    pub next_sector: SectorId,
}

/// A vote that is open and the block whose balances it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct OpenVote {
    /// Which.
    pub proposal: ProposalId,
    /// The block it was opened in.
    pub snapshot: Height,
}

impl Globals {
    /// How long everything has been frozen by this time, the present freeze included.
    #[must_use]
    pub fn frozen_ms_at(&self, now: TimeMs) -> u64 {
        self.frozen_ms.saturating_add(self.frozen_since.map_or(0, |since| now.since_ms(since)))
    }

    /// The first and the last block whose balances an open vote counts.
    #[must_use]
    pub fn snapshots(&self) -> (Option<Height>, Option<Height>) {
        let heights = self.open_votes.iter().map(|open| open.snapshot);
        (heights.clone().min(), heights.max())
    }
}

impl Totals {
    /// Where all money is, summed up.
    #[must_use]
    pub fn held(&self) -> u128 {
        let set_aside = [self.escrows, self.deposits, self.dividends];
        let pools = [self.carbon_pool, self.access_fund, self.treasury];
        let parts = [self.balances, self.stakes].into_iter().chain(set_aside).chain(pools);
        parts.fold(0_u128, |sum, part| sum.saturating_add(u128::from(part.0)))
    }

    /// Whether nothing was lost or made on the way.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        u128::from(self.minted.0).checked_sub(u128::from(self.burned.0)) == Some(self.held())
            && self.minted <= self.supply_cap
    }
}
