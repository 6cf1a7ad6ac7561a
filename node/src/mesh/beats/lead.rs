//! The lead's loop: folds the batches of the hosts whose home lead this node is, and passes them on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh30k_core::beat::{FoldAction, LeadFold, VerifiedBatch};
use mesh30k_core::lead::Tenure;
use mesh30k_core::time::TimeUs;
use mesh30k_core::wire::Priority;
use mesh30k_ledger::types::{ClusterId, NodeId, SectorId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::mesh::post::Postbox;
use crate::pulse;
use crate::roster::Roster;
use crate::sectors::{BeatNotice, SectorHandle, home_hosts};

/// The loop looks this often at the leases: a right that is lost is not used for longer than that.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A coordinator that heard from this node so recently need not be told again that it lives.
const ALIVE_GAP_US: i64 = 900_000;

struct Fold {
    fold: LeadFold,
    tenure: Tenure,
    /// The reading of the roster by which its hosts were set.
    roster: Arc<Roster>,
}

/// When each sector's coordinator was last sent something. It asks whether a *node* is alive, so one word a second does for
/// all clusters that this node leads there: a node with ten of them would else send ten.
#[derive(Default)]
struct Told(BTreeMap<SectorId, TimeUs>);

impl Told {
    /// Whether what a fold passes on is worth a message; notes it if so.
    fn is_worth(&mut self, sector: SectorId, action: &FoldAction, now: TimeUs) -> bool {
        let is_only_alive = matches!(action, FoldAction::Forward(batches) if batches.is_empty());
        let is_known = self.0.get(&sector).is_some_and(|at| now.since_us(*at) < ALIVE_GAP_US);
        if is_only_alive && is_known {
            return false;
        }
        if matches!(action, FoldAction::Forward(_)) {
            self.0.insert(sector, now);
        }
        true
    }

    fn retain(&mut self, led: &BTreeMap<ClusterId, Tenure>) {
        self.0.retain(|sector, _| led.keys().any(|cluster| cluster.sector == *sector));
    }
}

/// The folds of the clusters this node leads, shared by the loop and the dispatcher.
#[derive(Clone, Default)]
pub(in crate::mesh) struct LeadDesk {
    folds: Arc<Mutex<BTreeMap<ClusterId, Fold>>>,
    came: Arc<Notify>,
}

impl LeadDesk {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<ClusterId, Fold>) -> T) -> T {
        work(&mut self.folds.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in a host's batch if this node leads its home cluster; gives it back otherwise.
    pub(in crate::mesh) fn take(&self, home: ClusterId, batch: VerifiedBatch, now: TimeUs) -> Option<VerifiedBatch> {
        let left = self.with(|folds| match folds.get_mut(&home) {
            Some(fold) => {
                fold.fold.push(batch, now);
                None
            }
            None => Some(batch),
        });
        if left.is_none() {
            self.came.notify_one();
        }
        left
    }

    /// How long to wait for the first fold that holds something; none when all are empty.
    fn until_due(&self, now: TimeUs) -> Option<Duration> {
        let due = self.with(|folds| folds.values().filter_map(|fold| fold.fold.next_news()).min())?;
        Some(Duration::from_micros(due.since_us(now).max(0).unsigned_abs()))
    }

    /// Brings the folds in step with the leases held.
    fn set_led(&self, led: &BTreeMap<ClusterId, Tenure>, post: &Postbox, now: TimeUs) {
        let roster = post.roster().load();
        self.with(|folds| {
            folds.retain(|cluster, _| led.contains_key(cluster));
            for (cluster, tenure) in led {
                let fold = folds.entry(*cluster).or_insert_with(|| Fold {
                    fold: LeadFold::new(),
                    tenure: *tenure,
                    roster: Arc::default(),
                });
                fold.tenure = *tenure;
                if !Arc::ptr_eq(&fold.roster, &roster) {
                    fold.fold.set_hosts(&home_hosts(&roster, *cluster), now);
                    fold.roster = Arc::clone(&roster);
                }
            }
        });
    }

    fn poll(&self, now: TimeUs) -> Vec<(ClusterId, Tenure, FoldAction)> {
        self.with(|folds| {
            let mut actions = Vec::new();
            for (cluster, fold) in folds {
                let tenure = fold.tenure;
                actions.extend(fold.fold.poll(now).into_iter().map(|action| (*cluster, tenure, action)));
            }
            actions
        })
    }
}

/// Folds and passes on until cancelled.
pub(in crate::mesh) async fn run(desk: LeadDesk, post: Postbox, sectors: SectorHandle, stop: CancellationToken) {
    let me: NodeId = post.me();
    let mut told = Told::default();
    loop {
        let now = post.now();
        let led = sectors.led_by(me, now);
        post.metrics().set_leads("lead", i64::try_from(led.len()).unwrap_or(i64::MAX));
        desk.set_led(&led, &post, now);
        told.retain(&led);
        for (cluster, tenure, action) in desk.poll(now) {
            if told.is_worth(cluster.sector, &action, now) {
                act(&post, &sectors, cluster, tenure, action);
            }
        }
        let until_due = desk.until_due(post.now());
        tokio::select! {
            () = stop.cancelled() => return,
            () = desk.came.notified() => {}
            () = tokio::time::sleep(until_due.unwrap_or_default()), if until_due.is_some() => {}
            () = pulse::sleep(LOOK_EVERY) => {}
        }
    }
}

fn act(post: &Postbox, sectors: &SectorHandle, cluster: ClusterId, tenure: Tenure, action: FoldAction) {
    // Without a coordinator the batches are lost; their hosts send again what was not committed.
    let Some(coordinator) = sectors.coordinator_of(cluster.sector) else { return };
    let notice = match action {
        FoldAction::Forward(batches) => BeatNotice::Forward { cluster, tenure, batches },
        FoldAction::Suspect { host, silent_us } => {
            tracing::warn!(%host, silent_us, %cluster, "a host is silent");
            BeatNotice::Suspect { cluster, host }
        }
        FoldAction::Cleared { host } => BeatNotice::Cleared { cluster, host },
    };
    post.metrics().beats.inc();
    post.notify(coordinator.node, notice, Priority::Normal);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_clusters_say_once_a_second_that_their_lead_lives_and_news_is_never_left_out() {
        let (mut told, second_us) = (Told::default(), 1_000_000);
        let (here, there) = (SectorId(1), SectorId(2));
        let alive = FoldAction::Forward(Vec::new());
        let mut sent = BTreeMap::<SectorId, u32>::new();
        for look in 0..40 {
            let now = TimeUs(look * second_us / 4);
            // Each fold says once a second that it lives; some in this look, some in the next.
            for cluster in (0..10).filter(|cluster| cluster % 4 == look % 4) {
                let sector = if cluster < 8 { here } else { there };
                *sent.entry(sector).or_default() += u32::from(told.is_worth(sector, &alive, now));
            }
        }
        assert_eq!(sent, BTreeMap::from([(here, 10), (there, 10)]));
        let suspect = FoldAction::Suspect { host: NodeId(3), silent_us: 1 };
        let now = TimeUs(10 * second_us);
        assert!(told.is_worth(here, &alive, now) && !told.is_worth(here, &alive, now));
        assert!(told.is_worth(here, &suspect, now), "a suspicion goes out at once");
        told.retain(&BTreeMap::new());
        assert!(told.is_worth(here, &alive, now));
    }
}
