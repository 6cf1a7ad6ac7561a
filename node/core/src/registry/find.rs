//! Queries: the best agents for something.

use super::{AgentState, Capabilities, Record, RegistryView, SectorView};
use crate::time::MeshTimeUs;
use mesh30k_ledger::types::{AgentClass, AgentId, ClusterId, Region, SectorId};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// What comes first among the agents found; ties go to the lower agent id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The lowest score: the readiest.
    #[default]
    Score,
    /// The lowest impedance; differs from the score where people and machines are mixed.
    Impedance,
    /// The lowest price.
    Price,
    /// The highest reliability.
    Reliability,
    /// The steadiest.
    Drift,
}

/// Which agents, how many, which first.
#[derive(Clone, Debug)]
pub struct Query {
    /// They have all of these.
    pub capabilities: Capabilities,
    /// At most so many.
    pub n: usize,
    /// Their score is at most this.
    pub max_score: Option<u16>,
    /// They are of this class.
    pub class: Option<AgentClass>,
    /// Their host is there.
    pub region: Option<Region>,
    /// They are in this sector.
    pub sector: Option<SectorId>,
    /// They are in this cluster.
    pub cluster: Option<ClusterId>,
    /// They are in this state; any, if none is named.
    pub state: Option<AgentState>,
    /// They are fed by something other than the grid.
    pub green: bool,
    /// Which come first.
    pub order: Order,
}

impl Default for Query {
    /// Any ten active agents, the readiest first.
    fn default() -> Self {
        Self {
            capabilities: Capabilities(0),
            n: 10,
            max_score: None,
            class: None,
            region: None,
            sector: None,
            cluster: None,
            state: Some(AgentState::Active),
            green: false,
            order: Order::Score,
        }
    }
}

/// A record with what most queries ask for beside it: most candidates are passed over without touching the record.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) score: u16,
    pub(super) class: AgentClass,
    pub(super) state: AgentState,
    pub(super) capabilities: Capabilities,
    pub(super) record: Arc<Record>,
}

impl Candidate {
    pub(super) fn new(record: &Arc<Record>) -> Self {
        Self {
            score: record.score,
            class: record.class,
            state: record.state,
            capabilities: record.capabilities,
            record: Arc::clone(record),
        }
    }
}

impl Query {
    fn admits(&self, view: &SectorView, candidate: &Candidate, now: MeshTimeUs) -> bool {
        let record = &candidate.record;
        candidate.capabilities.contains(self.capabilities)
            && self.class.is_none_or(|class| class == candidate.class)
            // The reported state is cheap to compare and can only turn into offline, by the host's silence.
            && self.state.is_none_or(|state| state == candidate.state || state == AgentState::Offline)
            && self.max_score.is_none_or(|max| candidate.score <= max)
            && self.region.is_none_or(|region| region == record.region)
            && self.cluster.is_none_or(|cluster| cluster == record.cluster)
            && (!self.green || record.energy != super::EnergySource::Grid)
            && self.state.is_none_or(|state| state == view.state(record, now))
    }

    const fn key(&self, record: &Record) -> (u64, AgentId) {
        let key = match self.order {
            Order::Score => record.score as u64,
            Order::Impedance => record.z_us,
            Order::Price => record.price_uftns,
            Order::Reliability => u64::MAX.saturating_sub(record.reliability_ppm as u64),
            Order::Drift => record.drift_ppm as u64,
        };
        (key, record.agent)
    }
}

impl RegistryView {
    /// The agents that `query` asks for, the best first.
    #[must_use]
    pub fn find(&self, query: &Query, now: MeshTimeUs) -> Vec<Arc<Record>> {
        self.find_where(query, now, |_| true)
    }

    /// The agents that `query` asks for and `accept` takes, the best first.
    #[must_use]
    pub fn find_where(&self, query: &Query, now: MeshTimeUs, accept: impl Fn(&Record) -> bool) -> Vec<Arc<Record>> {
        let sectors = self.sectors().filter(|view| {
            query.sector.is_none_or(|sector| sector == view.sector)
                && query.cluster.is_none_or(|cluster| cluster.sector == view.sector)
                && view.capabilities.contains(query.capabilities)
        });
        let admitted = sectors.map(|view| {
            let end = query.max_score.map_or(view.order.len(), |max| view.order.partition_point(|c| c.score <= max));
            let candidates = view.order.iter().take(end);
            candidates.filter(|c| query.admits(view, c, now) && accept(&c.record)).map(|c| &c.record)
        });
        if query.order == Order::Score { merge_sorted(admitted, query.n) } else { smallest(admitted.flatten(), query) }
    }
}

/// The first `n` of several sequences, each in rising order of (score, agent).
fn merge_sorted<'a>(
    sequences: impl Iterator<Item = impl Iterator<Item = &'a Arc<Record>>>,
    n: usize,
) -> Vec<Arc<Record>> {
    let mut rest: Vec<_> = sequences.collect();
    let mut heads = BinaryHeap::with_capacity(rest.len());
    for (at, sequence) in rest.iter_mut().enumerate() {
        heads.extend(sequence.next().map(|record| Reverse(Head { at, record })));
    }
    let mut found = Vec::with_capacity(n.min(64));
    while found.len() < n {
        let Some(Reverse(Head { at, record })) = heads.pop() else { break };
        found.push(Arc::clone(record));
        let next = rest.get_mut(at).and_then(Iterator::next);
        heads.extend(next.map(|record| Reverse(Head { at, record })));
    }
    found
}

struct Head<'a> {
    at: usize,
    record: &'a Arc<Record>,
}

impl Head<'_> {
    fn key(&self) -> (u16, AgentId) {
        (self.record.score, self.record.agent)
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Head<'_> {}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// The first `n` of a sequence in no order.
fn smallest<'a>(records: impl Iterator<Item = &'a Arc<Record>>, query: &Query) -> Vec<Arc<Record>> {
    let mut all: Vec<_> = records.map(|record| (query.key(record), record)).collect();
    if query.n < all.len() {
        all.select_nth_unstable_by_key(query.n, |(key, _)| *key);
        all.truncate(query.n);
    }
    all.sort_unstable_by_key(|(key, _)| *key);
    all.into_iter().map(|(_, record)| Arc::clone(record)).collect()
}
