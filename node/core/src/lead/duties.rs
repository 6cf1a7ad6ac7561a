//! What the leader of a sector group does beside leading it.

use super::{Fencing, LeadBook, SectorEffect, SectorEntry, SectorNews, SectorState};
use crate::beat::{Coalescer, VerifiedBatch};
use crate::registry::{SectorSummary, SectorView};
use crate::time::MeshTimeUs;
use crate::wire::Hlc;
use mesh30k_ledger::types::{ClusterId, NodeId, SectorId};
use std::collections::{BTreeMap, BTreeSet};

/// A coordinator tells the mesh how its sector is every 10 s,
pub const SUMMARY_EVERY_US: i64 = 10_000_000;
/// but all of them together not more than once a second: every node reads what each of them says (ADR 0012).
const SUMMARY_SHARE_US: i64 = 1_000_000;

/// How often a coordinator tells how its sector is, in a mesh of so many sectors.
#[must_use]
pub fn summary_period_us(sectors: usize) -> i64 {
    i64::try_from(sectors).unwrap_or(i64::MAX).saturating_mul(SUMMARY_SHARE_US).max(SUMMARY_EVERY_US)
}
/// News of the sector goes out as soon as there is some, but not more often than ten times a second.
pub const DELTA_EVERY_US: i64 = 100_000;
/// A host is not asked twice within 5 s to send everything.
pub const ASK_FULL_GAP_US: i64 = 5_000_000;

/// What the coordinator is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoordinatorAction {
    /// Propose this to the sector group.
    Propose(SectorEntry),
    /// Publish this on the sector's topic.
    GossipNews(SectorNews),
    /// Sign this and publish it on the topic of summaries.
    GossipSummary(SectorSummary),
    /// Ask this host to send everything (`Beater::on_full_requested`, or `on_stale` with the newest sequence).
    AskFull {
        /// The host.
        host: NodeId,
        /// The newest sequence the group has of it.
        newest: u64,
    },
}

/// The duties of a coordinator; idle at a voter that is not the leader.
#[derive(Clone, Debug)]
pub struct CoordinatorDuties {
    sector: SectorId,
    term: Option<u64>,
    coalescer: Coalescer,
    book: LeadBook,
    told: Fencing,
    next_news: MeshTimeUs,
    next_summary: MeshTimeUs,
    summary_period_us: i64,
    ask_full: BTreeMap<NodeId, u64>,
    asked_full: BTreeMap<NodeId, MeshTimeUs>,
}

impl CoordinatorDuties {
    /// The duties at a voter of `sector`, idle until it is elected.
    #[must_use]
    pub fn new(sector: SectorId) -> Self {
        Self {
            sector,
            term: None,
            coalescer: Coalescer::new(),
            book: LeadBook::new(),
            told: Fencing::NONE,
            next_news: MeshTimeUs(i64::MIN),
            next_summary: MeshTimeUs(i64::MIN),
            summary_period_us: SUMMARY_EVERY_US,
            ask_full: BTreeMap::new(),
            asked_full: BTreeMap::new(),
        }
    }

    /// Sets who may lead, see [`LeadBook::set_members`].
    pub fn set_members(
        &mut self,
        clusters: BTreeMap<ClusterId, BTreeMap<NodeId, u32>>,
        others: BTreeSet<NodeId>,
        now: MeshTimeUs,
    ) {
        self.book.set_members(clusters, others, now);
    }

    /// The mesh has so many sectors, see [`summary_period_us`].
    pub fn set_sectors(&mut self, sectors: usize) {
        self.summary_period_us = summary_period_us(sectors);
    }

    /// This node leads the group in `term`, and has applied what earlier leaders left behind.
    pub fn on_elected(&mut self, term: u64, state: &SectorState, now: MeshTimeUs) {
        if self.term == Some(term) {
            return;
        }
        self.term = Some(term);
        self.told = state.applied();
        self.book.on_elected(now);
        self.next_summary = now;
    }

    /// This node no longer leads the group: what was collected is dropped, the hosts tell the next leader.
    pub fn on_deposed(&mut self) {
        self.term = None;
        self.coalescer.clear();
        self.ask_full.clear();
        self.asked_full.clear();
    }

    /// The term this node leads in.
    #[must_use]
    pub const fn term(&self) -> Option<u64> {
        self.term
    }

    /// A lead passed on what its hosts sent; an empty message says that the lead lives.
    pub fn on_forward(&mut self, lead: NodeId, batches: impl IntoIterator<Item = VerifiedBatch>, now: MeshTimeUs) {
        self.book.on_seen(lead, now);
        for batch in batches {
            self.on_batch(batch, now);
        }
    }

    /// A host's batch came, by its lead or from the host itself.
    pub fn on_batch(&mut self, batch: VerifiedBatch, now: MeshTimeUs) {
        self.book.on_seen(batch.batch().host, now);
        if self.term.is_some() {
            self.coalescer.push(batch);
        }
    }

    /// Something came from `node`.
    pub fn on_seen(&mut self, node: NodeId, now: MeshTimeUs) {
        self.book.on_seen(node, now);
    }

    /// `node` is known to be gone: its connections closed, or it is suspected and others confirm.
    pub fn on_down(&mut self, node: NodeId) {
        self.book.on_down(node);
    }

    /// The group applied an entry, whoever proposed it.
    pub fn on_applied(&mut self, effects: &[SectorEffect]) {
        for effect in effects {
            match effect {
                SectorEffect::Batch(committed) => {
                    let batch = &committed.signed.batch;
                    self.coalescer.on_committed(batch.host, batch.sequence);
                }
                SectorEffect::BatchRefused { host, sequence, needs_full, newest } => {
                    self.coalescer.on_committed(*host, *sequence);
                    if *needs_full && self.term.is_some() {
                        self.ask_full.insert(*host, *newest);
                    }
                }
                SectorEffect::Lease(_) | SectorEffect::LeaseRefused(_) | SectorEffect::Unreadable => {}
            }
        }
    }

    /// What is to be done now. `stamp` goes into the summary; `view` is this node's registry of the sector.
    pub fn poll(
        &mut self,
        now: MeshTimeUs,
        stamp: Hlc,
        state: &SectorState,
        view: &SectorView,
    ) -> Vec<CoordinatorAction> {
        if self.term.is_none() {
            return Vec::new();
        }
        let mut actions = Vec::new();
        let grants = self.book.decide(state.leases(), now);
        if !grants.is_empty() {
            actions.push(CoordinatorAction::Propose(SectorEntry::Leases(grants)));
        }
        let batches = self.coalescer.poll(now);
        actions.extend(batches.map(|batches| CoordinatorAction::Propose(SectorEntry::HostBatches(batches))));
        if state.applied() > self.told && self.next_news <= now {
            let news = SectorNews::of(state, self.told);
            self.told = news.to;
            self.next_news = now.plus_us(DELTA_EVERY_US);
            actions.push(CoordinatorAction::GossipNews(news));
        }
        if self.next_summary <= now {
            self.next_summary = now.plus_us(self.summary_period_us);
            actions.push(CoordinatorAction::GossipSummary(SectorSummary {
                sector: self.sector,
                version: state.applied(),
                at: stamp,
                clusters: view.cluster_summaries(now),
            }));
        }
        actions.extend(self.requests(now));
        actions
    }

    /// When [`Self::poll`] has something to do, if nothing else happens before; nothing while this node does not lead.
    #[must_use]
    pub fn next_wakeup(&self, state: &SectorState, now: MeshTimeUs) -> Option<MeshTimeUs> {
        self.term?;
        let news = (state.applied() > self.told).then_some(self.next_news);
        let ask = (!self.ask_full.is_empty()).then_some(now);
        let others = [self.book.next_wakeup(state.leases(), now), self.coalescer.next_wakeup(), news, ask];
        others.into_iter().flatten().chain([self.next_summary]).min()
    }

    /// Batches dropped for want of room.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.coalescer.dropped()
    }

    fn requests(&mut self, now: MeshTimeUs) -> Vec<CoordinatorAction> {
        self.asked_full.retain(|_, at| now < at.plus_us(ASK_FULL_GAP_US));
        let wanted = std::mem::take(&mut self.ask_full);
        let fresh: Vec<_> = wanted.into_iter().filter(|(host, _)| !self.asked_full.contains_key(host)).collect();
        self.asked_full.extend(fresh.iter().map(|(host, _)| (*host, now)));
        fresh.into_iter().map(|(host, newest)| CoordinatorAction::AskFull { host, newest }).collect()
    }
}
