//! A mesh at its start.

use std::sync::Arc;

use mesh30k_core::event::{LeadMachine, ParentMachine};
use mesh30k_core::hosted::{HostedAgent, HostedAgents, Replay};
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{ChainId, Hash, NodeId, Scope, SectorId};

use super::machines::{Machine, Wakes};
use super::members::Members;
use super::trace::Trace;
use super::{START_US, World};
use crate::agenda::Agenda;
use crate::cascade::CascadeWatch;
use crate::config::{Scenario, SimConfig, SimError};
use crate::invariants::Watch;
use crate::layout::Layout;
use crate::report::Gathered;
use crate::schedule::WavePlan;
use crate::strategies::StrategyKind;
use crate::surroundings::draw::Draws;
use crate::surroundings::tree_link::TreeLink;
use crate::surroundings::{AgentFaults, SimHabitat, death, lead_stall, node_clock};

/// Median floors of one way: from the root to a region, and within it.
const SECTOR_WAY_US: f64 = 35_000.0;
const LEAD_WAY_US: f64 = 5_000.0;
/// How long before the middle event the slow-down comes.
const SLOWER_BEFORE_US: i64 = 12_000_000;

/// What surrounds the agents of a run.
pub(crate) fn habitat(config: &SimConfig, plans: &[WavePlan]) -> Result<SimHabitat, SimError> {
    let replayed = config.scenario == Scenario::Replayed;
    let replay = match &config.replay {
        Some(replay) => Some(replay.clone()),
        None if replayed => Some(Arc::new(Replay::embedded()?)),
        None => None,
    };
    let middle = plans.get(plans.len() / 2).filter(|_| config.scenario == Scenario::Slowdown);
    let faults = AgentFaults {
        dead_share: (death::SHARE * config.fault_factor).min(0.5),
        clock_steps: config.fault_factor > 0.0,
        hiccups: config.fault_factor > 0.0,
        slow_from_us: middle.map(|plan| plan.target_us - SLOWER_BEFORE_US),
        work: !config.at_once,
    };
    Ok(SimHabitat { seed: config.seed, replay: replay.filter(|_| replayed), faults })
}

/// The way down to a coordinator or lead and the way back.
pub(crate) fn links(seed: u64, machine: Machine) -> (TreeLink, TreeLink) {
    let median_us = if matches!(machine, Machine::Coordinator(_)) { SECTOR_WAY_US } else { LEAD_WAY_US };
    let way = |direction: u64| TreeLink::new(Draws::new(seed, machine.owner() | direction << 56), median_us);
    (way(1), way(2))
}

impl<'a> World<'a> {
    pub(crate) fn new(config: &'a SimConfig, kind: StrategyKind, plans: &'a [WavePlan]) -> Result<Self, SimError> {
        let layout = Layout::new(config.agents);
        let target_p = config.target_p.unwrap_or(kind.usual_p());
        let params = kind.params(target_p);
        let habitat = habitat(config, plans)?;
        let error = |machine: Machine| node_clock::error_us(Draws::new(config.seed, machine.owner()));
        let lie = |lead| match config.scenario {
            Scenario::Liars => node_clock::lie_us(Draws::new(config.seed, Machine::Lead(lead).owner())),
            _ => 0,
        };
        let anchor = NodeId(1);
        let mut world = World {
            config,
            kind,
            target_p,
            layout,
            context: ChainContext { chain: ChainId::new("sim")?, genesis: Hash::ZERO },
            plans,
            now_us: START_US,
            agenda: Agenda::new(),
            wakes: Wakes::new(&layout),
            sector_links: (0..layout.sectors).map(|s| links(config.seed, Machine::Coordinator(s))).collect(),
            lead_links: (0..layout.leads()).map(|l| links(config.seed, Machine::Lead(l))).collect(),
            sector_errors_us: (0..layout.sectors).map(|s| error(Machine::Coordinator(s))).collect(),
            lead_errors_us: (0..layout.leads()).map(|l| error(Machine::Lead(l)) + lie(l)).collect(),
            stall_share: (lead_stall::SHARE * config.fault_factor).min(0.9),
            orchestrator: ParentMachine::new(Scope::Global, params),
            coordinators: (0..layout.sectors).map(|s| ParentMachine::new(Scope::Sector(SectorId(s)), params)).collect(),
            told: std::collections::BTreeMap::new(),
            headless_until_us: std::collections::BTreeMap::new(),
            leads: (0..layout.leads()).map(|l| LeadMachine::new(layout.cluster(l), anchor, params)).collect(),
            hosts: (0..layout.hosts())
                .map(|h| HostedAgents::within(NodeId(u64::from(h) + 1), habitat.clone()))
                .collect(),
            members: Members::new(config, plans)?,
            waves: std::collections::BTreeMap::new(),
            watch: Watch::new(kind.hedge_budget_ppm()),
            gathered: Gathered::default(),
            cascades: config.at_once.then(CascadeWatch::default),
            steps: 0,
            trace: Trace::new(),
        };
        world.settle();
        Ok(world)
    }

    /// Everybody who is a member at the start takes its place.
    fn settle(&mut self) {
        for agent in self.members.present() {
            self.add_hosted(agent);
        }
        for lead in 0..self.layout.leads() {
            self.tell_roster(lead);
            self.plan_wake(Machine::Lead(lead));
        }
        self.plan_changes();
    }

    pub(super) fn add_hosted(&mut self, agent: u32) {
        let link = self.layout.link(agent);
        let cluster = self.layout.cluster(self.layout.lead_of(agent));
        let spec = HostedAgent { agent: link.agent, class: link.class, capabilities: link.capabilities, cluster };
        self.hosts[self.layout.host_of(agent) as usize].add(self.now_us, spec);
    }
}
