//! What accounts answer with, set aside, hold and are signed for by.

use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::records::{BondRecord, Office, ScheduleRecord};
use mesh30k_ledger::types::{AccountId, Hash, Height, NodeId, TimeMs, Uftns};
use serde::{Deserialize, Serialize};

/// One row of `GET /v1/stakes?from=`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StakeRow {
    /// Whose.
    pub account: AccountId,
    /// Its node, if it has one.
    pub node: Option<NodeId>,
    /// What it answers with.
    pub record: BondRecord,
}

/// `GET /v1/stakes/{account or node:N}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StakeAnswer {
    /// What it answers with; nothing when it never bonded.
    #[serde(flatten)]
    pub stake: StakeRow,
    /// What it could bond yet.
    pub free_uftns: Uftns,
    /// How long money that is asked back still answers, in ms of block time.
    pub unbonding_ms: u64,
    /// Block time this was read at.
    pub time: TimeMs,
}

/// `GET /v1/schedules?account=&from=`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SchedulesPage {
    /// Schedules in order of name; of one account, those it pays and those that pay it.
    pub rows: Vec<ScheduleRow>,
    /// Where the next page begins; none after the last.
    pub next: Option<Hash>,
    /// Block time this was read at.
    pub time: TimeMs,
}

/// Payments to come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScheduleRow {
    /// Its name.
    pub schedule: Hash,
    /// Who pays whom, what and when.
    pub record: ScheduleRecord,
}

/// One row of `GET /v1/offices`: a term that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfficeRow {
    /// Which.
    pub office: Office,
    /// Who holds it.
    pub account: AccountId,
    /// Its node, if it has one.
    pub node: Option<NodeId>,
    /// When the term began.
    pub since: TimeMs,
    /// When it ends.
    pub until: TimeMs,
}

/// `GET /v1/accounts/{id}/keys`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeysAnswer {
    /// Whose.
    pub account: AccountId,
    /// Who signs for it; not known before it first signed.
    pub policy: Option<KeyPolicy>,
    /// Keys by which operators are known; no rotation changes these.
    pub operators: Vec<PublicKey>,
    /// Height this was read at.
    pub height: Height,
}
