//! Whose reports this node gets: always those of the sectors it keeps, and those of all sectors while it is asked to plan
//! or start events. Were every node to watch every sector, a hundred nodes would send ten thousand reports a second and keep
//! connections to everybody, for nothing.

use std::collections::{BTreeMap, BTreeSet};

use mesh30k_core::event::{ClassSet, EventId, ParentMachine, Reach, SignedEvent};
use mesh30k_ledger::types::{NodeId, Scope, SectorId};
use tokio::sync::oneshot;

use super::engine::Engine;
use super::orchestrating::{Admission, PlanAsk};
use super::refusal::EventError;
use super::shared::WarmUp;
use super::view::Now;
use super::wire::Message;
use crate::api::types::PlanAnswer;

/// A node asks a coordinator again this often, and this often while nothing came yet.
const WATCH_AGAIN_US: i64 = 10_000_000;
const WATCH_FIRST_US: i64 = 500_000;
/// A node that was asked to plan or to start something watches every sector for so long.
const ORCHESTRATES_US: i64 = 60_000_000;
/// A report younger than this need not be waited for: they come each second while there is something new, else each fifteen.
const FRESH_US: i64 = 18_000_000;
/// A plan or an event waits at most this long for reports of sectors that were not watched.
const WAIT_US: i64 = 2_000_000;
/// Plans and events that wait, at most.
const WAITING_MAX: usize = 64;

/// What was asked and waits for reports.
pub(super) enum Ask {
    /// What could be done?
    Plan(PlanAsk, oneshot::Sender<Result<PlanAnswer, EventError>>),
    /// Do it.
    Start(Box<SignedEvent>, Admission, oneshot::Sender<Result<EventId, EventError>>),
}

impl Ask {
    /// Nobody is told.
    fn refuse(self, error: EventError) {
        match self {
            Self::Plan(_, answer) => drop(answer.send(Err(error))),
            Self::Start(_, _, answer) => drop(answer.send(Err(error))),
        }
    }
}

/// Whom this node watches, who reported, and what waits for reports. Times are the machine's clock.
#[derive(Default)]
pub(super) struct Watching {
    /// Coordinators asked, and when to ask again.
    asked: BTreeMap<SectorId, (NodeId, i64)>,
    /// When each sector reported last.
    heard: BTreeMap<SectorId, i64>,
    /// Until when every sector is watched.
    orchestrates_until_us: i64,
    waiting: Vec<(i64, Ask)>,
    /// Machine agents of each watched sector, by the roster.
    machines: BTreeMap<SectorId, u32>,
}

impl Watching {
    /// A sector's report came.
    pub(super) fn on_report(&mut self, sector: SectorId, now_us: i64) {
        self.heard.insert(sector, now_us);
    }

    /// The roster changed.
    pub(super) fn on_moved(&mut self) {
        self.machines.clear();
    }

    /// Whether something waits that may be answered now.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When the first of what waits is answered whatever came.
    pub(super) fn next_us(&self) -> Option<i64> {
        self.waiting.iter().map(|(until_us, _)| *until_us).min()
    }

    fn is_fresh(&self, sector: SectorId, now_us: i64) -> bool {
        self.heard.get(&sector).is_some_and(|at| now_us.saturating_sub(*at) <= FRESH_US)
    }
}

impl Engine {
    /// The sectors this node watches now.
    pub(super) fn watched(&self, now: &Now) -> BTreeSet<SectorId> {
        if now.wall_us < self.watching.orchestrates_until_us {
            return self.topology.roster().sectors.keys().copied().collect();
        }
        self.topology.kept().clone()
    }

    /// Asks coordinators for their reports: new ones at once, known ones again and again.
    pub(super) fn watch_sectors(&mut self, now: &Now) {
        let (sectors, params) = (self.watched(now), self.rules.params);
        self.watching.asked.retain(|sector, _| sectors.contains(sector));
        self.watching.heard.retain(|sector, _| sectors.contains(sector));
        self.watching.machines.retain(|sector, _| sectors.contains(sector));
        self.planners.retain(|sector, _| sectors.contains(sector));
        self.orchestrator.retain_children(|child| matches!(child, Scope::Sector(sector) if sectors.contains(&sector)));
        for sector in sectors {
            self.planners.entry(sector).or_insert_with(|| ParentMachine::new(Scope::Global, params));
            let topology = &self.topology;
            self.watching.machines.entry(sector).or_insert_with(|| topology.machines_of(sector));
            let Some(coordinator) = self.view.coordinator(sector) else { continue };
            let asked = self.watching.asked.get(&sector);
            if asked.is_none_or(|(node, at)| *node != coordinator || *at <= now.wall_us) {
                let is_news = !self.watching.heard.contains_key(&sector);
                let again_us = if is_news { WATCH_FIRST_US } else { WATCH_AGAIN_US };
                self.watching.asked.insert(sector, (coordinator, now.wall_us.saturating_add(again_us)));
                self.send(coordinator, Message::Watch { sector, is_news });
            }
        }
    }

    /// Somebody wants to plan or start something: at once if all it concerns reported, else when they have, or after a while
    /// with what came.
    pub(super) fn ask(&mut self, ask: Ask) {
        let now = self.clock.now();
        self.watching.orchestrates_until_us = now.wall_us.saturating_add(ORCHESTRATES_US);
        // More sectors may be watched from now on: whoever reads how far they are is not to read what was before.
        self.next_publish_us = now.wall_us;
        self.watch_sectors(&now);
        self.deliver_local();
        if self.watching.waiting.len() >= WAITING_MAX {
            return ask.refuse(EventError::Busy);
        }
        self.watching.waiting.push((now.wall_us.saturating_add(WAIT_US), ask));
        self.answer_waiting();
    }

    /// Answers what need not wait any longer.
    pub(super) fn answer_waiting(&mut self) {
        if !self.watching.has_waiting() {
            return;
        }
        let now = self.clock.now();
        for (until_us, ask) in std::mem::take(&mut self.watching.waiting) {
            if until_us > now.wall_us && !self.has_reports_for(&ask, &now) {
                self.watching.waiting.push((until_us, ask));
                continue;
            }
            match ask {
                Ask::Plan(ask, answer) => drop(answer.send(self.plan(&ask))),
                Ask::Start(event, admission, answer) => {
                    let started = self.start(*event, admission);
                    if let Err(refusal) = &started {
                        self.shared.count(refusal.name());
                    }
                    drop(answer.send(started));
                }
            }
        }
    }

    fn has_reports_for(&self, ask: &Ask, now: &Now) -> bool {
        let only = match ask {
            Ask::Plan(plan, _) => self.sector_of_selection(&plan.selection, &plan.selection.agents),
            Ask::Start(_, Admission::Anyway, _) => return true,
            // Above the agents nobody needs time to prepare, so nothing is planned.
            Ask::Start(event, _, _) if event.event.reach != Reach::Agents => return true,
            Ask::Start(event, Admission::InTime, _) => self.sector_of(&event.event),
        };
        let mut meant = self.topology.roster().sectors.keys().filter(|sector| only.is_none_or(|one| one == **sector));
        meant.all(|sector| self.watching.is_fresh(*sector, now.wall_us))
    }

    /// How far the measuring of links has come in the clusters led here and in the sectors watched.
    pub(super) fn warm_up(&self, now: &Now) -> WarmUp {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let held = || self.leads.values().filter(|led| led.parked_us.is_none());
        let known: u32 = self.watching.machines.values().sum();
        let report = self.orchestrator.stage_report(now.mesh);
        WarmUp {
            led: held().map(|led| led.agents).sum(),
            led_warm: held().map(|led| led.warm).sum(),
            mesh: known.max(report.agents(ClassSet::MACHINES)),
            mesh_warm: report.warm,
            sectors: count(self.watching.heard.len()),
            watched: count(self.watching.machines.len()),
            known_sectors: count(self.topology.roster().sectors.len()),
        }
    }
}
