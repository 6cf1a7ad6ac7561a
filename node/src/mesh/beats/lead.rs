//! The lead's loop: folds the batches of the hosts whose home lead this node is, and passes them on each second.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh30k_core::beat::{FoldAction, LeadFold, VerifiedBatch};
use mesh30k_core::lead::Tenure;
use mesh30k_core::time::TimeUs;
use mesh30k_core::wire::Priority;
use mesh30k_ledger::types::{ClusterId, NodeId};
use tokio_util::sync::CancellationToken;

use crate::mesh::post::Postbox;
use crate::sectors::{BeatNotice, SectorHandle, home_hosts};

/// The loop looks this often at the leases: a right that is lost is not used for longer than that.
const LOOK_EVERY: Duration = Duration::from_millis(250);

struct Fold {
    fold: LeadFold,
    tenure: Tenure,
}

/// The folds of the clusters this node leads, shared by the loop and the dispatcher.
#[derive(Clone, Default)]
pub(in crate::mesh) struct LeadDesk(Arc<Mutex<BTreeMap<ClusterId, Fold>>>);

impl LeadDesk {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<ClusterId, Fold>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in a host's batch if this node leads its home cluster; gives it back otherwise.
    pub(in crate::mesh) fn take(&self, home: ClusterId, batch: VerifiedBatch, now: TimeUs) -> Option<VerifiedBatch> {
        self.with(|folds| match folds.get_mut(&home) {
            Some(fold) => {
                fold.fold.push(batch, now);
                None
            }
            None => Some(batch),
        })
    }

    /// Brings the folds in step with the leases held.
    fn set_led(&self, led: &BTreeMap<ClusterId, Tenure>, post: &Postbox, now: TimeUs) {
        let roster = post.roster().load();
        self.with(|folds| {
            folds.retain(|cluster, _| led.contains_key(cluster));
            for (cluster, tenure) in led {
                let fold = folds.entry(*cluster).or_insert_with(|| Fold { fold: LeadFold::new(), tenure: *tenure });
                fold.tenure = *tenure;
                fold.fold.set_hosts(&home_hosts(&roster, *cluster), now);
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
    loop {
        let now = post.now();
        let led = sectors.led_by(me, now);
        post.metrics().set_leads("lead", i64::try_from(led.len()).unwrap_or(i64::MAX));
        desk.set_led(&led, &post, now);
        for (cluster, tenure, action) in desk.poll(now) {
            act(&post, &sectors, cluster, tenure, action);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
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
