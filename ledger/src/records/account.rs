//! Accounts.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::key_policy::KeyPolicy;
use crate::records::Holding;
use crate::types::{Height, Region, Uftns};

/// What an account owns and who signs for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Account {
    /// Known once the account has signed, or from genesis.
    pub policy: Option<KeyPolicy>,
    /// Free balance.
    pub balance: Uftns,
    /// Bonded.
    pub stake: Uftns,
    /// The number its next transaction must carry.
    pub nonce: u64,
    /// Where it says it is.
    pub region: Option<Region>,
    /// Whether that was attested; only then does it bring a discount.
    pub region_attested: bool,
    /// The block that last changed its voting weight.
    pub weight_since: Height,
    /// Earlier weights back to the oldest open vote, ascending.
    pub checkpoints: Vec<Checkpoint>,
    /// Its lowest points, which dividends are paid for.
    pub holding: Holding,
}

/// A voting weight that held from a block until the next checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The block that brought it.
    pub since: Height,
    /// Free and staked balance.
    pub weight: Uftns,
}

impl Account {
    /// Where it is, as far as that was attested.
    #[must_use]
    pub fn attested_region(&self) -> Option<Region> {
        self.region.filter(|_| self.region_attested)
    }

    /// Free and staked balance.
    #[must_use]
    pub const fn weight(&self) -> Uftns {
        Uftns(self.balance.0.saturating_add(self.stake.0))
    }

    /// The weight at the end of a block; only meaningful back to the oldest open vote.
    #[must_use]
    pub fn weight_at(&self, height: Height) -> Uftns {
        if self.weight_since <= height {
            return self.weight();
        }
        let checkpoint = self.checkpoints.iter().rev().find(|checkpoint| checkpoint.since <= height);
        checkpoint.map_or(Uftns::ZERO, |checkpoint| checkpoint.weight)
    }

    /// Keeps the weight it had before a change at `height`, if an open vote looks at it, and drops what no vote looks at.
    pub(crate) fn checkpoint(&mut self, height: Height, oldest: Option<Height>, newest: Option<Height>) {
        if self.weight_since == height {
            return;
        }
        let (Some(oldest), Some(newest)) = (oldest, newest) else {
            self.checkpoints.clear();
            self.weight_since = height;
            return;
        };
        if self.weight_since <= newest {
            self.checkpoints.push(Checkpoint { since: self.weight_since, weight: self.weight() });
        }
        let useful = self.checkpoints.iter().rposition(|checkpoint| checkpoint.since <= oldest).unwrap_or(0);
        self.checkpoints.drain(..useful);
        self.weight_since = height;
    }
}
