//! What queries ask of a record, beside each other: most candidates are passed over without touching their record.

use super::{AgentState, Capabilities, EnergySource, Order, Query, Record};
use mesh30k_ledger::types::{AgentClass, Region};

/// The short form of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) capabilities: Capabilities,
    /// Place of its host among the hosts of the view.
    pub(super) host: u32,
    pub(super) cluster: u32,
    pub(super) score: u16,
    pub(super) region: Region,
    pub(super) class: AgentClass,
    /// As reported; the host may have fallen silent since.
    pub(super) state: AgentState,
    pub(super) is_green: bool,
}

impl Row {
    pub(super) fn new(record: &Record, host: u32) -> Self {
        Self {
            capabilities: record.capabilities,
            host,
            cluster: record.cluster.index,
            score: record.score,
            region: record.region,
            class: record.class,
            state: record.state,
            is_green: record.energy != EnergySource::Grid,
        }
    }

    /// Whether `query` asks for it, its state aside.
    pub(super) fn fits(&self, query: &Query) -> bool {
        self.capabilities.contains(query.capabilities)
            && query.class.is_none_or(|class| class == self.class)
            && query.max_score.is_none_or(|max| self.score <= max)
            && query.region.is_none_or(|region| region == self.region)
            && query.cluster.is_none_or(|cluster| cluster.index == self.cluster)
            && (!query.green || self.is_green)
    }
}

impl Order {
    /// Number of orders.
    pub(super) const COUNT: usize = 5;
    /// All orders; each at its [`Self::index`].
    pub(super) const ALL: [Self; Self::COUNT] =
        [Self::Score, Self::Impedance, Self::Price, Self::Reliability, Self::Drift];

    /// Its place in [`Self::ALL`].
    pub(super) const fn index(self) -> usize {
        match self {
            Self::Score => 0,
            Self::Impedance => 1,
            Self::Price => 2,
            Self::Reliability => 3,
            Self::Drift => 4,
        }
    }

    /// What a record is ranked by: the lowest comes first.
    pub(super) const fn key(self, record: &Record) -> u64 {
        match self {
            Self::Score => record.score as u64,
            Self::Impedance => record.z_us,
            Self::Price => record.price_uftns,
            Self::Reliability => u64::MAX.saturating_sub(record.reliability_ppm as u64),
            Self::Drift => record.drift_ppm as u64,
        }
    }
}
