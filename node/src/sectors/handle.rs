//! What this node knows of the sectors: the copies it keeps, who coordinates, its own seats.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use mesh30k_core::lead::{Fencing, Lease, LeaseError, LeaseTable, SectorNews, Tenure};
use mesh30k_core::registry::{RegistryView, SectorSummary, SectorView};
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::types::{ClusterId, NodeId, SectorId};
use tokio::sync::watch;

use super::app::SharedSeat;
use super::leaders::{Leaders, Leading};
use super::members;
use super::published::PublishedRegistry;
use super::replica::{NewsRefusal, Replica, Taken, Trust};
use super::wire::Coordinator;
use crate::mesh::Postbox;
use crate::roster::Roster;

/// The leases of the sectors known here.
pub type SectorLeases = BTreeMap<SectorId, LeaseTable>;

/// What is asked of voters in the background, one of each kind and sector at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Errand {
    News,
    Leader,
}

#[derive(Default)]
struct Copies {
    replicas: BTreeMap<SectorId, Replica>,
    /// Sectors that are kept up to date; the others are fetched when somebody asks.
    kept: BTreeSet<SectorId>,
    errands: BTreeSet<(SectorId, Errand)>,
}

struct Inner {
    post: Postbox,
    copies: Mutex<Copies>,
    leaders: Mutex<Leaders>,
    seats: Mutex<BTreeMap<SectorId, SharedSeat>>,
    coordinated: Mutex<BTreeSet<SectorId>>,
    registry: PublishedRegistry,
    leases: ArcSwap<SectorLeases>,
    changes: watch::Sender<u64>,
    /// Sectors whose coordinator somebody looked for in vain.
    wanted: Mutex<BTreeSet<SectorId>>,
}

/// The sectors as this node knows them. Clones are the same; reading views and leases never waits.
#[derive(Clone)]
pub struct SectorHandle(Arc<Inner>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SectorHandle {
    pub(super) fn new(post: Postbox) -> Self {
        Self(Arc::new(Inner {
            post,
            copies: Mutex::default(),
            leaders: Mutex::default(),
            seats: Mutex::default(),
            coordinated: Mutex::default(),
            registry: PublishedRegistry::new(),
            leases: ArcSwap::from_pointee(SectorLeases::new()),
            changes: watch::Sender::new(0),
            wanted: Mutex::default(),
        }))
    }

    pub(crate) fn post(&self) -> &Postbox {
        &self.0.post
    }

    pub(crate) fn me(&self) -> NodeId {
        self.0.post.me()
    }

    pub(crate) fn now(&self) -> TimeUs {
        self.0.post.now()
    }

    pub(crate) fn roster(&self) -> Arc<Roster> {
        self.0.post.roster().load()
    }

    /// The registry of all sectors known here, each at its own position.
    #[must_use]
    pub fn registry(&self) -> Arc<RegistryView> {
        self.0.registry.load()
    }

    /// The leases of all sectors known here.
    #[must_use]
    pub fn leases(&self) -> Arc<SectorLeases> {
        self.0.leases.load_full()
    }

    /// The registry of one sector; an empty one when it is not known here.
    #[must_use]
    pub fn view(&self, sector: SectorId) -> Arc<SectorView> {
        let known = self.0.registry.read(|registry| registry.sector(sector).map(Arc::clone));
        known.unwrap_or_else(|| Arc::new(SectorView::empty(sector)))
    }

    /// Position up to which a sector is known here.
    #[must_use]
    pub fn version(&self, sector: SectorId) -> Fencing {
        lock(&self.0.copies).replicas.get(&sector).map_or(Fencing::NONE, Replica::version)
    }

    /// Who coordinates a sector, as far as this node has heard.
    #[must_use]
    pub fn coordinator_of(&self, sector: SectorId) -> Option<Coordinator> {
        lock(&self.0.leaders).get(sector).map(|leading| leading.coordinator)
    }

    /// The same; when nobody is known, voters are asked soon.
    pub(crate) fn find_coordinator(&self, sector: SectorId) -> Option<Coordinator> {
        let known = self.coordinator_of(sector);
        if known.is_none() {
            lock(&self.0.wanted).insert(sector);
        }
        known
    }

    /// The sectors whose coordinator was looked for in vain since the last call.
    pub(super) fn take_wanted(&self) -> BTreeSet<SectorId> {
        std::mem::take(&mut lock(&self.0.wanted))
    }

    /// What is known of a sector's leadership, with its newest summary.
    #[must_use]
    pub fn leading(&self, sector: SectorId) -> Option<Leading> {
        lock(&self.0.leaders).get(sector).cloned()
    }

    /// When a sector's coordinator was last heard of.
    pub(super) fn leader_heard(&self, sector: SectorId) -> Option<TimeUs> {
        lock(&self.0.leaders).get(sector).map(|leading| leading.heard)
    }

    /// The sectors this node coordinates now.
    #[must_use]
    pub fn coordinated(&self) -> BTreeSet<SectorId> {
        lock(&self.0.coordinated).clone()
    }

    /// The sectors this node keeps up to date.
    #[must_use]
    pub fn kept(&self) -> BTreeSet<SectorId> {
        lock(&self.0.copies).kept.clone()
    }

    /// Who may act for a cluster at `now`.
    #[must_use]
    pub fn lead_of(&self, cluster: ClusterId, now: TimeUs) -> Option<(NodeId, Tenure)> {
        self.0.leases.load().get(&cluster.sector)?.holder(cluster, now)
    }

    /// The newest lease of a cluster known here.
    #[must_use]
    pub fn lease_of(&self, cluster: ClusterId) -> Option<Lease> {
        self.0.leases.load().get(&cluster.sector)?.get(cluster).copied()
    }

    /// The clusters `node` may act for at `now`.
    #[must_use]
    pub fn led_by(&self, node: NodeId, now: TimeUs) -> BTreeMap<ClusterId, Tenure> {
        self.0.leases.load().values().flat_map(|leases| leases.held_by(node, now)).collect()
    }

    /// Judges a node that acts for a cluster under `tenure`.
    ///
    /// # Errors
    /// [`LeaseError`] when it is stale or does not hold it now.
    pub fn check_tenure(
        &self,
        cluster: ClusterId,
        node: NodeId,
        tenure: Tenure,
        now: TimeUs,
    ) -> Result<(), LeaseError> {
        self.0.leases.load().get(&cluster.sector).map_or(Ok(()), |leases| leases.check(cluster, node, tenure, now))
    }

    /// Told of changes of topology, leases and leadership.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Sequence of the newest batch of `host` that the sector's group is known to have committed; 0 for none.
    pub(crate) fn committed(&self, sector: SectorId, host: NodeId) -> u64 {
        let copies = lock(&self.0.copies);
        copies.replicas.get(&sector).map_or(0, |replica| replica.registry().batches().newest_sequence(host))
    }

    /// News of a sector as this node's copy has it; nothing when it has none.
    pub(super) fn news(&self, sector: SectorId, after: Fencing) -> Option<SectorNews> {
        let copies = lock(&self.0.copies);
        let replica = copies.replicas.get(&sector)?;
        replica.refreshed()?;
        let batches = replica.registry().since(after).iter().map(|batch| (**batch).clone()).collect();
        let leases = replica.leases().iter().filter(|lease| lease.fencing > after).copied().collect();
        Some(SectorNews { sector, from: after, to: replica.version().max(after), batches, leases })
    }

    pub(crate) fn seat(&self, sector: SectorId) -> Option<SharedSeat> {
        lock(&self.0.seats).get(&sector).cloned()
    }

    pub(crate) fn seats(&self) -> Vec<(SectorId, SharedSeat)> {
        lock(&self.0.seats).iter().map(|(sector, seat)| (*sector, seat.clone())).collect()
    }

    pub(super) fn add_seat(&self, sector: SectorId, seat: SharedSeat) {
        lock(&self.0.seats).insert(sector, seat);
    }

    /// Takes in news of a sector and publishes what they change.
    pub(super) fn follow(&self, news: SectorNews, trust: Trust<'_>, now: TimeUs) -> Result<Taken, NewsRefusal> {
        let sector = news.sector;
        let mut copies = lock(&self.0.copies);
        let copies = &mut *copies;
        let roster = self.roster();
        let replica = copies.replicas.entry(sector).or_insert_with(|| seated(&roster, sector));
        let fencings: BTreeMap<ClusterId, Fencing> =
            replica.leases().iter().map(|lease| (lease.cluster, lease.fencing)).collect();
        let taken = replica.follow(news, trust, now)?;
        if copies.kept.contains(&sector) {
            taken.sent.iter().for_each(|sent| self.0.post.metrics().observe_visible(now.since_us(*sent)));
        }
        if taken.unsigned > 0 {
            tracing::warn!(%sector, batches = taken.unsigned, "news held batches that their hosts did not sign");
        }
        if taken.is_new {
            self.publish(replica);
            if replica.leases().iter().any(|lease| fencings.get(&lease.cluster) != Some(&lease.fencing)) {
                self.bump();
            }
        }
        Ok(taken)
    }

    /// The ledger's topology changed: every copy gets its seats, every seat its candidates.
    pub(super) fn on_topology(&self, roster: &Roster) {
        let now = self.now();
        {
            let mut copies = lock(&self.0.copies);
            copies.kept = members::kept_by(roster, self.me());
            for sector in copies.kept.clone() {
                copies.replicas.entry(sector).or_insert_with(|| Replica::new(sector));
            }
            for (sector, replica) in &mut copies.replicas {
                replica.set_seats(members::seats(roster, *sector));
                self.publish(replica);
            }
        }
        for (sector, seat) in self.seats() {
            let (clusters, others) = members::candidates(roster, sector);
            {
                let duties = &mut seat.lock().duties;
                duties.set_members(clusters, others, now);
                duties.set_sectors(roster.sectors.len());
            }
            seat.wake();
        }
        self.bump();
    }

    /// Takes in who leads a sector; false when that is stale.
    pub(super) fn on_leader(&self, sector: SectorId, coordinator: Coordinator) -> bool {
        let mut leaders = lock(&self.0.leaders);
        let before = leaders.get(sector).map(|leading| leading.coordinator);
        let accepted = leaders.on_word(sector, coordinator, self.now());
        drop(leaders);
        if accepted && before != Some(coordinator) {
            tracing::info!(%sector, node = %coordinator.node, term = coordinator.term, "the sector has a coordinator");
            self.bump();
        }
        accepted
    }

    /// Takes in a coordinator's summary; false when it is stale.
    pub(super) fn on_summary(&self, coordinator: Coordinator, summary: SectorSummary) -> bool {
        self.on_leader(summary.sector, coordinator)
            && lock(&self.0.leaders).on_summary(coordinator, summary, self.now())
    }

    /// Notes whether this node coordinates a sector; gives how many it coordinates now.
    pub(super) fn count_coordinated(&self, sector: SectorId, leads: bool) -> i64 {
        let mut coordinated = lock(&self.0.coordinated);
        if leads {
            coordinated.insert(sector);
        } else {
            coordinated.remove(&sector);
        }
        let count = i64::try_from(coordinated.len()).unwrap_or(i64::MAX);
        drop(coordinated);
        self.bump();
        count
    }

    /// When this node's copy of a sector was last known to be up to date.
    pub(super) fn refreshed(&self, sector: SectorId) -> Option<TimeUs> {
        lock(&self.0.copies).replicas.get(&sector)?.refreshed()
    }

    /// Takes on an errand; false while somebody else is at it.
    pub(super) fn begin(&self, sector: SectorId, errand: Errand) -> bool {
        lock(&self.0.copies).errands.insert((sector, errand))
    }

    pub(super) fn end(&self, sector: SectorId, errand: Errand) {
        lock(&self.0.copies).errands.remove(&(sector, errand));
    }

    fn publish(&self, replica: &Replica) {
        let view = replica.registry().view();
        self.0.registry.publish(view);
        let mut leases = SectorLeases::clone(&self.0.leases.load());
        leases.insert(view.sector(), replica.leases().clone());
        self.0.leases.store(Arc::new(leases));
    }

    fn bump(&self) {
        self.0.changes.send_modify(|count| *count = count.wrapping_add(1));
    }
}

fn seated(roster: &Roster, sector: SectorId) -> Replica {
    let mut replica = Replica::new(sector);
    replica.set_seats(members::seats(roster, sector));
    replica
}
