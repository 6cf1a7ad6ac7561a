//! The coordinator's side: sectors this node coordinates, and their reports to those who watch.

use std::collections::BTreeMap;

use mesh30k_core::event::{DownMessage, ParentAction, ParentMachine, UpMessage};
use mesh30k_ledger::types::{NodeId, Scope, SectorId};

use super::engine::{Coordinated, Engine};
use super::refusal::Refusal;
use super::topology::Level;
use super::view::Now;
use super::wire::Message;

/// A node gets a sector's reports this long after it asked.
const WATCH_US: i64 = 30_000_000;
/// Nodes that may watch one sector from one coordinator.
const WATCHERS_MAX: usize = 512;

impl Engine {
    /// Makes the coordinated sectors those this node is known to coordinate.
    pub(super) fn refresh_sectors(&mut self, now: &Now) {
        let (view, me, params) = (self.view.clone(), self.me, self.rules.params);
        self.sectors.retain(|sector, _| view.coordinator(*sector) == Some(me));
        // Who coordinates a sector votes in it.
        let own = self.topology.kept().iter().filter(|sector| view.coordinator(**sector) == Some(me));
        for sector in own.copied() {
            let own = self.sectors.entry(sector).or_insert_with(|| Coordinated {
                machine: ParentMachine::new(Scope::Sector(sector), params),
                watchers: BTreeMap::new(),
            });
            own.watchers.retain(|_, until| *until > now.wall_us);
            let topology = &self.topology;
            own.machine.retain_children(|child| match child {
                Scope::Cluster(cluster) => topology.has_agents(cluster),
                Scope::Global | Scope::Sector(_) | Scope::Agent(_) => false,
            });
        }
    }

    /// Whether this node coordinates the sector. The others may know of its election before this thread looked: what they
    /// send at once must not be lost.
    pub(super) fn coordinates(&mut self, sector: SectorId) -> bool {
        if !self.sectors.contains_key(&sector) && self.view.coordinator(sector) == Some(self.me) {
            self.refresh();
        }
        self.sectors.contains_key(&sector)
    }

    /// A node wants this sector's reports: it gets one at once when it is new here, or when all this is news to it.
    pub(super) fn on_watch(&mut self, now: &Now, from: NodeId, sector: SectorId, is_news: bool) -> Result<(), Refusal> {
        let scope = Scope::Sector(sector);
        let is_here = self.coordinates(sector);
        let own = self.sectors.get_mut(&sector).filter(|_| is_here).ok_or(Refusal::NotHere { scope })?;
        if own.watchers.len() >= WATCHERS_MAX && !own.watchers.contains_key(&from) {
            return Err(Refusal::Full { what: "list of watchers", limit: WATCHERS_MAX });
        }
        let is_new = own.watchers.insert(from, now.wall_us.saturating_add(WATCH_US)).is_none();
        if is_new || is_news {
            let message = UpMessage::Stage(Box::new(own.machine.stage_report(now.mesh)));
            self.send(from, Message::Up { tenure: None, message, answers: Vec::new() });
        }
        Ok(())
    }

    /// Lets coordinators and the orchestrator do what is due.
    pub(super) fn poll_parents(&mut self) {
        let sectors: Vec<SectorId> = self.sectors.keys().copied().collect();
        for sector in sectors {
            let now = self.clock.now();
            let Some(own) = self.sectors.get_mut(&sector) else { continue };
            if own.machine.next_wakeup().is_some_and(|at| at <= now.mesh) {
                let actions = own.machine.poll(now.mesh);
                self.sector_actions(sector, &now, actions);
                self.poll_hosted();
            }
        }
        let now = self.clock.now();
        if self.orchestrator.next_wakeup().is_some_and(|at| at <= now.mesh) {
            let actions = self.orchestrator.poll(now.mesh);
            self.orchestrator_actions(actions);
        }
    }

    /// An orchestrator's message, whose event was checked.
    pub(super) fn on_down_to_sector(&mut self, now: &Now, sector: SectorId, message: &DownMessage) {
        let Some(own) = self.sectors.get_mut(&sector) else { return };
        let actions = match message {
            DownMessage::Prepare(prepare) => {
                let enrolments = self.topology.enrol(&prepare.event.event, Level::ClustersOf(sector));
                own.machine.on_prepare(now.mesh, prepare, &enrolments)
            }
            DownMessage::Cancel(event) => own.machine.on_cancel(*event),
        };
        self.sector_actions(sector, now, actions);
    }

    /// A lead's word to its coordinator, whose right to say it was checked.
    pub(super) fn on_up_to_sector(&mut self, now: &Now, sector: SectorId, message: UpMessage) {
        let Some(own) = self.sectors.get_mut(&sector) else { return };
        let actions = match message {
            UpMessage::Stage(report) => {
                own.machine.on_stage(now.mesh, *report);
                return;
            }
            UpMessage::Fold(fold) => own.machine.on_fold(now.mesh, *fold),
        };
        self.sector_actions(sector, now, actions);
    }

    fn sector_actions(&mut self, sector: SectorId, now: &Now, actions: Vec<ParentAction>) {
        let scope = Scope::Sector(sector);
        for action in actions {
            match action {
                ParentAction::ToChild { child: Scope::Cluster(cluster), message } => {
                    match self.view.lead(cluster, now.mesh) {
                        Some((lead, _)) => self.send(lead, Message::Down { child: Scope::Cluster(cluster), message }),
                        None => self.shared.count("no_lead"),
                    }
                }
                ParentAction::ToChild { .. } => self.shared.count("no_child"),
                ParentAction::ToParent(UpMessage::Stage(report)) => {
                    let watchers = self.sectors.get(&sector).map(|own| own.watchers.keys().copied().collect());
                    let watchers: Vec<NodeId> = watchers.unwrap_or_default();
                    for watcher in watchers {
                        let message = UpMessage::Stage(report.clone());
                        self.send(watcher, Message::Up { tenure: None, message, answers: Vec::new() });
                    }
                }
                ParentAction::ToParent(UpMessage::Fold(fold)) => {
                    let origin = self.origins.get(&(fold.event, scope)).copied();
                    let answers = self.answers.sum(fold.event, scope).to_wire();
                    self.send_up(origin, Message::Up { tenure: None, message: UpMessage::Fold(fold), answers });
                }
            }
        }
    }
}
