//! What travels over the local HTTP API, as JSON; the CLI and the testnet driver read the same types.

mod accounts;
mod carbon;
mod gather;
mod health;
mod market;
mod registry;
mod standing;
mod tasks;
mod trade;
mod validators;

use mesh30k_core::event::EventId;
use mesh30k_ledger::types::{
    AccountId, AgentClass, AgentId, ClusterId, Hash, Height, NodeId, Scope, SectorId, TimeMs, Uftns,
};
use serde::{Deserialize, Serialize};

pub use crate::duties::{Duty, DutyRow, DutyState};
pub use accounts::{KeysAnswer, OfficeRow, ScheduleRow, SchedulesPage, StakeAnswer, StakeRow};
pub use carbon::{
    CarbonPage, CreditRow, CreditsAnswer, DeclarationsAnswer, DrawRow, EmergencyRow, IntensityAnswer, MedianRow,
    OwnIntensity, SignalRow, WorkerAnswer,
};
pub use gather::GatherAnswer;
pub use health::{DiskRow, STARTING, StartingAnswer};
pub use market::{ListingRow, OrderAnswer, QuotaOfferRow, QuotaRow, ReserveAnswer};
pub use registry::{FoundRow, HistoryAnswer, PeriodRow, StatisticsRow};
pub use standing::{
    ContributionRow, ContributionsAnswer, EmissionRow, OwnContentRow, OwnOfficeRow, SavingsAnswer, StandingAnswer,
};
pub use tasks::{DispatchAnswer, DispatchRequest, ReceiptRow, TaskRow};
pub use trade::{AuctionAnswer, AuctionRow, BidRow, ClaimRow, ClaimsAnswer, EscrowAnswer, PayeeRow};
pub use validators::{ValidatorRow, ValidatorsAnswer};

/// Canonical bytes in hexadecimal: a signed transaction or a signed event.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HexBody {
    /// The bytes.
    pub hex: String,
}

/// `GET /v1/status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Name of the chain.
    pub chain: String,
    /// Hash of the genesis.
    pub genesis: Hash,
    /// This node's number on the ledger, once registered.
    pub node: Option<NodeId>,
    /// Its libp2p identity.
    pub peer_id: String,
    /// `validator` or `observer`.
    pub role: String,
    /// Connected peers.
    pub peers: usize,
    /// Height of the last certified block executed here.
    pub final_height: Height,
    /// Its block time.
    pub final_time: TimeMs,
    /// Height of the last block ordered by the validators, as far as this node knows.
    pub ordered_height: Height,
    /// Which validator leads the global group, when known.
    pub leader: Option<NodeId>,
    /// Why the chain stands still, when it does.
    pub halted: Option<String>,
    /// Room on the disk of the data directory, and whether anything is written.
    pub disk: DiskRow,
    /// Transactions waiting here.
    pub pool: usize,
    /// Agents hosted by this node.
    pub hosted_agents: usize,
    /// What the node does for the ledger by itself, and when it last did.
    pub duties: Vec<DutyRow>,
    /// How the delays of the hosted agents come about, in words; empty when nothing is replayed.
    pub replay: String,
    /// What is still missing before the node is ready; empty when ready.
    pub not_ready: Vec<String>,
    /// Resident memory of the process in KiB, its peak.
    pub peak_rss_kib: u64,
}

/// `GET /v1/mesh/tree`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MeshTree {
    /// Sectors in order of their id.
    pub sectors: Vec<SectorRow>,
}

/// One sector of the tree.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SectorRow {
    /// Which.
    pub sector: SectorId,
    /// Voters of its Raft group.
    pub voters: Vec<NodeId>,
    /// Its coordinator (the group's leader), when known.
    pub coordinator: Option<NodeId>,
    /// Raft term of that leadership.
    pub term: u64,
    /// Agents placed in it by the ledger.
    pub agents: usize,
    /// Agents its registry calls active.
    pub active: usize,
    /// Its clusters.
    pub clusters: Vec<ClusterRow>,
}

/// One cluster of the tree.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterRow {
    /// Which.
    pub cluster: ClusterId,
    /// Node that leads it under a lease.
    pub lead: Option<NodeId>,
    /// Node named to take over.
    pub deputy: Option<NodeId>,
    /// Agents in it.
    pub agents: usize,
}

/// One row of `GET /v1/mesh/agents`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentRow {
    /// Which.
    pub agent: AgentId,
    /// Its class.
    pub class: AgentClass,
    /// The node that hosts it.
    pub host: NodeId,
    /// Where it is placed.
    pub cluster: ClusterId,
    /// Impedance score, 0 (instant) to 1000; none before its first report.
    pub score: Option<u32>,
    /// Median one-way delay in microseconds, as last reported.
    pub one_way_us_p50: Option<u64>,
    /// Median processing time in microseconds, as last reported.
    pub processing_us_p50: Option<u64>,
    /// State in the registry's words.
    pub state: String,
    /// True when a freeze covers it.
    pub frozen: bool,
}

/// `GET /v1/accounts/{id}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountRow {
    /// Which.
    pub account: AccountId,
    /// Spendable balance.
    pub balance_uftns: Uftns,
    /// The next nonce it must use.
    pub next_nonce: u64,
    /// Height this was read at.
    pub height: Height,
}

/// Answer to a submitted transaction, and `GET /v1/transactions/{id}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransactionRow {
    /// Its id.
    pub id: Hash,
    /// `unknown`, `accepted`, `ordered` or `final`.
    pub status: String,
    /// Block it is in.
    pub height: Option<Height>,
    /// What came of it, once executed: `ok` or the reason of its rejection.
    pub outcome: Option<String>,
    /// True when it was executed and not rejected.
    pub succeeded: Option<bool>,
    /// Fee paid.
    pub fee_uftns: Option<Uftns>,
    /// Ids that its execution made, such as an escrow, a proposal or a node; empty when it made none.
    #[serde(default)]
    pub created: Vec<String>,
}

/// `POST /v1/transactions/batch`: at most as many as a block takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchBody {
    /// Canonical bytes of signed transactions in hexadecimal.
    pub hex: Vec<String>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchAnswer {
    /// Transactions that were taken.
    pub accepted: usize,
    /// Those that were not, with the reason.
    pub refused: Vec<RefusedRow>,
    /// Of those taken, final within `wait_ms`; 0 when nothing was waited for.
    pub finals: usize,
    /// Of those final, executed and not rejected.
    pub succeeded: usize,
    /// The last block that holds one of those final.
    pub height: Option<Height>,
}

/// A transaction of a batch that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Why, in a sentence.
    pub detail: String,
}

/// `POST /v1/events/plan`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// `hold` or `throw`.
    pub strategy: String,
    /// Wanted instant, mesh time in microseconds; none asks for the earliest feasible one.
    #[serde(default)]
    pub at_us: Option<i64>,
    /// Only this sector; none means the whole mesh.
    #[serde(default)]
    pub sector: Option<SectorId>,
    /// Only these classes; empty means all but humans, or all when agents are named.
    #[serde(default)]
    pub classes: Vec<AgentClass>,
    /// Only agents with all of these capabilities.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Only these agents.
    #[serde(default)]
    pub agents: Vec<AgentId>,
    /// Only so many of all these, drawn by the node.
    #[serde(default)]
    pub sample: Option<u32>,
}

/// Answer to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanAnswer {
    /// The node's present mesh time in microseconds.
    pub now_us: i64,
    /// Earliest instant at which the wanted share can be armed.
    pub earliest_us: i64,
    /// The instant planned for.
    pub at_us: i64,
    /// Predicted share armed by then, in parts per million.
    pub predicted_hit_ppm: u32,
    /// Agents that would be enrolled.
    pub enrolled: u64,
    /// False when the wanted instant is before the earliest feasible one.
    pub feasible: bool,
    /// Lead the mesh needs, in microseconds.
    pub needs_us: i64,
    /// The agents an event has to name, where they were named or drawn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentId>,
}

/// Answer to `POST /v1/events`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventAccepted {
    /// Its id, as its origin made it.
    pub id: EventId,
}

/// `GET /v1/events/{id}`: what the mesh itself knows; the harness's truth is elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventReport {
    /// Which.
    pub event: EventId,
    /// `planned`, `running`, `complete`, `cancelled`.
    pub state: String,
    /// Its instant T in mesh microseconds.
    pub at_us: i64,
    /// Everybody enrolled at dispatch.
    pub enrolled: u64,
    /// READY at T.
    pub ready: u64,
    /// Never answered.
    pub transit: u64,
    /// Contradicted.
    pub conflict: u64,
    /// Armed at or before T as their leads estimate; of an event that ends above the agents, those answered for.
    #[serde(default)]
    pub armed_by_target: u64,
    /// Estimated by the mesh: released within 5, 10 and 50 ms of T.
    pub estimated_within_5ms: u64,
    /// Within 10 ms.
    pub estimated_within_10ms: u64,
    /// Within 50 ms.
    pub estimated_within_50ms: u64,
    /// Trinary quorum's answer: `PROCEED`, `RESOLVE_CONFLICTS`, `WAIT`, `RETRY`.
    pub quorum: String,
    /// True when late answers corrected the first summary.
    pub corrected: bool,
    /// Slots for which a standby was sent, because their own agent was not armed shortly before T.
    #[serde(default)]
    pub hedged: u64,
    /// Slots that were released twice; the first release counts.
    #[serde(default)]
    pub duplicates: u64,
    /// Agent answers for questions (`ask`), grouped: answer and how many gave it.
    #[serde(default)]
    pub answers: Vec<(String, u64)>,
    /// The same counts by class; classes with nobody enrolled are left out.
    #[serde(default)]
    pub classes: Vec<EventClassRow>,
}

/// One class of an event's report; `enrolled = ready + conflict + transit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventClassRow {
    /// Which class.
    pub class: AgentClass,
    /// Everybody of it enrolled at dispatch.
    pub enrolled: u64,
    /// Released.
    pub ready: u64,
    /// Of those, armed only after T.
    pub late: u64,
    /// Contradicted.
    pub conflict: u64,
    /// Never answered.
    pub transit: u64,
}

/// One row of `GET /v1/harness/releases?event=`: the truth, by the machine's clock; only on local test networks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReleaseRow {
    /// Whose slot: the agent's own, or the one this host's agent stood by for.
    pub agent: AgentId,
    /// Its class.
    pub class: AgentClass,
    /// True time of release minus T, in microseconds.
    pub error_us: i64,
    /// True time it was armed minus T; negative is early.
    pub armed_us: Option<i64>,
    /// How far the agent's clock was off from what the lead believed, in microseconds.
    pub clock_error_us: Option<i64>,
}

/// `GET /v1/harness/pauses`: the last freeze or thaw seen by this host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PauseRow {
    /// Id of the freeze transaction.
    pub order: Hash,
    /// Agents hosted here in its scope.
    pub in_scope: u64,
    /// Of those, paused.
    pub paused: u64,
    /// True time at which the last of them was paused, microseconds since the Unix epoch.
    pub paused_at_us: i64,
}

/// Kind of the problem that an event means nobody.
pub const NOBODY: &str = "nobody";

/// RFC 9457 problem details, the body of every error.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// A stable name of the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// One sentence a person can act on.
    pub detail: String,
}

/// One row of `GET /v1/proposals`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProposalRow {
    /// Its number.
    pub proposal: u64,
    /// In the spec's words: Active, Succeeded, Queued, Executed, Defeated, Vetoed, Failed.
    pub status: String,
    /// One line saying what it is for.
    pub title: String,
    /// What it would change, as `name: old -> new`.
    pub changes: Vec<String>,
    /// Voting power for it.
    pub yes: u64,
    /// Against it.
    pub no: u64,
    /// Abstaining.
    pub abstain: u64,
    /// Against it with veto.
    pub veto: u64,
    /// All voting power in the snapshot.
    pub total: u64,
    /// Block time at which voting ends.
    pub voting_ends: TimeMs,
    /// Why it was defeated or failed, in words.
    pub reason: Option<String>,
}

/// One row of `GET /v1/parameters`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ParameterRow {
    /// Its name; the unit is in it.
    pub name: String,
    /// Value in force.
    pub value: u64,
    /// Least value a vote may set.
    pub min: u64,
    /// Greatest value a vote may set.
    pub max: u64,
}

/// One row of `GET /v1/freezes`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FreezeRow {
    /// What stands still.
    pub scope: Scope,
    /// Why.
    pub reason: String,
    /// When it ends by itself.
    pub until: TimeMs,
    /// False while the order was received but is not in a final block yet.
    pub recorded: bool,
}

/// `GET /v1/blocks/{height}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BlockRow {
    /// Its position.
    pub height: Height,
    /// Its name.
    pub id: Hash,
    /// The block before it.
    pub parent: Hash,
    /// Its time.
    pub time: TimeMs,
    /// Raft term it was proposed in.
    pub term: u64,
    /// Who proposed it.
    pub proposer: NodeId,
    /// Ids of its transactions, in order.
    pub transactions: Vec<Hash>,
    /// Validators whose signatures certify it.
    pub certified_by: Vec<NodeId>,
}
