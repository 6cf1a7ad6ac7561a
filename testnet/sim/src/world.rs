//! The run: machines, messages between them, virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh30k_core::event::{
    ClassSet, DownMessage, Event, EventId, FoldedAck, HostMessage, HostReply, LeadAction, LeadMachine, ParentAction,
    ParentMachine, PlanError, PlanRequest, Prepare, SignedEvent, Strategy, UpMessage, Verb,
};
use mesh30k_core::hosted::{HarnessRecord, HostedAction, HostedAgents, Replay};
use mesh30k_core::time::MeshTimeUs;
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{AgentClass, AgentId, ChainId, ClusterId, Hash, NodeId, Scope, SectorId};

use crate::agenda::Agenda;
use crate::config::{SimConfig, SimError};
use crate::layout::Layout;
use crate::network::Network;
use crate::report::{SimReport, WaveReport};

/// Virtual start: some day of 2026, microseconds since the Unix epoch.
const START_US: i64 = 1_780_000_000_000_000;
/// The operator's wish for a summary after T, and how long corrections count.
const DEADLINE_US: i64 = 2_000_000;
const TTL_MS: u32 = 6_000;
/// From one T to the planning of the next wave.
const REST_US: i64 = 7_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Machine {
    Orchestrator,
    Coordinator(SectorId),
    Lead(ClusterId),
    Host(NodeId),
}

#[derive(Clone, Debug)]
enum Happening {
    Wake(Machine),
    Down(Machine, DownMessage),
    Up(Machine, UpMessage),
    ToHost(NodeId, HostMessage),
    ToLead(HostReply),
}

struct World<'a> {
    config: &'a SimConfig,
    layout: &'a Layout,
    context: ChainContext,
    now_us: i64,
    agenda: Agenda<Happening>,
    planned: BTreeMap<Machine, i64>,
    network: Network,
    clock_errors: BTreeMap<u64, i64>,
    orchestrator: ParentMachine,
    coordinators: BTreeMap<SectorId, ParentMachine>,
    leads: BTreeMap<ClusterId, LeadMachine>,
    hosts: BTreeMap<NodeId, HostedAgents>,
    records: BTreeMap<EventId, BTreeMap<AgentId, HarnessRecord>>,
    folds: BTreeMap<EventId, FoldedAck>,
    steps: u64,
    trace: blake3::Hasher,
}

/// Runs a mesh from forming to the last wave.
///
/// # Errors
/// [`SimError`] when the configuration or the embedded delays cannot be used.
pub fn run(config: &SimConfig) -> Result<SimReport, SimError> {
    config.check()?;
    let layout = Layout::new(config);
    let context = ChainContext { chain: ChainId::new("sim")?, genesis: Hash::ZERO };
    let mut world = World::new(config, &layout, context, Arc::new(Replay::embedded()?));
    world.advance(START_US + config.warm_up_us);
    let warm = world.orchestrator.stage_report(MeshTimeUs(world.now_us)).warm;
    world.kill(config.dead);
    let mut waves = Vec::new();
    for (index, strategy) in config.waves.iter().enumerate() {
        waves.push(world.wave(index as u64, *strategy));
    }
    Ok(SimReport {
        seed: config.seed,
        agents: config.agents,
        warm,
        waves,
        steps: world.steps,
        trace_hash: world.trace.finalize().to_hex().to_string(),
    })
}

impl<'a> World<'a> {
    fn new(config: &'a SimConfig, layout: &'a Layout, context: ChainContext, replay: Arc<Replay>) -> Self {
        let anchor = NodeId(1);
        let mut world = World {
            config,
            layout,
            context,
            now_us: START_US,
            agenda: Agenda::new(),
            planned: BTreeMap::new(),
            network: Network::new(config.seed),
            clock_errors: BTreeMap::new(),
            orchestrator: ParentMachine::new(Scope::Global, config.params),
            coordinators: BTreeMap::new(),
            leads: BTreeMap::new(),
            hosts: BTreeMap::new(),
            records: BTreeMap::new(),
            folds: BTreeMap::new(),
            steps: 0,
            trace: blake3::Hasher::new(),
        };
        for node in 1..=u64::from(config.hosts) {
            let error_us = if node == anchor.0 { 0 } else { world.network.clock_error_us(config.node_clock_error_us) };
            world.clock_errors.insert(node, error_us);
        }
        for (host, spec) in layout.hosted() {
            let hosted =
                world.hosts.entry(host).or_insert_with(|| HostedAgents::new(host, config.seed, replay.clone()));
            hosted.add(START_US, spec);
        }
        for sector in layout.sectors() {
            world.coordinators.insert(sector, ParentMachine::new(Scope::Sector(sector), config.params));
        }
        for (cluster, links) in &layout.clusters {
            let mut lead = LeadMachine::new(*cluster, anchor, config.params);
            lead.set_agents(world.mesh_now(Machine::Lead(*cluster)), links);
            world.leads.insert(*cluster, lead);
            world.wake_at(Machine::Lead(*cluster), START_US);
        }
        world
    }

    /// The node a machine runs on.
    fn node_of(&self, machine: Machine) -> u64 {
        match machine {
            Machine::Orchestrator => 1,
            Machine::Coordinator(sector) => u64::from(sector.0) % u64::from(self.config.hosts) + 1,
            Machine::Lead(cluster) => {
                self.layout.clusters.get(&cluster).and_then(|l| l.first()).map_or(1, |link| link.host.0)
            }
            Machine::Host(host) => host.0,
        }
    }

    /// Mesh time as the machine's node has it.
    fn mesh_now(&self, machine: Machine) -> MeshTimeUs {
        let error_us = self.clock_errors.get(&self.node_of(machine)).copied().unwrap_or(0);
        MeshTimeUs(self.now_us + error_us)
    }

    /// The first `dead` agents' hosts stop answering for them.
    fn kill(&mut self, dead: u32) {
        let doomed: Vec<(NodeId, AgentId)> =
            self.layout.hosted().take(dead as usize).map(|(host, spec)| (host, spec.agent)).collect();
        for (host, agent) in doomed {
            if let Some(hosted) = self.hosts.get_mut(&host) {
                hosted.remove(agent);
            }
        }
    }

    fn wave(&mut self, index: u64, strategy: Strategy) -> WaveReport {
        let now = self.mesh_now(Machine::Orchestrator);
        let ask = |target| PlanRequest { target, classes: self.config.classes, strategy, weight_milli: 0, slack_us: 0 };
        let earliest = match self.orchestrator.plan(now, &ask(None)) {
            Ok(plan) => plan.target,
            Err(_) => now.plus_us(1_000_000),
        };
        let target = self.config.lead_us.map_or(earliest, |lead_us| now.plus_us(lead_us));
        let predicted_hit = match self.orchestrator.plan(now, &ask(Some(target))) {
            Ok(plan) => plan.predicted_hit,
            Err(PlanError::InsufficientLead { predicted_hit, .. }) => predicted_hit,
            Err(PlanError::Nobody) => 0.0,
        };
        let event = signed_event(self.config, &self.context, index, strategy, target);
        let id = event.event.id;
        let prepare = Prepare { fold_by: event.event.deadline, event, sent_at: now };
        let enrolments = self.layout.enrolments(self.config.classes, None);
        let actions = self.orchestrator.on_prepare(now, &prepare, &enrolments);
        self.parent_actions(Machine::Orchestrator, actions);
        self.advance(target.0 + REST_US);
        let records = self.records.remove(&id).unwrap_or_default();
        WaveReport {
            lead_ms: target.since_us(now) / 1_000,
            predicted_hit,
            folded: self.folds.remove(&id),
            ..WaveReport::count(strategy, &self.enrolled(self.config.classes), &records)
        }
    }

    fn enrolled(&self, classes: ClassSet) -> BTreeMap<AgentId, AgentClass> {
        let links = self.layout.clusters.values().flatten();
        links.filter(|l| classes.contains(l.class)).map(|l| (l.agent, l.class)).collect()
    }

    fn advance(&mut self, until_us: i64) {
        while let Some((at_us, happening)) = self.agenda.pop(until_us) {
            self.now_us = at_us;
            self.steps += 1;
            self.trace.update(&at_us.to_le_bytes());
            self.happen(happening);
        }
        self.now_us = until_us;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wake(machine) => {
                self.planned.remove(&machine);
                self.poll(machine);
            }
            Happening::Down(machine, message) => self.on_down(machine, &message),
            Happening::Up(machine, message) => self.on_up(machine, message),
            Happening::ToHost(host, message) => {
                self.trace.update(&encode(&message));
                if let Some(hosted) = self.hosts.get_mut(&host) {
                    hosted.on_message(self.now_us, &message);
                }
                self.poll(Machine::Host(host));
            }
            Happening::ToLead(reply) => {
                self.trace.update(&encode(&reply));
                let machine = Machine::Lead(reply.cluster);
                let now = self.mesh_now(machine);
                let actions = self.leads.get_mut(&reply.cluster).map(|l| l.on_reply(now, &reply)).unwrap_or_default();
                self.lead_actions(reply.cluster, actions);
                self.plan_wake(machine);
            }
        }
    }

    fn on_down(&mut self, machine: Machine, message: &DownMessage) {
        self.trace.update(&encode(message));
        let now = self.mesh_now(machine);
        match (machine, message) {
            (Machine::Lead(cluster), message) => {
                let Some(lead) = self.leads.get_mut(&cluster) else { return };
                let actions = match message {
                    DownMessage::Prepare(prepare) => lead.on_prepare(now, prepare),
                    DownMessage::Cancel(event) => lead.on_cancel(*event),
                };
                self.lead_actions(cluster, actions);
            }
            (Machine::Coordinator(sector), message) => {
                let Some(parent) = self.coordinators.get_mut(&sector) else { return };
                let actions = match message {
                    DownMessage::Prepare(prepare) => {
                        let enrolments = self.layout.enrolments(prepare.event.event.classes, Some(sector));
                        parent.on_prepare(now, prepare, &enrolments)
                    }
                    DownMessage::Cancel(event) => parent.on_cancel(*event),
                };
                self.parent_actions(machine, actions);
            }
            (Machine::Orchestrator | Machine::Host(_), _) => {}
        }
        self.plan_wake(machine);
    }

    fn on_up(&mut self, machine: Machine, message: UpMessage) {
        self.trace.update(&encode(&message));
        let now = self.mesh_now(machine);
        let parent = match machine {
            Machine::Coordinator(sector) => self.coordinators.get_mut(&sector),
            _ => Some(&mut self.orchestrator),
        };
        let Some(parent) = parent else { return };
        let actions = match message {
            UpMessage::Stage(report) => {
                parent.on_stage(now, *report);
                Vec::new()
            }
            UpMessage::Fold(fold) => parent.on_fold(now, *fold),
        };
        self.parent_actions(machine, actions);
        self.plan_wake(machine);
    }

    fn poll(&mut self, machine: Machine) {
        let now = self.mesh_now(machine);
        match machine {
            Machine::Orchestrator => {
                let actions = self.orchestrator.poll(now);
                self.parent_actions(machine, actions);
            }
            Machine::Coordinator(sector) => {
                let actions = self.coordinators.get_mut(&sector).map(|c| c.poll(now)).unwrap_or_default();
                self.parent_actions(machine, actions);
            }
            Machine::Lead(cluster) => {
                let actions = self.leads.get_mut(&cluster).map(|l| l.poll(now)).unwrap_or_default();
                self.lead_actions(cluster, actions);
            }
            Machine::Host(host) => {
                let actions = self.hosts.get_mut(&host).map(|h| h.poll(self.now_us)).unwrap_or_default();
                self.host_actions(host, actions);
            }
        }
        self.plan_wake(machine);
    }

    fn plan_wake(&mut self, machine: Machine) {
        let local = match machine {
            Machine::Orchestrator => self.orchestrator.next_wakeup(),
            Machine::Coordinator(sector) => self.coordinators.get(&sector).and_then(ParentMachine::next_wakeup),
            Machine::Lead(cluster) => self.leads.get(&cluster).and_then(LeadMachine::next_wakeup),
            Machine::Host(host) => self.hosts.get(&host).and_then(|h| h.next_wakeup_us()).map(MeshTimeUs),
        };
        let Some(at) = local else { return };
        let ahead_us = match machine {
            Machine::Host(_) => 0,
            _ => self.mesh_now(machine).0 - self.now_us,
        };
        self.wake_at(machine, at.0.max(START_US).saturating_sub(ahead_us));
    }

    fn wake_at(&mut self, machine: Machine, at_us: i64) {
        if self.planned.get(&machine).is_some_and(|planned| *planned <= at_us) {
            return;
        }
        self.planned.insert(machine, at_us);
        let late_us = self.network.timer_late_us(self.config.timer_late_us);
        self.agenda.push(at_us.max(self.now_us) + late_us, Happening::Wake(machine));
    }

    fn send(&mut self, from: u64, to: u64, happening: Happening) {
        let at_us = self.network.arrival_us(self.now_us, from, to);
        self.agenda.push(at_us, happening);
    }

    fn parent_actions(&mut self, machine: Machine, actions: Vec<ParentAction>) {
        let from = self.node_of(machine);
        for action in actions {
            match (action, machine) {
                (ParentAction::ToChild { child, message }, _) => {
                    let target = match child {
                        Scope::Sector(sector) => Machine::Coordinator(sector),
                        Scope::Cluster(cluster) => Machine::Lead(cluster),
                        Scope::Global | Scope::Agent(_) => continue,
                    };
                    self.send(from, self.node_of(target), Happening::Down(target, message));
                }
                (ParentAction::ToParent(UpMessage::Fold(fold)), Machine::Orchestrator) => {
                    self.folds.insert(fold.event, *fold);
                }
                (ParentAction::ToParent(message), _) => {
                    self.send(from, 1, Happening::Up(Machine::Orchestrator, message))
                }
            }
        }
        self.plan_wake(machine);
    }

    fn lead_actions(&mut self, cluster: ClusterId, actions: Vec<LeadAction>) {
        let from = self.node_of(Machine::Lead(cluster));
        for action in actions {
            match action {
                LeadAction::ToHost { host, message } => self.send(from, host.0, Happening::ToHost(host, message)),
                LeadAction::ToParent(message) => {
                    let parent = Machine::Coordinator(cluster.sector);
                    self.send(from, self.node_of(parent), Happening::Up(parent, message));
                }
            }
        }
    }

    fn host_actions(&mut self, host: NodeId, actions: Vec<HostedAction>) {
        for action in actions {
            match action {
                HostedAction::Reply(reply) => {
                    let to = self.node_of(Machine::Lead(reply.cluster));
                    self.send(host.0, to, Happening::ToLead(reply));
                }
                HostedAction::Record(record) => {
                    self.trace.update(&record.agent.0.to_le_bytes());
                    self.trace.update(&record.released_us.unwrap_or(0).to_le_bytes());
                    self.records.entry(record.event).or_default().insert(record.agent, record);
                }
            }
        }
    }
}

fn signed_event(
    config: &SimConfig,
    context: &ChainContext,
    index: u64,
    strategy: Strategy,
    target: MeshTimeUs,
) -> SignedEvent {
    let key = SecretKey::from_seed([7; 32]);
    let nonce = Hash::of(&[config.seed.to_le_bytes(), index.to_le_bytes()].concat());
    let event = Event {
        id: EventId::new(target, nonce.as_bytes()),
        origin: key.public(),
        target,
        strategy,
        effects: false,
        kind: Verb::Sync,
        weight_milli: 0,
        payload: Vec::new(),
        classes: config.classes,
        capabilities: 0,
        priority: 1,
        deadline: target.plus_us(DEADLINE_US),
        ttl_ms: TTL_MS,
        scope: Scope::Global,
    };
    event.sign(context, &key)
}
