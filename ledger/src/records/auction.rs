//! Reverse auctions with sealed bids.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::charges::ChargeTerms;
use crate::types::{AccountId, Hash, TimeMs, Uftns};

/// A task looking for its worker. Becomes an escrow of the same name when somebody wins it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct AuctionRecord {
    /// Who asks and pays.
    pub opener: AccountId,
    /// The task.
    pub task: Hash,
    /// Its module.
    pub module: Hash,
    /// The most that is paid; set aside until the end.
    pub max_price: Uftns,
    /// Held for carbon and premium.
    pub reserve: Uftns,
    /// What these are counted with.
    pub terms: ChargeTerms,
    /// Sealed bids are taken until then.
    pub commit_until: TimeMs,
    /// They are opened until then.
    pub reveal_until: TimeMs,
    /// When the escrow that follows closes.
    pub release_deadline: TimeMs,
    /// Bids by bidder; empty once it is over.
    pub bids: BTreeMap<AccountId, BidRecord>,
    /// Held of each bidder until the end.
    pub bid_bond: Uftns,
    /// Whether it is over.
    pub closed: bool,
    /// Who works for it; nothing while it runs and when nobody's bid was fit.
    pub winner: Option<AccountId>,
    /// What that bid was: its price is the order's, its footprint is what the receipt is set against.
    pub won: Option<OpenedBid>,
}

/// One bid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct BidRecord {
    /// Hash of what is bid and a salt.
    pub sealed: Hash,
    /// What was bid, once opened.
    pub opened: Option<OpenedBid>,
}

/// What was bid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct OpenedBid {
    /// For the whole task.
    pub price: Uftns,
    /// The footprint the bidder expects, micrograms.
    pub carbon_ug: u64,
}

impl AuctionRecord {
    /// What is locked for it.
    #[must_use]
    pub fn locked(&self) -> u64 {
        if self.closed {
            return 0;
        }
        let bonds = self.bid_bond.0.saturating_mul(self.bids.len() as u64);
        self.max_price.0.saturating_add(self.reserve.0).saturating_add(bonds)
    }
}
