//! Auctions, escrows with what hangs on them, and claims over the API.

use mesh30k_ledger::records::{AuctionRecord, ClaimRecord, Escrow, OpenedBid, OrderRecord, PurposeRecord, QuotaDraw};
use mesh30k_ledger::types::{AccountId, AgentId, EscrowId, Hash, NodeId, TimeMs, Uftns};
use serde::{Deserialize, Serialize};

/// One row of `GET /v1/auctions?from=`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuctionRow {
    /// Its name.
    pub auction: Hash,
    /// What is asked for.
    pub record: AuctionRecord,
}

/// `GET /v1/auctions/{id}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuctionAnswer {
    /// Its name.
    pub auction: Hash,
    /// What is asked for.
    pub record: AuctionRecord,
    /// Block time of the last final block.
    pub time: TimeMs,
    /// Bids while it runs, the best of the opened ones first; the ledger keeps none once it is over.
    pub bids: Vec<BidRow>,
    /// What pays the winner, once there is one.
    pub escrow: Option<Escrow>,
}

/// One bid.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BidRow {
    /// Whose.
    pub bidder: AccountId,
    /// Its reputation now.
    pub reputation: u32,
    /// How far its predictions are trusted now, parts per million.
    pub confidence_ppm: u32,
    /// The hash it is sealed with.
    pub sealed: Hash,
    /// What was bid, once opened.
    pub opened: Option<OpenedBid>,
    /// What that counts as, rounded up: (price + expected carbon at its price) / (reputation in thousandths x confidence). The least
    /// wins.
    pub score_uftns: Option<Uftns>,
}

/// `GET /v1/escrows/{id}`: an escrow with what hangs on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EscrowAnswer {
    /// Its name.
    pub id: EscrowId,
    /// Where its money is.
    pub escrow: Escrow,
    /// Block time of the last final block.
    pub time: TimeMs,
    /// What was ordered, if it is an order's.
    pub order: Option<OrderRecord>,
    /// Who alone is paid from it, if it is an order's or an auction's.
    pub payee: Option<PayeeRow>,
    /// What its task is for, if that was declared.
    pub purpose: Option<PurposeRecord>,
    /// What an emergency took for it.
    pub draw: Option<QuotaDraw>,
    /// Claims on its parts, in order of part.
    pub claims: Vec<ClaimRow>,
}

/// Who alone is paid from an escrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayeeRow {
    /// Whose work it is.
    pub account: AccountId,
    /// The node of that account, if it has one.
    pub node: Option<NodeId>,
    /// An agent of the node that can do the work: the one that was ordered, or else the first.
    pub agent: Option<AgentId>,
}

/// A claim.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClaimRow {
    /// On which escrow.
    pub escrow: EscrowId,
    /// What is claimed and how it stands.
    pub record: ClaimRecord,
    /// When its present phase ends, freezes so far counted in.
    pub ends: TimeMs,
}

/// `GET /v1/claims`: those that are still to be decided.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClaimsAnswer {
    /// Block time of the last final block.
    pub time: TimeMs,
    /// In order of escrow and part.
    pub claims: Vec<ClaimRow>,
    /// Whether there may be more.
    pub is_cut: bool,
}
