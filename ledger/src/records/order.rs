//! Orders of what is listed. The money is in the escrow of the same name.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::records::ListingKind;
use crate::types::{AccountId, Hash};

/// One order, at the terms that held when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct OrderRecord {
    /// What was ordered.
    pub listing: Hash,
    /// Its kind.
    pub kind: ListingKind,
    /// The content, or the description of the work.
    pub content: Hash,
    /// Who pays.
    pub buyer: AccountId,
    /// Who is paid, and nobody else.
    pub seller: AccountId,
    /// The market's share of what the seller is paid, parts per million.
    pub fee_ppm: u32,
    /// Parts that were paid.
    pub paid_parts: u32,
    /// 1 to 5, once rated.
    pub stars: Option<u8>,
}
