//! Having work done, over the API.

use mesh30k_ledger::types::{AccountId, AgentId, Hash, NodeId, TimeMs, Uftns};
use serde::{Deserialize, Serialize};

/// `POST /v1/tasks/dispatch`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DispatchRequest {
    /// The escrow that pays.
    pub escrow: Hash,
    /// Which part of it.
    pub part: u32,
    /// The module's bytes in hexadecimal, or empty when `module_name` names a shipped one.
    #[serde(default)]
    pub module_hex: String,
    /// A module shipped with the node.
    #[serde(default)]
    pub module_name: String,
    /// Input bytes in hexadecimal; module and input travel together in at most 1 MiB.
    pub input_hex: String,
    /// The agent that is asked first.
    #[serde(default)]
    pub agent: Option<AgentId>,
}

/// `GET /v1/tasks/{escrow}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskRow {
    /// Its escrow.
    pub escrow: Hash,
    /// Who pays.
    pub opener: AccountId,
    /// The task, as its opener named it.
    pub task: Hash,
    /// Hash of the module.
    pub module: Hash,
    /// `open`, `settled` or `refunded`.
    pub status: String,
    /// Parts in all.
    pub parts: u32,
    /// Parts paid.
    pub released_parts: u32,
    /// What is still locked.
    pub locked_uftns: Uftns,
    /// Block time at which the rest goes back.
    pub release_deadline: TimeMs,
    /// Parts for which this node holds a receipt, paid or not.
    pub receipts: Vec<u32>,
}

/// Its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DispatchAnswer {
    /// Canonical bytes of the signed `TaskReceipt`, in hexadecimal, to put into the release.
    pub receipt_hex: String,
    /// The output, in hexadecimal.
    pub output_hex: String,
    /// Who ran it.
    pub agent: AgentId,
    /// On which node.
    pub host: NodeId,
    /// Energy in millijoules.
    pub energy_mj: u64,
    /// How the energy was measured, in words.
    pub energy_method: String,
    /// Carbon in micrograms.
    pub carbon_ug: u64,
    /// Time it ran, in microseconds.
    pub wall_us: u64,
}

/// One row of `GET /v1/tasks/{escrow}/receipts`: what this node remembers of parts that were done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReceiptRow {
    /// Which part.
    pub part: u32,
    /// Who did it.
    pub agent: AgentId,
    /// On which node.
    pub host: NodeId,
    /// Hash of the input.
    pub input: Hash,
    /// Canonical bytes of the signed `TaskReceipt`, in hexadecimal.
    pub receipt_hex: String,
}
