//! Contributions and what speaks for an account, over the API.

use mesh30k_ledger::records::{
    CalibrationRecord, ContentRecord, Contribution, ContributionRecord, Impact, Office, OfficeRecord, ReputationRecord,
    SavingRecord,
};
use mesh30k_ledger::types::{AccountId, Hash, TimeMs, Uftns};
use serde::{Deserialize, Serialize};

/// `GET /v1/contributions?account=`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContributionsAnswer {
    /// Block time of the last final block.
    pub time: TimeMs,
    /// Words of reviewers it takes.
    pub needed: u64,
    /// What each kind has for the running day.
    pub shares: Vec<EmissionRow>,
    /// In order of evidence.
    pub contributions: Vec<ContributionRow>,
    /// Whether there may be more.
    pub is_cut: bool,
}

/// What one kind of contribution has for the running day.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct EmissionRow {
    /// Which.
    pub kind: Contribution,
    /// In all.
    pub share: Uftns,
    /// Paid so far.
    pub paid: Uftns,
}

/// One contribution; also `GET /v1/contributions/{evidence}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContributionRow {
    /// The hash it was claimed with.
    pub evidence: Hash,
    /// Who claims what, and what came of it.
    pub record: ContributionRecord,
}

/// `GET /v1/accounts/{id}/standing`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StandingAnswer {
    /// Whose.
    pub account: AccountId,
    /// Block time of the last final block.
    pub time: TimeMs,
    /// Reputation now.
    pub reputation: u32,
    /// Its last change; nothing when it never changed.
    pub changed: Option<ReputationRecord>,
    /// How far its predictions are trusted now, parts per million.
    pub confidence_ppm: u32,
    /// Its last prediction that was set against a receipt; nothing when there was none.
    pub calibrated: Option<CalibrationRecord>,
    /// Offices it holds.
    pub offices: Vec<OwnOfficeRow>,
    /// Content it owns a share of.
    pub contents: Vec<OwnContentRow>,
    /// What it claimed.
    pub contributions: Vec<ContributionRow>,
    /// Whether there may be more content or contributions.
    pub is_cut: bool,
}

/// A term in an office.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct OwnOfficeRow {
    /// Which.
    pub office: Office,
    /// From when to when.
    pub term: OfficeRecord,
}

/// Content that somebody owns a share of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OwnContentRow {
    /// Which.
    pub content: Hash,
    /// The owner's share, parts per million.
    pub share_ppm: u32,
    /// Its impact now: 1,000 for each use or download by others and each citation, less each day.
    pub impact: u64,
    /// The same by kind.
    pub impact_by_kind: Impact,
    /// What that adds to what its owners claim with it, parts per million.
    pub bonus_ppm: u64,
    /// All of it.
    pub record: ContentRecord,
}

/// `GET /v1/carbon/savings`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SavingsAnswer {
    /// Words of reviewers it takes.
    pub needed: u64,
    /// In order of evidence.
    pub savings: Vec<SavingRecord>,
    /// Whether there may be more.
    pub is_cut: bool,
}
