//! Messages between machines, and what each machine does with them.

use mesh30k_core::event::{
    AnswerBody, DownMessage, HostMessage, HostReply, LeadAction, ParentAction, ParentMachine, UpMessage,
};
use mesh30k_core::hosted::HostedAction;
use mesh30k_core::time::MeshTimeUs;
use mesh30k_ledger::types::{Scope, SectorId};

use super::machines::Machine;
use super::{Happening, START_US, World};
use crate::config::{Plant, Scenario};
use crate::invariants::Fact;
use crate::layout::position;
use crate::surroundings::lead_stall;

impl World<'_> {
    /// Mesh time as the machine's node has it.
    pub(super) fn mesh_now(&self, machine: Machine) -> MeshTimeUs {
        MeshTimeUs(self.now_us + self.error_us(machine))
    }

    fn error_us(&self, machine: Machine) -> i64 {
        match machine {
            Machine::Orchestrator | Machine::Host(_) => 0,
            Machine::Coordinator(sector) => self.sector_errors_us[sector as usize],
            Machine::Lead(lead) => self.lead_errors_us[lead as usize],
        }
    }

    /// When the stall ends that a lead is in, if it is in one.
    pub(super) fn stalled_until_us(&self, lead: u32, at_us: i64) -> Option<i64> {
        let draws = self.node_draws(Machine::Lead(lead));
        let by_event =
            (self.config.scenario == Scenario::LeadStalled).then(|| self.event_stall_us(lead, at_us)).flatten();
        by_event.or_else(|| lead_stall::end_us(draws, self.stall_share, at_us))
    }

    pub(super) fn on_down(&mut self, machine: Machine, message: DownMessage) {
        self.trace.message(self.now_us, machine, 1);
        match machine {
            Machine::Lead(lead) => {
                if let Some(end_us) = self.stalled_until_us(lead, self.now_us) {
                    return self.agenda.push(end_us, Happening::Down(machine, Box::new(message)));
                }
                let now = self.mesh_now(machine);
                let target = &mut self.leads[lead as usize];
                let actions = match &message {
                    DownMessage::Prepare(prepare) => target.on_prepare(now, prepare),
                    DownMessage::Cancel(event) => target.on_cancel(*event),
                };
                self.lead_actions(lead, actions);
            }
            Machine::Coordinator(sector) => self.coordinate(sector, &message),
            Machine::Orchestrator | Machine::Host(_) => {}
        }
    }

    fn coordinate(&mut self, sector: u32, message: &DownMessage) {
        let machine = Machine::Coordinator(sector);
        let now = self.mesh_now(machine);
        let actions = match message {
            DownMessage::Prepare(prepare) => {
                let mut enrolments = self.enrolments(sector);
                let event = &prepare.event.event;
                let children: Vec<(Scope, u32)> = enrolments.iter().map(|e| (e.child, e.agents.iter().sum())).collect();
                self.watch.see(&Fact::Dispatched {
                    event: event.id,
                    at: Scope::Sector(SectorId(sector)),
                    children: &children,
                    effects: event.effects,
                });
                if self.config.plant == Some(Plant::ForgottenCluster) {
                    enrolments.pop();
                }
                if self.config.scenario == Scenario::CoordinatorKilled {
                    self.told.entry(sector).or_default().push((prepare.clone(), enrolments.clone()));
                }
                self.coordinators[sector as usize].on_prepare(now, prepare, &enrolments)
            }
            DownMessage::Cancel(event) => self.coordinators[sector as usize].on_cancel(*event),
        };
        self.parent_actions(machine, actions);
    }

    pub(super) fn on_up(&mut self, machine: Machine, message: UpMessage) {
        if let Machine::Coordinator(sector) = machine
            && let Some(until_us) = self.headless_until_us.get(&sector).filter(|until| **until > self.now_us)
        {
            // Nobody answers: the stream is opened again once somebody does.
            return self.agenda.push(*until_us, Happening::Up(machine, message));
        }
        self.trace.message(self.now_us, machine, 2);
        let now = self.mesh_now(machine);
        if let UpMessage::Fold(fold) = &message {
            self.watch.see(&Fact::Delivered { parent: self.scope_of(machine), fold });
            if let Some(cascades) = &mut self.cascades {
                cascades.delivered(fold.from, self.now_us);
            }
        }
        let parent = match machine {
            Machine::Coordinator(sector) => &mut self.coordinators[sector as usize],
            _ => &mut self.orchestrator,
        };
        let actions = match message {
            UpMessage::Stage(report) => {
                parent.on_stage(now, *report);
                return;
            }
            UpMessage::Fold(fold) => parent.on_fold(now, *fold),
        };
        self.parent_actions(machine, actions);
    }

    /// Answers reach their lead.
    pub(super) fn reach_lead(&mut self, lead: u32, reply: HostReply) {
        if let Some(end_us) = self.stalled_until_us(lead, self.now_us) {
            return self.agenda.push(end_us, Happening::ToLead(lead, reply));
        }
        let machine = Machine::Lead(lead);
        let now = self.mesh_now(machine);
        let scope = self.scope_of(machine);
        let mut has_results = false;
        for answer in &reply.answers {
            if let (Some(cascades), AnswerBody::Armed { .. }) = (&mut self.cascades, &answer.body) {
                cascades.heard(position(answer.agent), self.now_us);
            }
            let (AnswerBody::Released { event, .. } | AnswerBody::Conflict { event, .. }) = answer.body else {
                continue;
            };
            has_results = true;
            // A lead may refuse who left its roster.
            let counts = self.knows(answer.agent) && self.knows(answer.slot);
            if let Some(wave) = self.waves.get(&event).filter(|_| counts) {
                let after_us = now.0 - wave.plan.target_us;
                self.watch.see(&Fact::Answered { event, lead: scope, agent: answer.slot, after_us });
            }
        }
        if has_results && self.config.plant == Some(Plant::LostAck) && self.now_us % 4 == 0 {
            return;
        }
        let actions = self.leads[lead as usize].on_reply(now, &reply);
        self.lead_actions(lead, actions);
    }

    pub(super) fn poll(&mut self, machine: Machine) {
        let now = self.mesh_now(machine);
        match machine {
            Machine::Orchestrator => {
                let actions = self.orchestrator.poll(now);
                self.parent_actions(machine, actions);
            }
            Machine::Coordinator(sector) => {
                let actions = self.coordinators[sector as usize].poll(now);
                self.parent_actions(machine, actions);
            }
            Machine::Lead(lead) => match self.stalled_until_us(lead, self.now_us) {
                Some(end_us) => self.wake_at(machine, end_us),
                None => {
                    let actions = self.leads[lead as usize].poll(now);
                    self.lead_actions(lead, actions);
                }
            },
            Machine::Host(host) => {
                let actions = self.hosts[host as usize].poll(self.now_us);
                self.host_actions(host, actions);
            }
        }
    }

    pub(super) fn plan_wake(&mut self, machine: Machine) {
        let local = match machine {
            Machine::Orchestrator => self.orchestrator.next_wakeup(),
            Machine::Coordinator(sector) => self.coordinators[sector as usize].next_wakeup(),
            Machine::Lead(lead) => self.leads[lead as usize].next_wakeup(),
            Machine::Host(host) => self.hosts[host as usize].next_wakeup_us().map(MeshTimeUs),
        };
        if let Some(at) = local {
            let true_us = at.0.max(START_US).saturating_sub(self.error_us(machine));
            self.wake_at(machine, true_us);
        }
    }

    fn wake_at(&mut self, machine: Machine, at_us: i64) {
        let at_us = at_us.max(self.now_us);
        if self.wakes.plan(machine, at_us) {
            self.agenda.push(at_us, Happening::Wake(machine));
        }
    }

    pub(super) fn parent_actions(&mut self, machine: Machine, actions: Vec<ParentAction>) {
        for action in actions {
            match action {
                ParentAction::ToChild { child, message } => self.send_down(child, message),
                ParentAction::ToParent(message) => self.send_up(machine, message),
            }
        }
        self.plan_wake(machine);
    }

    fn send_down(&mut self, child: Scope, message: DownMessage) {
        let (target, link) = match child {
            Scope::Sector(sector) => (Machine::Coordinator(sector.0), self.sector_links.get_mut(sector.0 as usize)),
            Scope::Cluster(cluster) => match self.layout.lead_at(cluster) {
                Some(lead) => (Machine::Lead(lead), self.lead_links.get_mut(lead as usize)),
                None => return,
            },
            Scope::Global | Scope::Agent(_) => return,
        };
        if let Some((down, _)) = link {
            self.agenda.push(down.arrival_us(self.now_us), Happening::Down(target, Box::new(message)));
        }
    }

    pub(super) fn send_up(&mut self, from: Machine, message: UpMessage) {
        if let UpMessage::Fold(fold) = &message {
            self.watch.see(&Fact::Folded { fold });
            if let Some(cascades) = &mut self.cascades {
                cascades.folded(fold.from, self.now_us, fold.tally.sum(|c| c.released));
            }
        }
        let (to, link) = match (from, message) {
            (Machine::Orchestrator, UpMessage::Fold(fold)) => {
                if let Some(wave) = self.waves.get_mut(&fold.event) {
                    wave.fold = Some(*fold);
                }
                return;
            }
            (Machine::Coordinator(sector), message) => {
                ((Machine::Orchestrator, message), &mut self.sector_links[sector as usize].1)
            }
            (Machine::Lead(lead), message) => {
                let parent = Machine::Coordinator(self.layout.sector_of(lead));
                ((parent, message), &mut self.lead_links[lead as usize].1)
            }
            (Machine::Orchestrator | Machine::Host(_), _) => return,
        };
        self.agenda.push(link.arrival_us(self.now_us), Happening::Up(to.0, to.1));
    }

    pub(super) fn lead_actions(&mut self, lead: u32, actions: Vec<LeadAction>) {
        for action in actions {
            match action {
                LeadAction::ToHost { host, mut message } => {
                    if let HostMessage::Prepare(prepare) = &mut message {
                        self.note_prepares(lead, prepare);
                    }
                    // An agent's way to its lead is in its surroundings; its host is at its end of it.
                    let host = u32::try_from(host.0).unwrap_or(u32::MAX).saturating_sub(1);
                    if let Some(hosted) = self.hosts.get_mut(host as usize) {
                        hosted.on_message(self.now_us, &message);
                        self.plan_wake(Machine::Host(host));
                    }
                }
                LeadAction::ToParent(message) => self.send_up(Machine::Lead(lead), message),
            }
        }
        self.plan_wake(Machine::Lead(lead));
    }

    fn host_actions(&mut self, host: u32, actions: Vec<HostedAction>) {
        for action in actions {
            match action {
                HostedAction::Reply(reply) => {
                    if let Some(lead) = self.layout.lead_at(reply.cluster) {
                        self.reach_lead(lead, reply);
                    }
                }
                HostedAction::Record(record) => self.note_record(&record),
            }
        }
        self.plan_wake(Machine::Host(host));
    }

    pub(super) fn scope_of(&self, machine: Machine) -> Scope {
        match machine {
            Machine::Orchestrator | Machine::Host(_) => Scope::Global,
            Machine::Coordinator(sector) => Scope::Sector(SectorId(sector)),
            Machine::Lead(lead) => Scope::Cluster(self.layout.cluster(lead)),
        }
    }

    /// The coordinator of a sector dies, and its backup, which was told of the event, takes its place.
    pub(super) fn kill(&mut self, sector: u32) {
        /// Leases run out and the sector's group elects.
        const FAILOVER_US: i64 = 1_000_000;
        let now = self.mesh_now(Machine::Coordinator(sector));
        let dead: &mut ParentMachine = &mut self.coordinators[sector as usize];
        let mut backup = ParentMachine::new(Scope::Sector(SectorId(sector)), dead.params());
        for (prepare, enrolments) in self.told.get(&sector).into_iter().flatten() {
            // What follows from it has been sent already.
            let _sent = backup.on_prepare(now, prepare, enrolments);
        }
        *dead = backup;
        self.headless_until_us.insert(sector, self.now_us + FAILOVER_US);
        self.watch.see(&Fact::Died { at: Scope::Sector(SectorId(sector)) });
        self.plan_wake(Machine::Coordinator(sector));
    }
}
