//! Queries: the best agents for something.

use super::ranking::Ranked;
use super::rankings::Candidates;
use super::{AgentState, Capabilities, Record, RegistryView, SectorView};
use crate::time::MeshTimeUs;
use mesh30k_ledger::types::{AgentClass, AgentId, ClusterId, Region, SectorId};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
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

/// The agents of one sector that a query asks for, the best first.
struct Found<'a> {
    view: &'a SectorView,
    query: &'a Query,
    now: MeshTimeUs,
    candidates: Candidates<'a>,
}

impl<'a> Found<'a> {
    fn new(view: &'a SectorView, query: &'a Query, now: MeshTimeUs) -> Self {
        Self { view, query, now, candidates: view.rankings.candidates(&view.records, query) }
    }
}

impl<'a> Iterator for Found<'a> {
    type Item = (Ranked, &'a Arc<Record>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let ranked = self.candidates.next()?;
            let slot = ranked.slot as usize;
            let row = self.view.rows.get(slot)?;
            let is_wanted = row.fits(self.query)
                && self.query.state.is_none_or(|state| state == self.view.row_state(row, self.now));
            if is_wanted {
                return self.view.records.get(slot).map(|record| (ranked, record));
            }
        }
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
                && view.membership.union().contains(query.capabilities)
        });
        let found = sectors.map(|view| Found::new(view, query, now).filter(|(_, record)| accept(record)));
        merge_sorted(found, query.n)
    }
}

/// The first `n` of several sequences, each in rising order of (key, agent).
fn merge_sorted<'a>(
    sequences: impl Iterator<Item = impl Iterator<Item = (Ranked, &'a Arc<Record>)>>,
    n: usize,
) -> Vec<Arc<Record>> {
    let mut rest: Vec<_> = sequences.collect();
    let head = |at: usize, (ranked, record): (Ranked, &'a Arc<Record>)| {
        Reverse(Head { key: (ranked.key, ranked.agent), at, record })
    };
    let mut heads = BinaryHeap::with_capacity(rest.len());
    for (at, sequence) in rest.iter_mut().enumerate() {
        heads.extend(sequence.next().map(|next| head(at, next)));
    }
    let mut found = Vec::with_capacity(n.min(64));
    while found.len() < n
        && let Some(mut best) = heads.peek_mut()
    {
        let Reverse(Head { at, record, .. }) = *best;
        found.push(Arc::clone(record));
        match rest.get_mut(at).and_then(Iterator::next) {
            Some(next) => *best = head(at, next),
            None => drop(PeekMut::pop(best)),
        }
    }
    found
}

#[derive(Clone, Copy)]
struct Head<'a> {
    key: (u64, AgentId),
    at: usize,
    record: &'a Arc<Record>,
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
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
        self.key.cmp(&other.key)
    }
}
