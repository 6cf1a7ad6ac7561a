//! A voter's loop: what it does beside applying the log, most of it only while it leads.

use std::sync::Arc;
use std::time::Duration;

use mesh30k_consensus::group::GroupId;
use mesh30k_consensus::raft::{Group, GroupError, GroupSet, LeadershipWatch};
use mesh30k_core::lead::{CoordinatorAction, SectorEntry, SectorNews};
use mesh30k_core::time::TimeUs;
use mesh30k_core::wire::Priority;
use mesh30k_ledger::types::{NodeId, SectorId};
use tokio::sync::Semaphore;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use super::app::{SectorApp, SharedSeat};
use super::handle::SectorHandle;
use super::members;
use super::replica::Trust;
use super::wire::{BeatNotice, Coordinator, SectorGossip};
use crate::lanes;
use crate::pulse;
use crate::raft_runtime::RaftRuntime;

/// Proposals under way, at most; what finds no place is told again by its host or decided again.
const PROPOSALS_MAX: usize = 16;
/// After this a proposal's fate is unknown, and it is decided anew.
const PROPOSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// The loop looks at least this often.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// And at most this often, so that a busy group does not spin.
const LOOK_GAP_US: i64 = 5_000;
/// A new coordinator says so again after a second, then after twice as long each time,
const ANNOUNCE_AGAIN_US: i64 = 1_000_000;
/// for ten seconds: the mesh may still be forming, and gossip is lost where nobody listens yet.
const ANNOUNCE_FOR_US: i64 = 10_000_000;
/// How often a group that has no members yet is given them, until it has.
const INITIALIZE_EVERY: Duration = Duration::from_secs(1);

/// A running voter.
pub(super) struct Voter {
    sector: SectorId,
    hub: SectorHandle,
    seat: SharedSeat,
    group: Group<RaftRuntime>,
    proposals: Arc<Semaphore>,
    announce: Option<Announce>,
}

#[derive(Clone, Copy)]
struct Announce {
    next: TimeUs,
    gap_us: i64,
    until: TimeUs,
}

/// Starts this node's member of a sector's group and its loop; the loop ends when cancelled or when the group stops.
pub(super) async fn start(
    sector: SectorId,
    voters: &[NodeId],
    hub: &SectorHandle,
    groups: &GroupSet<RaftRuntime>,
    stop: CancellationToken,
) -> Result<SharedSeat, GroupError> {
    let seat = SharedSeat::new(sector);
    let app = SectorApp::new(sector, seat.clone());
    let config = groups.preset(GroupId::sector(sector.0, 0, 0));
    let group = groups.start(config, Box::new(app)).await?;
    let members = voters.iter().map(|voter| voter.0).collect();
    let initializer = group.clone();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        while let Err(error) = initializer.initialize(&members).await {
            tracing::warn!(%error, "the sector's group could not be initialised");
            if matches!(error, GroupError::NotAMember { .. } | GroupError::Stopped { .. }) {
                return;
            }
            tokio::select! {
                () = cancelled.cancelled() => return,
                () = tokio::time::sleep(INITIALIZE_EVERY) => {}
            }
        }
    });
    let voter = Voter {
        sector,
        hub: hub.clone(),
        seat: seat.clone(),
        group,
        proposals: Arc::new(Semaphore::new(PROPOSALS_MAX)),
        announce: None,
    };
    tokio::spawn(voter.run(stop));
    Ok(seat)
}

impl Voter {
    async fn run(mut self, stop: CancellationToken) {
        let mut leadership = self.group.watch();
        loop {
            self.look();
            let until = self.until_due();
            tokio::select! {
                () = stop.cancelled() => return,
                alive = changed(&mut leadership) => if !alive {
                    tracing::error!(sector = %self.sector, "the sector's group has stopped");
                    return;
                },
                () = self.seat.changed() => {}
                () = until => {}
            }
        }
    }

    /// Ends when something is due; else with the process's pulse.
    fn until_due(&self) -> Sleep {
        let now = self.hub.now();
        let seat = self.seat.lock();
        let due = seat.duties.next_wakeup(&seat.state, now);
        let announce = self.announce.map(|announce| announce.next);
        let wait_us = due.into_iter().chain(announce).min().map(|due| due.since_us(now));
        match wait_us.map(|wait_us| Duration::from_micros(wait_us.max(LOOK_GAP_US).unsigned_abs())) {
            Some(wait) if wait < LOOK_EVERY => tokio::time::sleep(wait),
            _ => pulse::sleep(LOOK_EVERY),
        }
    }

    fn look(&mut self) {
        let now = self.hub.now();
        self.follow_leadership(now);
        self.refresh_replica(now);
        let coordinator = Coordinator { term: self.group.term(), node: self.hub.me() };
        let stamp = self.hub.post().stamp();
        let view = self.hub.view(self.sector);
        let actions = {
            let mut seat = self.seat.lock();
            let seat = &mut *seat;
            seat.duties.poll(now, stamp, &seat.state, &view)
        };
        for action in actions {
            self.act(action, coordinator);
        }
        self.announce(now, coordinator);
    }

    /// Duties begin once everything older leaders left behind is applied, and end with the leadership.
    fn follow_leadership(&mut self, now: TimeUs) {
        let leadership = self.group.leadership();
        if let Some(leader) = leadership.leader {
            let coordinator = Coordinator { term: leadership.term, node: NodeId(leader) };
            self.hub.on_leader(self.sector, coordinator);
        }
        let mut seat = self.seat.lock();
        let seat = &mut *seat;
        let term = seat.duties.term();
        let has_applied_all = seat.state.applied().term == leadership.term;
        if leadership.is_leader && has_applied_all {
            if term != Some(leadership.term) {
                let roster = self.hub.roster();
                let (clusters, others) = members::candidates(&roster, self.sector);
                seat.duties.set_members(clusters, others, now);
                seat.duties.set_sectors(roster.sectors.len());
                seat.duties.on_elected(leadership.term, &seat.state, now);
                let until = now.plus_us(ANNOUNCE_FOR_US);
                self.announce = Some(Announce { next: now, gap_us: ANNOUNCE_AGAIN_US, until });
                tracing::info!(sector = %self.sector, term = leadership.term, "this node coordinates the sector");
                self.hub.post().metrics().set_leads("coordinator", self.hub.count_coordinated(self.sector, true));
            }
        } else if term.is_some() && !leadership.is_leader {
            seat.duties.on_deposed();
            self.announce = None;
            tracing::info!(sector = %self.sector, "this node no longer coordinates the sector");
            self.hub.post().metrics().set_leads("coordinator", self.hub.count_coordinated(self.sector, false));
        }
    }

    /// The node's own copy follows the voter's state.
    fn refresh_replica(&self, now: TimeUs) {
        let have = self.hub.version(self.sector);
        let news = {
            let seat = self.seat.lock();
            (seat.state.applied() > have).then(|| SectorNews::of(&seat.state, have))
        };
        if let Some(news) = news
            && let Err(error) = self.hub.follow(news, Trust::OwnVoter, now)
        {
            tracing::warn!(%error, sector = %self.sector, "this node's copy of the sector is behind its voter");
        }
    }

    fn act(&self, action: CoordinatorAction, coordinator: Coordinator) {
        match action {
            CoordinatorAction::Propose(entry) => self.propose(&entry),
            // Voters have them from the group, and first-hand.
            CoordinatorAction::GossipNews(_) if !members::has_followers(&self.hub.roster(), self.sector) => {}
            CoordinatorAction::GossipNews(news) => {
                let topic = lanes::topic_sector(self.sector);
                self.hub.post().publish(&topic, &SectorGossip::News { coordinator, news });
            }
            CoordinatorAction::GossipSummary(summary) => {
                self.hub.on_summary(coordinator, summary.clone());
                self.hub.post().publish(lanes::TOPIC_SUMMARY, &SectorGossip::Summary { coordinator, summary });
            }
            CoordinatorAction::AskFull { host, newest } => {
                let notice = BeatNotice::AskFull { sector: self.sector, newest };
                self.hub.post().notify(host, notice, Priority::Normal);
            }
        }
    }

    fn propose(&self, entry: &SectorEntry) {
        let Ok(place) = Arc::clone(&self.proposals).try_acquire_owned() else {
            self.hub.post().metrics().count_drops("sector-proposals", 1);
            return;
        };
        let (group, bytes, sector) = (self.group.clone(), entry.encode(), self.sector);
        tokio::spawn(async move {
            match tokio::time::timeout(PROPOSAL_TIMEOUT, group.propose(bytes)).await {
                Ok(Ok(_)) => {}
                // Hosts send again what was not committed, and leases are decided again by what the state says.
                Ok(Err(error)) => tracing::debug!(%error, %sector, "a proposal failed"),
                Err(_) => tracing::debug!(%sector, "a proposal was not ordered in time"),
            }
            drop(place);
        });
    }

    fn announce(&mut self, now: TimeUs, coordinator: Coordinator) {
        let Some(announce) = self.announce.filter(|announce| announce.next <= now) else { return };
        let word = SectorGossip::Leads { sector: self.sector, coordinator };
        self.hub.post().publish(lanes::TOPIC_SUMMARY, &word);
        let (next, gap_us) = (now.plus_us(announce.gap_us), announce.gap_us.saturating_mul(2));
        self.announce = (next <= announce.until).then_some(Announce { next, gap_us, ..announce });
    }
}

async fn changed(leadership: &mut LeadershipWatch<RaftRuntime>) -> bool {
    leadership.changed().await.is_some()
}
