//! Receipts of work.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::codec::encode;
use crate::keys::{PublicKey, SecretKey, Signature, verify};
use crate::signing::{ChainContext, Domain, signing_hash};
use crate::types::{AgentId, Hash, NodeId};

/// Metered fuel in one unit of work.
pub const FUEL_PER_UNIT: u64 = 1_000_000;

/// Where the energy figure comes from, best first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum EnergyMethod {
    /// Read from the processor's counters.
    Rapl,
    /// Metered fuel times the host's calibrated energy per fuel.
    Fuel,
    /// Default of the agent's class.
    ClassDefault,
}

/// What a host and its agent state about one part of a task; both sign these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct TaskReport {
    /// The task, as the escrow names it.
    pub task: Hash,
    /// Which part, from 0.
    pub part: u32,
    /// Hash of the module that ran.
    pub module: Hash,
    /// Hash of its input.
    pub input: Hash,
    /// Hash of its output.
    pub output: Hash,
    /// 0 when it succeeded; nothing else is paid.
    pub exit_code: i32,
    /// Metered fuel.
    pub fuel: u64,
    /// Wall time in microseconds.
    pub wall_us: u64,
    /// Peak memory of the sandbox in bytes.
    pub peak_memory_bytes: u64,
    /// Energy in millijoules.
    pub energy_mj: u64,
    /// Where that figure comes from.
    pub energy_method: EnergyMethod,
    /// Carbon intensity of the host's grid, milligrams of CO2e a kilowatt-hour.
    pub intensity_mg_per_kwh: u64,
    /// Share of the energy that is on-site or contracted renewable, parts per million; at most what is attested for the node.
    pub renewable_ppm: u32,
    /// Footprint in micrograms of CO2e, see [`carbon_ug`].
    pub carbon_ug: u64,
    /// The host.
    pub host: NodeId,
    /// The agent.
    pub agent: AgentId,
}

/// A report with both signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct TaskReceipt {
    /// What is stated.
    pub report: TaskReport,
    /// By the host key of the node.
    pub host_signature: Signature,
    /// By the key of the agent.
    pub agent_signature: Signature,
}

impl TaskReport {
    /// What host and agent sign.
    #[must_use]
    pub fn signing_hash(&self, context: &ChainContext) -> Hash {
        signing_hash(Domain::TaskReceipt, context, &encode(self))
    }

    /// Signs as host and as agent.
    #[must_use]
    pub fn sign(self, context: &ChainContext, host: &SecretKey, agent: &SecretKey) -> TaskReceipt {
        let message = self.signing_hash(context);
        TaskReceipt {
            report: self,
            host_signature: host.sign(message.as_bytes()),
            agent_signature: agent.sign(message.as_bytes()),
        }
    }
}

impl TaskReceipt {
    /// Whether the host signed.
    #[must_use]
    pub fn is_signed_by_host(&self, key: &PublicKey, context: &ChainContext) -> bool {
        verify(key, self.report.signing_hash(context).as_bytes(), &self.host_signature)
    }

    /// Whether the agent signed.
    #[must_use]
    pub fn is_signed_by_agent(&self, key: &PublicKey, context: &ChainContext) -> bool {
        verify(key, self.report.signing_hash(context).as_bytes(), &self.agent_signature)
    }
}

/// Footprint in micrograms, rounded up: energy x intensity x (1 - renewable) / 3.6e6
/// (a kilowatt-hour is 3.6e9 mJ, a milligram 1,000 ug). Nothing when it does not fit or the share exceeds 1.
#[must_use]
pub fn carbon_ug(energy_mj: u64, intensity_mg_per_kwh: u64, renewable_ppm: u32) -> Option<u64> {
    let rest_ppm = 1_000_000_u32.checked_sub(renewable_ppm)?;
    let scaled =
        u128::from(energy_mj).checked_mul(u128::from(intensity_mg_per_kwh))?.checked_mul(u128::from(rest_ppm))?;
    u64::try_from(scaled.div_ceil(3_600_000_000_000)).ok()
}

/// Units of work in so much fuel, rounded up, at least 1.
#[must_use]
pub const fn task_units(fuel: u64) -> u64 {
    let units = fuel.div_ceil(FUEL_PER_UNIT);
    if units == 0 { 1 } else { units }
}
