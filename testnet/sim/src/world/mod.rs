//! The run: the mesh's own machines, messages between them, virtual time.

mod build;
mod machines;
mod members;
mod routing;
mod trace;
mod waves;

use std::collections::BTreeMap;

use mesh30k_core::event::{DownMessage, Enrolment, EventId, HostReply, LeadMachine, ParentMachine, Prepare, UpMessage};
use mesh30k_core::hosted::HostedAgents;
use mesh30k_ledger::signing::ChainContext;

pub(crate) use self::build::{habitat, links};
pub(crate) use self::machines::Machine;
use self::machines::Wakes;
use self::members::Members;
pub(crate) use self::members::rostered_at;
use self::trace::Trace;
use crate::agenda::Agenda;
use crate::cascade::{CascadeReport, CascadeWatch};
use crate::config::{SimConfig, SimError};
use crate::invariants::Watch;
use crate::layout::Layout;
use crate::report::{Gathered, StrategyReport};
use crate::schedule::{self, AHEAD_US, WavePlan};
use crate::strategies::StrategyKind;
use crate::surroundings::SimHabitat;
use crate::surroundings::draw::Draws;
use crate::surroundings::tree_link::TreeLink;
use crate::truth::WaveTruth;

/// Virtual start: some day of 2026, microseconds since the Unix epoch.
pub(crate) const START_US: i64 = 1_780_000_000_000_000;
/// The operator's wish for a summary after T, and how long corrections count.
const DEADLINE_US: i64 = 2_000_000;
const TTL_MS: u32 = 6_000;
/// From T until an event is counted: every correction is in by then.
const CLOSING_US: i64 = 8_000_000;

#[derive(Clone, Debug)]
enum Happening {
    Wake(Machine),
    Down(Machine, Box<DownMessage>),
    Up(Machine, UpMessage),
    /// Waited out a stall of the lead.
    ToLead(u32, HostReply),
    Dispatch(u32),
    Close(EventId),
    Kill(u32),
    Member(members::Change),
}

/// One mesh under one strategy.
pub(crate) struct World<'a> {
    config: &'a SimConfig,
    kind: StrategyKind,
    target_p: f64,
    layout: Layout,
    context: ChainContext,
    plans: &'a [WavePlan],
    now_us: i64,
    agenda: Agenda<Happening>,
    wakes: Wakes,
    /// Ways down to and up from each coordinator and each lead.
    sector_links: Vec<(TreeLink, TreeLink)>,
    lead_links: Vec<(TreeLink, TreeLink)>,
    sector_errors_us: Vec<i64>,
    lead_errors_us: Vec<i64>,
    stall_share: f64,
    orchestrator: ParentMachine,
    coordinators: Vec<ParentMachine>,
    /// Open events that each sector's backup coordinator was told of, where coordinators die.
    told: BTreeMap<u32, Vec<(Prepare, Vec<Enrolment>)>>,
    /// Until when a sector has no coordinator.
    headless_until_us: BTreeMap<u32, i64>,
    leads: Vec<LeadMachine>,
    hosts: Vec<HostedAgents<SimHabitat>>,
    members: Members,
    waves: BTreeMap<EventId, WaveTruth>,
    watch: Watch,
    gathered: Gathered,
    /// Where events are cascades at once.
    cascades: Option<CascadeWatch>,
    steps: u64,
    trace: Trace,
}

/// Runs one strategy over all events; `progress` hears of every event that was counted.
pub(crate) fn run(
    config: &SimConfig,
    kind: StrategyKind,
    progress: &(dyn Fn(StrategyKind, u32) + Sync),
) -> Result<StrategyReport, SimError> {
    let plans = schedule::waves(config, START_US)?;
    let mut world = World::new(config, kind, &plans)?;
    let end_us = world.drive(progress);
    let (steps, trace_hash, breaches) = (world.steps, world.trace.hex(), world.watch.verdict());
    let report = world.gathered.report(world.target_p);
    Ok(StrategyReport { steps, trace_hash, breaches, mesh_s: (end_us - START_US) / 1_000_000, ..report })
}

/// As [`run`], for events that are sent at once.
pub(crate) fn run_cascades(
    config: &SimConfig,
    kind: StrategyKind,
    progress: &(dyn Fn(StrategyKind, u32) + Sync),
) -> Result<CascadeReport, SimError> {
    let plans = schedule::waves(config, START_US)?;
    let mut world = World::new(config, kind, &plans)?;
    world.drive(progress);
    Ok(world.cascades.take().unwrap_or_default().report(config))
}

impl World<'_> {
    /// Runs to the end of the last event; returns when that was.
    fn drive(&mut self, progress: &(dyn Fn(StrategyKind, u32) + Sync)) -> i64 {
        let ahead_us = if self.config.at_once { 0 } else { AHEAD_US };
        for (index, plan) in self.plans.iter().enumerate() {
            self.agenda.push(plan.target_us - ahead_us, Happening::Dispatch(index as u32));
        }
        let end_us = self.plans.last().map_or(START_US, |plan| plan.target_us) + CLOSING_US + 1;
        let mut told = 0;
        while let Some((at_us, happening)) = self.agenda.pop(end_us) {
            self.now_us = at_us;
            self.happen(happening);
            let counted = self.gathered.per_wave.len() as u32;
            if counted > told {
                told = counted;
                progress(self.kind, told);
            }
        }
        end_us
    }

    fn happen(&mut self, happening: Happening) {
        self.steps += 1;
        match happening {
            Happening::Wake(machine) => {
                if self.wakes.rings(machine, self.now_us) {
                    self.trace.wake(self.now_us, machine);
                    self.poll(machine);
                }
            }
            Happening::Down(machine, message) => self.on_down(machine, *message),
            Happening::Up(machine, message) => self.on_up(machine, message),
            Happening::ToLead(lead, reply) => self.reach_lead(lead, reply),
            Happening::Dispatch(index) => self.dispatch(index),
            Happening::Close(event) => self.close(event),
            Happening::Kill(sector) => self.kill(sector),
            Happening::Member(change) => self.member(change),
        }
    }

    /// Draws of a node of the tree; agents have positive owners of their own.
    fn node_draws(&self, machine: Machine) -> Draws {
        Draws::new(self.config.seed, machine.owner())
    }
}
