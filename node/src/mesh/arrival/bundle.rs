//! Bundles between leads and hosts: what one node has for another at the same time goes in one frame, for many nodes on one machine
//! spend more on being woken than on what they are woken for.

use std::collections::BTreeMap;

use mesh30k_core::event::HostMessage;
use mesh30k_core::lead::Tenure;
use mesh30k_ledger::types::{ClusterId, NodeId};

use super::engine::Engine;
use super::refusal::Refusal;
use super::view::Now;
use super::wire::{Bundled, Estimate, Message};

/// How often leads tell hosts how they see their agents, and how often when nothing happens.
const ESTIMATES_EVERY_US: i64 = 5_000_000;
const ESTIMATES_IDLE_US: i64 = 15_000_000;
/// Items in one frame: the answers of sixteen full clusters are some 250 KiB.
const ITEMS_MAX: usize = 16;

/// What is to be said to whom.
pub(super) type BundleBook = BTreeMap<NodeId, Vec<Bundled>>;

impl Engine {
    /// Now and then, for all led clusters together: how their agents are seen from here.
    pub(super) fn plan_estimates(&mut self) {
        let now = self.clock.now();
        if now.wall_us < self.next_estimates_us {
            return;
        }
        let is_idle = self.leads.values().all(|led| led.machine().is_idle(now.mesh));
        let period_us = if is_idle { ESTIMATES_IDLE_US } else { ESTIMATES_EVERY_US };
        self.next_estimates_us = now.wall_us.saturating_add(period_us);
        for (cluster, led) in self.leads.iter().filter(|(_, led)| led.parked_us.is_none()) {
            let (cluster, tenure) = (*cluster, led.tenure);
            let hosts: BTreeMap<_, NodeId> =
                self.topology.agents_of(cluster).iter().map(|link| (link.agent, link.host)).collect();
            let mut by_host: BTreeMap<NodeId, Vec<Estimate>> = BTreeMap::new();
            for view in led.machine().agents(now.mesh).into_iter().filter(|view| view.warm) {
                let (median_us, spread_us) = (view.median_us.max(0.0) as u32, view.spread_us.max(0.0) as u32);
                if let Some(host) = hosts.get(&view.agent) {
                    by_host.entry(*host).or_default().push(Estimate { agent: view.agent, median_us, spread_us });
                }
            }
            for (host, estimates) in by_host {
                self.bundles.entry(host).or_default().push(Bundled::Estimates { cluster, tenure, estimates });
            }
        }
    }

    /// Sends what led clusters planned in this turn.
    pub(super) fn send_planned(&mut self) {
        let planned = std::mem::take(&mut self.bundles);
        self.send_bundles(planned);
    }

    pub(super) fn send_bundles(&mut self, book: BundleBook) {
        for (to, mut items) in book {
            while !items.is_empty() {
                let later = items.split_off(items.len().min(ITEMS_MAX));
                self.note_probes(&items);
                self.send(to, Message::Bundle { items });
                items = later;
            }
        }
    }

    /// Clocks are measured from when the exchange leaves, not from when its cluster was looked at.
    fn note_probes(&mut self, items: &[Bundled]) {
        let now = self.clock.now().mesh;
        for item in items {
            if let Bundled::Probe { probe, .. } = item
                && let Some(led) = self.leads.get_mut(&probe.cluster)
            {
                led.machine_mut().on_probe_sent(probe.seq, now);
            }
        }
    }

    /// Each item is judged, and refused, by itself.
    pub(super) fn accept_bundle(&mut self, from: NodeId, items: Vec<Bundled>, now: &Now) {
        for item in items {
            let outcome = match item {
                Bundled::Probe { tenure, probe } => {
                    let cluster = probe.cluster;
                    self.accept_at_host(from, cluster, tenure, &HostMessage::Probe(probe), now)
                }
                Bundled::Answers(reply) => self.accept_reply(from, &reply, &[], now),
                Bundled::Estimates { cluster, tenure, estimates } => {
                    self.accept_estimates(from, (cluster, tenure), &estimates, now)
                }
            };
            if let Err(refusal) = outcome {
                self.refuse(from, &refusal);
            }
        }
    }

    fn accept_estimates(
        &mut self,
        from: NodeId,
        (cluster, tenure): (ClusterId, Tenure),
        estimates: &[Estimate],
        now: &Now,
    ) -> Result<(), Refusal> {
        self.check_lead(from, cluster, tenure, now)?;
        self.check_agents(cluster, estimates.iter().map(|estimate| estimate.agent))?;
        estimates.iter().for_each(|estimate| self.measurements.on_estimate(estimate));
        Ok(())
    }
}
