//! Carbon over the API.

use mesh30k_ledger::carbon::{IntensityInForce, IntensityPoint, UseRow};
use mesh30k_ledger::genesis::GenesisPools;
use mesh30k_ledger::records::{CreditTotals, DeclarationRecord, HardwareRecord, QuotaDraw, RetirementRecord, Totals};
use mesh30k_ledger::types::{AccountId, EscrowId, Height, NodeId, Region, TimeMs};
use serde::{Deserialize, Serialize};

/// `GET /v1/carbon/report`: the sums of a stretch of final blocks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CarbonPage {
    /// First block of the stretch.
    pub from: Height,
    /// The block after its last; equal to `from` when there was nothing to read.
    pub next: Height,
    /// The last final block here. The stretch reaches it when `next` is above.
    pub tip: Height,
    /// Its block time.
    pub time: TimeMs,
    /// Blocks of the stretch that this node does not keep; their payments are not in the sums.
    pub missing_blocks: u64,
    /// Who used and paid what.
    pub uses: Vec<UseRow>,
    /// What oracles brought in force, hour by hour.
    pub intensities: Vec<IntensityPoint>,
    /// What the funds began with.
    pub opening: GenesisPools,
    /// Where all money is, after the tip.
    pub totals: Totals,
}

/// `GET /v1/carbon/intensity`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IntensityAnswer {
    /// Block time it holds at.
    pub time: TimeMs,
    /// By region.
    pub regions: Vec<IntensityInForce>,
    /// Countries with nodes.
    pub hosts: Vec<Region>,
    /// Where the table comes from.
    pub table_source: String,
    /// What this node reads of its own grid, if it was told to.
    pub own: Option<OwnIntensity>,
}

/// What a node's own source says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnIntensity {
    /// File or address.
    pub source: String,
    /// The zone that is read.
    pub zone: String,
    /// Milligrams of CO2e a kilowatt-hour, while it counts.
    pub mg_per_kwh: Option<u64>,
    /// For when that is.
    pub measured_at: Option<TimeMs>,
    /// Whether the source says it estimated the figure.
    pub is_estimated: bool,
    /// Why it does not count, if it does not: the ledger's figure is used instead.
    pub fallback: Option<String>,
    /// Readings that failed, since the node started.
    pub failures: u64,
}

/// `GET /v1/carbon/credits`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreditsAnswer {
    /// All credits.
    pub totals: CreditTotals,
    /// Accounts that hold or retired some, in order of account.
    pub accounts: Vec<CreditRow>,
    /// Whether there are more accounts than are shown.
    pub is_cut: bool,
    /// Medians of oracles, fresh or stale.
    pub medians: Vec<MedianRow>,
}

/// Credits of one account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreditRow {
    /// Whose.
    pub account: AccountId,
    /// Free to move, micrograms of CO2e.
    pub held_ug: u64,
    /// Retired for good.
    pub retired_ug: u64,
}

/// What oracles say of a region's grid.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MedianRow {
    /// Where.
    pub region: Region,
    /// Last median, milligrams of CO2e a kilowatt-hour.
    pub mg_per_kwh: u64,
    /// When it came about; nothing before enough oracles spoke.
    pub updated_at: Option<TimeMs>,
    /// Whether it counts.
    pub is_fresh: bool,
    /// The last word of each oracle, milligrams of CO2e a kilowatt-hour.
    pub words: Vec<u64>,
}

/// `GET /v1/carbon/workers/{node}`: a node's machine, and what its owner owes in retired credits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerAnswer {
    /// The node.
    pub node: NodeId,
    /// Who owns it and owes.
    pub account: AccountId,
    /// Where its electricity comes from.
    pub region: Region,
    /// Attested renewable share, parts per million.
    pub renewable_ppm: u32,
    /// The share from which on nothing is owed.
    pub target_ppm: u64,
    /// The machine, as declared.
    pub hardware: Option<HardwareRecord>,
    /// What is owed, as of the last block's time.
    pub duty: RetirementRecord,
    /// When what accrues now falls due.
    pub period_ends: TimeMs,
    /// What a gram costs that is neither retired nor renewable, uFTNS.
    pub uftns_per_g: u64,
    /// Credits the owner holds, micrograms of CO2e.
    pub held_ug: u64,
    /// Credits it ever retired.
    pub retired_ug: u64,
}

/// One kind in one region of `GET /v1/carbon/emergencies`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EmergencyRow {
    /// Where.
    pub region: Region,
    /// Such as `flood`.
    pub kind: String,
    /// In force until then; nothing when it is not.
    pub until: Option<TimeMs>,
    /// Signals that wait for others.
    pub signals: u64,
    /// Signals it takes.
    pub needed: u64,
    /// Those that wait, in order of account.
    #[serde(default)]
    pub waiting: Vec<SignalRow>,
    /// What it took for whom and has not given back.
    #[serde(default)]
    pub draws: Vec<DrawRow>,
}

/// One oracle's or guardian's word that waits for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalRow {
    /// Whose.
    pub account: AccountId,
    /// Until when it should last; nothing to lift it.
    pub until: Option<TimeMs>,
    /// When it was given.
    pub at: TimeMs,
}

/// What an emergency took for one task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawRow {
    /// The task's escrow.
    pub escrow: EscrowId,
    /// From whom, and how much.
    pub draw: QuotaDraw,
}

/// `GET /v1/carbon/declarations/{account}`: what counts of what an account said of itself, and what waits for attestations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeclarationsAnswer {
    /// Whose.
    pub account: AccountId,
    /// Where it is, as far as that is attested.
    pub region: Option<Region>,
    /// Whether that is in the access list.
    pub has_access: bool,
    /// Its node, if it has one.
    pub node: Option<NodeId>,
    /// The renewable share of the node that is in force, parts per million.
    pub renewable_ppm: Option<u32>,
    /// What was declared and is not in force yet.
    pub waiting: Vec<DeclarationRecord>,
    /// Words it takes.
    pub needed: u64,
}
