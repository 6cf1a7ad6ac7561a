//! Content: who owns it, what it was made from, what it earned.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::records::Impact;
use crate::types::{AccountId, Hash, Uftns};

/// Something with a content hash: a model, a data set, a paper.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ContentRecord {
    /// Owners with their shares in ppm; together a million.
    pub owners: Vec<ContentShare>,
    /// What it was made from, with their royalties in ppm of what it earns.
    pub parents: Vec<ContentParent>,
    /// Levels of provenance below it, 1 for content made from nothing registered.
    pub depth: u32,
    /// For one use; nothing when it is not for sale.
    pub price: Uftns,
    /// Of the base of each part of a task that runs it, in ppm.
    pub royalty_ppm: u32,
    /// Uses: bought, or in parts of tasks that were paid.
    pub uses: u64,
    /// Orders of it that were delivered and paid.
    pub downloads: u64,
    /// Paid uses and downloads of others that were made from it.
    pub cited: u64,
    /// Sum and number of ratings.
    pub stars: u64,
    /// See `stars`.
    pub ratings: u64,
    /// Uses and downloads by others than its owners, and those of what was made from it, lately.
    pub impact: Impact,
    /// Earned in tasks, until somebody collects it.
    pub earned: Uftns,
    /// Parts of tasks in which that was earned.
    pub earned_uses: u64,
    /// Those of them that were not its owners' own: what its sources are cited by.
    pub earned_by_others: u64,
}

impl ContentRecord {
    /// Whether this account has a share of it.
    #[must_use]
    pub fn is_owned_by(&self, account: &AccountId) -> bool {
        self.owners.iter().any(|share| share.owner == *account)
    }
}

/// An owner's share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ContentShare {
    /// Whose.
    pub owner: AccountId,
    /// Parts per million.
    pub ppm: u32,
}

/// A parent's royalty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ContentParent {
    /// Which content.
    pub content: Hash,
    /// Parts per million of what its child earns.
    pub royalty_ppm: u32,
}

/// That somebody paid for a use, and whether it has been rated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct PurchaseRecord {
    /// Uses paid.
    pub uses: u64,
    /// Whether they were rated; once for all.
    pub rated: bool,
}
