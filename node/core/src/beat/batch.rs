//! The signed batch of a host: one signature for all its agents.

use crate::registry::{AgentState, EnergySource, Impedance};
use crate::wire::Hlc;
use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::codec;
use mesh30k_ledger::keys::{self, PublicKey, SecretKey, Signature};
use mesh30k_ledger::signing::{ChainContext, Domain, signing_hash};
use mesh30k_ledger::types::{AgentId, Hash, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most agents one batch may report.
pub const MAX_REPORTS: usize = 1_024;
/// Most bytes of an encoded signed batch.
pub const MAX_BATCH_BYTES: usize = 160 * MAX_REPORTS;
/// Longest delay a report may name: a week, in microseconds.
pub const MAX_DELAY_US: u64 = 7 * 24 * 3_600 * 1_000_000;

const PPM: u32 = 1_000_000;

/// What a host says of one of its agents. Who the agent is stands on the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct AgentReport {
    /// The agent.
    pub agent: AgentId,
    /// Measured delays and queue.
    pub impedance: Impedance,
    /// Share of successes in the last hour with a Beta prior, in ppm.
    pub reliability_ppm: u32,
    /// 95th percentile of the relative change of `Z`, in ppm; may exceed a million.
    pub drift_ppm: u32,
    /// Share of predictions that held, in ppm.
    pub calibration_ppm: u32,
    /// Active, offline, quarantined or frozen as the host sees it.
    pub state: AgentState,
    /// Hash of the agent's context.
    pub context: Hash,
    /// What feeds it.
    pub energy: EnergySource,
    /// Price of a unit of its work.
    pub price_uftns: u64,
}

/// What a batch stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub enum BatchKind {
    /// Reports every agent of the host; stands on nothing.
    Full,
    /// Reports what changed since the host's batch `base` was committed.
    Delta {
        /// Sequence of that batch.
        base: u64,
    },
    /// The host leaves on purpose: its agents are offline at once and it is not to be suspected.
    Farewell,
}

/// A heartbeat: what a host says of its agents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct HostBatch {
    /// The host.
    pub host: NodeId,
    /// Rises with every batch of the host, across restarts too.
    pub sequence: u64,
    /// When it was made, by the host's hybrid logical clock.
    pub sent: Hlc,
    /// What it stands on.
    pub kind: BatchKind,
    /// Agents that changed, in rising order of their ids.
    pub reports: Vec<AgentReport>,
}

/// A batch with the signature of its host's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct SignedHostBatch {
    /// The batch.
    pub batch: HostBatch,
    /// Over its signing hash in the domain of host batches.
    pub signature: Signature,
}

/// A batch whose content and signature were checked; only such are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedBatch(SignedHostBatch);

/// Why a batch was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// More agents than a batch may report.
    #[error("batch {sequence} of host {host} reports {count} agents, limit is {limit}")]
    TooMany {
        /// Its host.
        host: NodeId,
        /// Its sequence.
        sequence: u64,
        /// How many agents it reports.
        count: usize,
        /// The bound, [`MAX_REPORTS`].
        limit: usize,
    },
    /// Sequences start at 1, and a delta stands on an earlier batch.
    #[error("batch of host {host} has sequence {sequence} and base {base}")]
    Sequence {
        /// Its host.
        host: NodeId,
        /// Its sequence.
        sequence: u64,
        /// What it stands on; 0 for a full one.
        base: u64,
    },
    /// Reports must be in rising order of their agents.
    #[error("batch {sequence} of host {host} has agent {agent} out of order")]
    Unsorted {
        /// Its host.
        host: NodeId,
        /// Its sequence.
        sequence: u64,
        /// The agent at fault.
        agent: AgentId,
    },
    /// A value that no honest host can measure.
    #[error("agent {agent} reports {field} = {value}, limit is {limit}")]
    OutOfRange {
        /// The agent.
        agent: AgentId,
        /// Which value.
        field: &'static str,
        /// What it is.
        value: u64,
        /// What it may be.
        limit: u64,
    },
    /// The signature is not that of the host's key.
    #[error("batch {sequence} of host {host} has a bad signature")]
    BadSignature {
        /// Its host.
        host: NodeId,
        /// Its sequence.
        sequence: u64,
    },
}

impl AgentReport {
    /// Refuses values that cannot be measured.
    ///
    /// # Errors
    /// [`BatchError::OutOfRange`].
    pub const fn check(&self) -> Result<(), BatchError> {
        let i = &self.impedance;
        let bounds = [
            ("one_way_p95_us", i.one_way_p95_us, MAX_DELAY_US),
            ("one_way_p50_us", i.one_way_p50_us, i.one_way_p95_us),
            ("processing_p95_us", i.processing_p95_us, MAX_DELAY_US),
            ("processing_p50_us", i.processing_p50_us, i.processing_p95_us),
            ("reliability_ppm", self.reliability_ppm as u64, PPM as u64),
            ("calibration_ppm", self.calibration_ppm as u64, PPM as u64),
        ];
        let mut rest = bounds.as_slice();
        while let Some(((field, value, limit), others)) = rest.split_first() {
            if *value > *limit {
                return Err(BatchError::OutOfRange { agent: self.agent, field, value: *value, limit: *limit });
            }
            rest = others;
        }
        Ok(())
    }
}

impl HostBatch {
    /// Refuses a batch that no honest host makes.
    ///
    /// # Errors
    /// Every variant of [`BatchError`] but the bad signature.
    pub fn check(&self) -> Result<(), BatchError> {
        let (host, sequence) = (self.host, self.sequence);
        if self.reports.len() > MAX_REPORTS {
            return Err(BatchError::TooMany { host, sequence, count: self.reports.len(), limit: MAX_REPORTS });
        }
        let base = if let BatchKind::Delta { base } = self.kind { base } else { 0 };
        let stands = if let BatchKind::Delta { base } = self.kind { base > 0 } else { true };
        if sequence == 0 || base >= sequence || !stands {
            return Err(BatchError::Sequence { host, sequence, base });
        }
        let mut previous = None;
        for report in &self.reports {
            if previous >= Some(report.agent) {
                return Err(BatchError::Unsorted { host, sequence, agent: report.agent });
            }
            report.check()?;
            previous = Some(report.agent);
        }
        Ok(())
    }

    /// Signs the batch with the host's key.
    #[must_use]
    pub fn sign(self, context: &ChainContext, secret: &SecretKey) -> SignedHostBatch {
        let signature = secret.sign(&self.signing_hash(context).0);
        SignedHostBatch { batch: self, signature }
    }

    /// The agents it reports.
    #[must_use]
    pub fn agents(&self) -> BTreeSet<AgentId> {
        self.reports.iter().map(|report| report.agent).collect()
    }

    fn signing_hash(&self, context: &ChainContext) -> Hash {
        signing_hash(Domain::HostBatch, context, &codec::encode(self))
    }
}

impl SignedHostBatch {
    /// Checks content, then signature, against the key the ledger has for the host.
    ///
    /// # Errors
    /// Every [`BatchError`].
    pub fn verify(self, context: &ChainContext, host_key: &PublicKey) -> Result<VerifiedBatch, BatchError> {
        self.batch.check()?;
        if !keys::verify(host_key, &self.batch.signing_hash(context).0, &self.signature) {
            return Err(BatchError::BadSignature { host: self.batch.host, sequence: self.batch.sequence });
        }
        Ok(VerifiedBatch(self))
    }

    /// Order between batches of one host. Two batches with one sequence prove a lying host; which of them wins must not
    /// depend on the order in which they come.
    pub(crate) fn rank(&self) -> (u64, [u8; 64]) {
        (self.batch.sequence, self.signature.0)
    }
}

impl VerifiedBatch {
    /// Takes a batch as checked: for one that this node made itself or that its sector group committed, whose voters
    /// trust each other not to invent entries. Content is still checked, the signature is not.
    ///
    /// # Errors
    /// Every [`BatchError`] but the bad signature.
    pub fn trusted(signed: SignedHostBatch) -> Result<Self, BatchError> {
        signed.batch.check()?;
        Ok(Self(signed))
    }

    /// The batch.
    #[must_use]
    pub const fn batch(&self) -> &HostBatch {
        &self.0.batch
    }

    /// The batch with its signature.
    #[must_use]
    pub const fn signed(&self) -> &SignedHostBatch {
        &self.0
    }

    /// The batch with its signature.
    #[must_use]
    pub fn into_signed(self) -> SignedHostBatch {
        self.0
    }
}
