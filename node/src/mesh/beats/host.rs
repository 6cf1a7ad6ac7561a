//! The host's loop: one signed batch for all its agents of a sector, to its home lead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mesh30k_core::beat::{Beater, HostBatch};
use mesh30k_core::wire::Priority;
use mesh30k_ledger::types::{AgentId, NodeId, SectorId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::mesh::post::Postbox;
use crate::mesh::reports::AgentReports;
use crate::pulse;
use crate::sectors::{BeatNotice, SectorHandle, home_cluster};

/// How often the host looks at its agents; a jump is told at once, the rest every five seconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Until the first batch is committed it looks this often, so that a newcomer is known quickly.
const HURRY_EVERY: Duration = Duration::from_millis(250);
/// At an early stage a batch may find no lead; it is made again after this many looks.
const LOST_AFTER_LOOKS: u32 = 4;

/// What a coordinator asks of this host.
#[derive(Clone, Copy, Debug)]
pub(in crate::mesh) enum HostSignal {
    /// Send everything; the group has this sequence.
    AskFull { sector: SectorId, newest: u64 },
}

struct Beat {
    beater: Beater,
    agents: BTreeSet<AgentId>,
    committed: u64,
    looks_unheard: u32,
}

struct Host {
    me: NodeId,
    post: Postbox,
    sectors: SectorHandle,
    reports: Arc<dyn AgentReports>,
    beats: BTreeMap<SectorId, Beat>,
}

/// Beats until cancelled; then says farewell.
pub(in crate::mesh) async fn run(
    post: Postbox,
    sectors: SectorHandle,
    reports: Arc<dyn AgentReports>,
    mut signals: mpsc::Receiver<HostSignal>,
    stop: CancellationToken,
) {
    let mut host = Host { me: post.me(), post, sectors, reports, beats: BTreeMap::new() };
    let mut changes = host.sectors.changes();
    loop {
        host.look();
        let every = if host.is_unheard() { HURRY_EVERY } else { LOOK_EVERY };
        tokio::select! {
            () = stop.cancelled() => {
                host.farewell();
                return;
            }
            signal = signals.recv() => match signal {
                Some(signal) => host.on_signal(signal),
                None => return,
            },
            // The first lead is worth telling at once; afterwards changes can wait for the next look.
            changed = changes.changed(), if host.is_unheard() => if changed.is_err() { return },
            () = pulse::sleep(every) => {}
        }
    }
}

impl Host {
    fn is_unheard(&self) -> bool {
        self.beats.values().any(|beat| beat.committed == 0)
    }

    fn on_signal(&mut self, signal: HostSignal) {
        let HostSignal::AskFull { sector, newest } = signal;
        if let Some(beat) = self.beats.get_mut(&sector) {
            beat.beater.on_stale(newest);
            beat.beater.on_full_requested();
        }
    }

    fn look(&mut self) {
        self.observe();
        let now = self.post.now();
        let mut due = Vec::new();
        for (sector, beat) in &mut self.beats {
            let committed = self.sectors.committed(*sector, self.me);
            if committed > beat.committed {
                beat.committed = committed;
                beat.beater.on_committed(committed);
            }
            if beat.committed == 0 {
                // A first batch that was lost on a mesh still forming is not to wait for the next beat.
                beat.looks_unheard = beat.looks_unheard.saturating_add(1);
                if beat.looks_unheard.is_multiple_of(LOST_AFTER_LOOKS) {
                    beat.beater.on_full_requested();
                }
            }
            due.extend(beat.beater.poll(now, self.post.stamp()).map(|batch| (*sector, batch)));
        }
        for (sector, batch) in due {
            self.send(sector, batch);
        }
    }

    /// Takes in how the agents fare, each in the sector where the ledger has it.
    fn observe(&mut self) {
        let roster = self.post.roster().load();
        let mut seen: BTreeMap<SectorId, BTreeSet<AgentId>> = BTreeMap::new();
        for report in self.reports.reports() {
            let Some(agent) = roster.agents.get(&report.agent).filter(|agent| agent.node == self.me) else { continue };
            let sector = agent.cluster.sector;
            let beat = self.beats.entry(sector).or_insert_with(|| Beat {
                // Outruns every earlier run of this host, see `Beater::new`.
                beater: Beater::new(self.me, crate::clock::wall_ms()),
                agents: BTreeSet::new(),
                committed: 0,
                looks_unheard: 0,
            });
            match beat.beater.observe(report) {
                Ok(()) => {
                    seen.entry(sector).or_default().insert(report.agent);
                }
                Err(error) => tracing::warn!(%error, agent = %report.agent, "a report is left out"),
            }
        }
        for (sector, beat) in &mut self.beats {
            let agents = seen.remove(sector).unwrap_or_default();
            for gone in beat.agents.difference(&agents) {
                beat.beater.remove(*gone);
            }
            beat.agents = agents;
        }
    }

    /// To the home lead; where there is none that can be reached, to the coordinator.
    fn send(&self, sector: SectorId, batch: HostBatch) {
        let now = self.post.now();
        let roster = self.post.roster().load();
        let lead = home_cluster(&roster, self.me, sector).and_then(|cluster| self.sectors.lead_of(cluster, now));
        let lead = lead.map(|(node, _)| node).filter(|node| self.post.reaches(*node));
        let target = lead.or_else(|| self.sectors.coordinator_of(sector).map(|coordinator| coordinator.node));
        let Some(target) = target else {
            tracing::debug!(%sector, "nobody is known to take this host's batch yet");
            return;
        };
        let batch = batch.sign(self.post.context(), self.post.key());
        self.post.metrics().beats.inc();
        self.post.notify(target, BeatNotice::Batch { sector, batch }, Priority::Normal);
    }

    fn farewell(&mut self) {
        let (now, stamp) = (self.post.now(), self.post.stamp());
        let last: Vec<_> =
            self.beats.iter_mut().map(|(sector, beat)| (*sector, beat.beater.farewell(now, stamp))).collect();
        for (sector, batch) in last {
            self.send(sector, batch);
        }
    }
}
