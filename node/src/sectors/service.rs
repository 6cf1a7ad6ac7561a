//! Keeps the groups, topics and copies of this node in step with the ledger's topology.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mesh30k_consensus::raft::GroupSet;
use mesh30k_core::lead::summary_period_us;
use mesh30k_ledger::types::SectorId;
use mesh30k_p2p::Control;
use tokio_util::sync::CancellationToken;

use super::handle::SectorHandle;
use super::{members, voter};
use crate::lanes;
use crate::mesh::{MeshLedger, Postbox};
use crate::pulse;
use crate::raft_runtime::RaftRuntime;
use crate::roster::Roster;

/// The service looks at least this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// While one of its sectors has no coordinator or was never fetched, it looks this often.
const HURRY_EVERY: Duration = Duration::from_millis(250);
/// A kept copy that heard nothing for this long asks a voter.
const SILENT_AFTER_US: i64 = 10_000_000;
/// A coordinator not heard of for so many halves of the time between two summaries, or for so long in a mesh of many sectors,
/// may have been replaced unheard.
const LEADER_SILENT_HALVES: i64 = 5;
const LEADER_SILENT_MAX_US: i64 = 60_000_000;
/// Sectors asked after at a time, at most, and how many all nodes together may ask after at a time: in a large mesh gossip
/// brings nearly all of it, and who asks everybody ends up connected to everybody.
const QUESTIONS_AT_ONCE: usize = 8;
const QUESTIONS_OF_ALL: usize = 64;

/// What the sectors are made of.
pub struct SectorParts {
    /// Sends, seals and stamps.
    pub post: Postbox,
    /// The Raft groups of this process.
    pub groups: GroupSet<RaftRuntime>,
    /// The ledger.
    pub ledger: Arc<dyn MeshLedger>,
    /// Ends the service.
    pub stop: CancellationToken,
}

/// The running service.
pub struct SectorService {
    handle: SectorHandle,
    groups: GroupSet<RaftRuntime>,
    ledger: Arc<dyn MeshLedger>,
    stop: CancellationToken,
    seen: Option<Arc<Roster>>,
    voting: BTreeSet<SectorId>,
    subscribed: BTreeSet<SectorId>,
}

impl SectorService {
    /// Starts the service. Everything else follows from the ledger.
    #[must_use]
    pub fn start(parts: SectorParts) -> SectorHandle {
        let SectorParts { post, groups, ledger, stop } = parts;
        let handle = SectorHandle::new(post);
        let service = Self {
            handle: handle.clone(),
            groups,
            ledger,
            stop,
            seen: None,
            voting: BTreeSet::new(),
            subscribed: BTreeSet::new(),
        };
        tokio::spawn(service.run());
        handle
    }

    async fn run(mut self) {
        let mut finals = self.ledger.finals();
        let control = self.handle.post().control().clone();
        let mut has_summaries = subscribe(&control, lanes::TOPIC_SUMMARY).await;
        loop {
            has_summaries = has_summaries || subscribe(&control, lanes::TOPIC_SUMMARY).await;
            self.follow_topology(&control).await;
            let is_hurried = self.look_after_copies();
            tokio::select! {
                () = self.stop.cancelled() => return,
                changed = finals.changed() => if changed.is_err() { return },
                () = pulse::sleep(if is_hurried { HURRY_EVERY } else { LOOK_EVERY }) => {}
            }
        }
    }

    async fn follow_topology(&mut self, control: &Control) {
        let roster = self.handle.roster();
        let is_same = self.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &roster));
        let me = self.handle.me();
        if !is_same {
            self.handle.on_topology(&roster);
            self.seen = Some(Arc::clone(&roster));
        }
        // What failed before is tried again, changed topology or not.
        for sector in members::voted_by(&roster, me).filter(|sector| !self.voting.contains(sector)).collect::<Vec<_>>()
        {
            let voters = members::voters(&roster, sector);
            match voter::start(sector, voters, &self.handle, &self.groups, self.stop.clone()).await {
                Ok(seat) => {
                    let (clusters, others) = members::candidates(&roster, sector);
                    seat.lock().duties.set_members(clusters, others, self.handle.now());
                    self.handle.add_seat(sector, seat);
                    self.voting.insert(sector);
                }
                Err(error) => tracing::error!(%error, %sector, "the sector's group can't be started"),
            }
        }
        for sector in self.handle.kept() {
            if !self.subscribed.contains(&sector) && subscribe(control, &lanes::topic_sector(sector)).await {
                self.subscribed.insert(sector);
            }
        }
    }

    /// Asks for what gossip did not bring; true while something essential is still missing.
    fn look_after_copies(&self) -> bool {
        let (now, mut is_hurried) = (self.handle.now(), false);
        for sector in self.handle.kept().into_iter().filter(|sector| !self.voting.contains(sector)) {
            let refreshed = self.handle.refreshed(sector);
            let is_leaderless = self.handle.coordinator_of(sector).is_none();
            is_hurried |= refreshed.is_none() || is_leaderless;
            if is_leaderless || refreshed.is_none_or(|at| now.since_us(at) > SILENT_AFTER_US) {
                self.handle.refresh_soon(sector);
            }
        }
        let roster = self.handle.roster();
        // Of the other sectors summaries tell in time, unless somebody needs to know now: were each node to ask after every
        // sector, it would connect to every other.
        let wanted = self.handle.take_wanted();
        is_hurried |= !wanted.is_empty();
        let sectors: BTreeSet<SectorId> = self.handle.kept().into_iter().chain(wanted).collect();
        let halves_us = (summary_period_us(roster.sectors.len()) / 2).saturating_mul(LEADER_SILENT_HALVES);
        let silent_us = halves_us.min(LEADER_SILENT_MAX_US);
        let unheard = sectors
            .iter()
            .filter(|sector| roster.sectors.contains_key(*sector))
            .filter(|sector| self.handle.leader_heard(**sector).is_none_or(|heard| now.since_us(heard) > silent_us));
        for sector in unheard.filter(|sector| !self.voting.contains(sector)).take(questions_at_once(roster.nodes.len()))
        {
            let (handle, sector) = (self.handle.clone(), *sector);
            tokio::spawn(async move { handle.ask_who_leads(sector).await });
        }
        is_hurried
    }
}

/// How many sectors one of so many nodes asks after at a time.
fn questions_at_once(nodes: usize) -> usize {
    QUESTIONS_OF_ALL.checked_div(nodes).map_or(QUESTIONS_AT_ONCE, |share| share.clamp(1, QUESTIONS_AT_ONCE))
}

async fn subscribe(control: &Control, topic: &str) -> bool {
    match control.subscribe(topic).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, topic, "the topic can't be subscribed to");
            false
        }
    }
}
