//! The lead's side: clusters under a lease, their probes, prepares and summaries.

use mesh30k_core::event::{
    AnswerBody, ClassSet, DownMessage, HostMessage, HostReply, LeadAction, LeadMachine, UpMessage,
};
use mesh30k_core::lead::Tenure;
use mesh30k_ledger::types::{AgentId, ClusterId, NodeId, Scope};

use super::engine::{Engine, Led};
use super::refusal::Refusal;
use super::view::Now;
use super::wire::{Bundled, LedStage, Message, Said};

/// What a lead measured is kept this long after its lease ended, for leases come back.
const PARKED_US: i64 = 30_000_000;
/// Stage reports in one message: some 16 KiB.
const STAGES_MAX: usize = 32;

impl Engine {
    /// Makes the led clusters those whose lease this node holds; true when one came or came back.
    pub(super) fn refresh_leads(&mut self, now: &Now, moved: bool) -> bool {
        let mut added = false;
        let held = self.view.led_by(self.me, now.mesh);
        for (cluster, led) in &mut self.leads {
            if !held.contains_key(cluster) {
                led.parked_us.get_or_insert(now.wall_us);
            }
        }
        for (cluster, tenure) in held {
            if self.topology.has_agents(cluster) {
                added |= self.hold(now, cluster, tenure, moved);
            }
        }
        let topology = &self.topology;
        self.leads.retain(|cluster, led| {
            let lapsed = led.parked_us.is_some_and(|since| now.wall_us.saturating_sub(since) > PARKED_US);
            !lapsed && topology.has_agents(*cluster)
        });
        added
    }

    fn hold(&mut self, now: &Now, cluster: ClusterId, tenure: Tenure, moved: bool) -> bool {
        let known = self.leads.contains_key(&cluster);
        let rules = &self.rules;
        let led = self
            .leads
            .entry(cluster)
            .or_insert_with(|| Led::new(LeadMachine::new(cluster, rules.anchor, rules.params), tenure));
        let returned = led.parked_us.take().is_some();
        led.tenure = tenure;
        if !known || moved {
            led.machine_mut().set_agents(now.mesh, &self.topology.agents_of(cluster));
        }
        !known || returned
    }

    /// Lets leads do what is due; between two of them the hosted agents come first, for their timers are the finest.
    pub(super) fn poll_leads(&mut self) {
        let clusters: Vec<ClusterId> = self.leads.keys().copied().collect();
        for cluster in clusters {
            let now = self.clock.now();
            let Some(led) = self.leads.get_mut(&cluster).filter(|led| led.parked_us.is_none()) else { continue };
            if led.next_wakeup().is_some_and(|at| at <= now.mesh) {
                let actions = led.machine_mut().poll(now.mesh);
                self.lead_actions(cluster, actions);
                self.deliver_local();
                self.poll_hosted();
            }
        }
        self.plan_estimates();
        self.send_planned();
        self.send_stages();
    }

    /// After a vote: what the clusters need is said at once, not at the next turn.
    pub(super) fn report_stages(&mut self, now: &Now) {
        let reports: Vec<_> = self
            .leads
            .iter()
            .filter(|(_, led)| led.parked_us.is_none())
            .map(|(cluster, led)| (*cluster, Box::new(led.machine().stage_report(now.mesh))))
            .collect();
        for (cluster, report) in reports {
            self.lead_actions(cluster, vec![LeadAction::ToParent(UpMessage::Stage(report))]);
        }
        self.send_stages();
    }

    /// What clusters need leaves together, one message for each coordinator.
    fn send_stages(&mut self) {
        for (coordinator, mut reports) in std::mem::take(&mut self.stages) {
            while !reports.is_empty() {
                let later = reports.split_off(reports.len().min(STAGES_MAX));
                // The parent learns from it how long the way takes, not how long the other clusters took to sum up.
                let sent_at = self.clock.now().mesh;
                reports.iter_mut().for_each(|led| led.report.sent_at = sent_at);
                self.send(coordinator, Message::Stages { reports });
                reports = later;
            }
        }
    }

    /// A coordinator's message, whose right to send it was checked.
    pub(super) fn on_down_to_lead(&mut self, now: &Now, cluster: ClusterId, message: &DownMessage) {
        let Some(led) = self.leads.get_mut(&cluster) else { return };
        let actions = match message {
            DownMessage::Prepare(prepare) => led.machine_mut().on_prepare(now.mesh, prepare),
            DownMessage::Cancel(event) => led.machine_mut().on_cancel(*event),
        };
        self.lead_actions(cluster, actions);
    }

    /// Answers of a host's agents; `arrived` is when they came, which is what clocks are measured by.
    pub(super) fn on_reply(&mut self, arrived: &Now, reply: &HostReply, said: &[Said]) -> Result<(), Refusal> {
        let cluster = reply.cluster;
        let scope = Scope::Cluster(cluster);
        if !self.leads_now(cluster) {
            return Err(Refusal::NotHere { scope });
        }
        for said in said {
            let released =
                |body: &AnswerBody| matches!(body, AnswerBody::Released { event, .. } if *event == said.event);
            let released = reply.answers.iter().filter(|answer| released(&answer.body)).count() as u64;
            let total = said.groups.iter().map(|group| group.slots.len() as u64).sum();
            if total > released {
                return Err(Refusal::Answers { event: said.event, said: total, released });
            }
            // Before the machine hears of it, for it may sum up at once.
            let topology = &self.topology;
            let is_member = |slot: AgentId| topology.cluster_of(slot) == Some(cluster);
            self.answers.add(said.event, scope, &said.groups, is_member);
        }
        let actions = self.leads.get_mut(&cluster).map(|led| led.machine_mut().on_reply(arrived.mesh, reply));
        self.lead_actions(cluster, actions.unwrap_or_default());
        Ok(())
    }

    /// Whether the cluster's lease is held here.
    pub(super) fn leads_now(&self, cluster: ClusterId) -> bool {
        self.leads.get(&cluster).is_some_and(|led| led.parked_us.is_none())
    }

    fn lead_actions(&mut self, cluster: ClusterId, actions: Vec<LeadAction>) {
        let scope = Scope::Cluster(cluster);
        let Some(tenure) = self.leads.get(&cluster).map(|led| led.tenure) else { return };
        for action in actions {
            match action {
                LeadAction::ToHost { host, message: HostMessage::Probe(probe) } => {
                    self.bundles.entry(host).or_default().push(Bundled::Probe { tenure, probe });
                }
                LeadAction::ToHost { host, message } => self.send(host, Message::Host { cluster, tenure, message }),
                LeadAction::ToParent(UpMessage::Stage(report)) => {
                    if let Some(led) = self.leads.get_mut(&cluster) {
                        (led.agents, led.warm) = (report.agents(ClassSet::MACHINES), report.warm);
                    }
                    match self.view.coordinator(cluster.sector) {
                        Some(coordinator) => {
                            self.stages.entry(coordinator).or_default().push(LedStage { tenure, report });
                        }
                        None => self.shared.count("no_parent"),
                    }
                }
                LeadAction::ToParent(UpMessage::Fold(fold)) => {
                    let origin = self.origins.get(&(fold.event, scope)).copied();
                    let answers = self.answers.sum(fold.event, scope).to_wire();
                    let up = Message::Up { tenure: Some(tenure), message: UpMessage::Fold(fold), answers };
                    self.send_up(origin.or_else(|| self.view.coordinator(cluster.sector)), up);
                }
            }
        }
    }

    pub(super) fn send_up(&mut self, parent: Option<NodeId>, message: Message) {
        match parent {
            Some(parent) => self.send(parent, message),
            None => self.shared.count("no_parent"),
        }
    }
}
