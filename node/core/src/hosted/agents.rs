//! All hosted agents of one host as one machine.

mod slots;

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh30k_ledger::types::{AgentClass, AgentId, ClusterId, NodeId};

use self::slots::Slot;
use super::counters::HostedCounters;
use super::due::{DueQueue, HostedAction, Item, MAX_DUE, SlotKey, Step};
use super::releases::Releases;
use super::replay::Replay;
use super::rounds::round_us;
use super::surroundings::{Habitat, ReplayedHabitat, Surroundings};
use crate::event::{
    AgentAnswer, AnswerBody, Event, EventId, HostMessage, HostPrepare, HostReply, PrepareEntry, Probe, SignedEvent,
    Strategy,
};
use crate::time::{LocalTimeUs, MeshTimeUs, next_multiple};

/// Clock exchanges whose imitated way back ended within so much leave together: each says how long it waited, and the host
/// need not wake for each.
const LEAVE_TOGETHER_US: i64 = 250_000;
/// Events staged at one host at once.
const MAX_STAGED: usize = 64;
/// How long after its expiry an event's slots are still known, so that a late prepare finds its slot taken.
const EXPIRY_SLACK_US: i64 = 5_000_000;

/// One agent of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostedAgent {
    /// Who.
    pub agent: AgentId,
    /// Its class.
    pub class: AgentClass,
    /// Its capability bits.
    pub capabilities: u64,
    /// Its cluster on the ledger.
    pub cluster: ClusterId,
}

/// How many agents a freeze or thaw moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PauseChange {
    /// Newly paused.
    pub paused: usize,
    /// Running again.
    pub resumed: usize,
    /// Paused now, in all.
    pub total_paused: usize,
}

#[derive(Debug)]
struct Hosted<S> {
    spec: HostedAgent,
    around: S,
    frozen: bool,
}

/// What a host keeps of a staged event.
#[derive(Clone, Copy, Debug)]
struct Staged {
    target: MeshTimeUs,
    strategy: Strategy,
    effects: bool,
    weight_milli: u32,
    capabilities: u64,
    classes: crate::event::ClassSet,
}

/// The machine. `now_us` is always the machine's own time; what agents see of it passes their virtual clocks.
#[derive(Debug)]
pub struct HostedAgents<H: Habitat = ReplayedHabitat> {
    host: NodeId,
    habitat: H,
    agents: BTreeMap<AgentId, Hosted<H::Around>>,
    staged: BTreeMap<EventId, Staged>,
    slots: BTreeMap<SlotKey, Slot>,
    due: DueQueue,
    releases: Releases,
    counters: HostedCounters,
}

impl HostedAgents {
    /// A host without agents, which will live in replayed surroundings.
    #[must_use]
    pub fn new(host: NodeId, seed: u64, replay: Arc<Replay>) -> Self {
        Self::within(host, ReplayedHabitat::new(seed, replay))
    }
}

impl<H: Habitat> HostedAgents<H> {
    /// A host without agents, which will live in `habitat`.
    #[must_use]
    pub fn within(host: NodeId, habitat: H) -> Self {
        Self {
            host,
            habitat,
            agents: BTreeMap::new(),
            staged: BTreeMap::new(),
            slots: BTreeMap::new(),
            due: DueQueue::default(),
            releases: Releases::default(),
            counters: HostedCounters::default(),
        }
    }

    /// Runs one more agent from `now_us` on; false when it already runs.
    pub fn add(&mut self, now_us: i64, spec: HostedAgent) -> bool {
        if self.agents.contains_key(&spec.agent) {
            return false;
        }
        let around = self.habitat.around(now_us, &spec);
        self.agents.insert(spec.agent, Hosted { spec, around, frozen: false });
        true
    }

    /// Stops running an agent; what it had under way is forgotten.
    pub fn remove(&mut self, agent: AgentId) -> bool {
        self.slots.retain(|key, _| key.agent != agent);
        self.agents.remove(&agent).is_some()
    }

    /// Pauses exactly the agents for which `frozen` says so.
    pub fn set_frozen(&mut self, frozen: impl Fn(AgentId, ClusterId) -> bool) -> PauseChange {
        let mut change = PauseChange::default();
        for hosted in self.agents.values_mut() {
            let wanted = frozen(hosted.spec.agent, hosted.spec.cluster);
            change.paused = change.paused.saturating_add(usize::from(wanted && !hosted.frozen));
            change.resumed = change.resumed.saturating_add(usize::from(!wanted && hosted.frozen));
            change.total_paused = change.total_paused.saturating_add(usize::from(wanted));
            hosted.frozen = wanted;
        }
        change
    }

    /// A lead's message arrived at the host at `now_us`; to each agent it still has the replayed way to go.
    pub fn on_message(&mut self, now_us: i64, message: &HostMessage) {
        match message {
            HostMessage::Stage(signed) => self.stage(signed),
            HostMessage::Probe(probe) => {
                for agent in &probe.agents {
                    self.deliver_probe(now_us, *agent, probe);
                }
            }
            HostMessage::Prepare(prepare) => {
                for entry in &prepare.entries {
                    self.deliver_prepare(now_us, prepare, entry);
                }
            }
            HostMessage::Rights(rights) => {
                for order in &rights.orders {
                    let key = SlotKey { event: rights.event, agent: order.agent, slot: order.slot };
                    let item = Item::Right { key, cluster: rights.cluster, right: order.right };
                    self.deliver(now_us, order.agent, item);
                }
            }
            HostMessage::Cancel { cluster, event } => {
                let of_cluster = self.agents.values().filter(|h| h.spec.cluster == *cluster);
                for agent in of_cluster.map(|h| h.spec.agent).collect::<Vec<_>>() {
                    self.deliver(now_us, agent, Item::Cancel { agent, event: *event });
                }
            }
        }
    }

    /// Does what is due, at most once each.
    pub fn poll(&mut self, now_us: i64) -> Vec<HostedAction> {
        self.work_off(now_us, true)
    }

    /// The same in the instants around T: whoever holds until `now_us` is let go, and accounting for that, which is most of the
    /// work, is left to the next [`Self::poll`].
    pub fn poll_around_target(&mut self, now_us: i64) -> Vec<HostedAction> {
        self.releases.let_go(now_us);
        self.work_off(now_us, false)
    }

    fn work_off(&mut self, now_us: i64, accounts: bool) -> Vec<HostedAction> {
        let mut answers: BTreeMap<ClusterId, Vec<AgentAnswer>> = BTreeMap::new();
        let mut actions = Vec::new();
        loop {
            let (item_us, release_us) = (self.due.next_us(), self.releases.next_us());
            if accounts && release_us.is_some_and(|release| item_us.is_none_or(|item| release < item)) {
                let Some((at_us, key)) = self.releases.pop(now_us) else { break };
                actions.extend(self.on_release_due(at_us, key));
                continue;
            }
            let Some(item) = self.due.pop_due(now_us) else { break };
            match item {
                Item::Leave { cluster, ready_us, answer } => {
                    answers.entry(cluster).or_default().push(answer.waited(now_us.saturating_sub(ready_us)));
                }
                Item::Probe { agent, cluster, seq, work } => self.on_probe(now_us, agent, cluster, seq, work),
                Item::ProbeDone { agent, cluster, seq, received, work } => {
                    self.on_probe_done(now_us, (agent, cluster), seq, received, work);
                }
                Item::Step { step, as_of_us } => actions.extend(self.take(as_of_us.unwrap_or(now_us), step)),
                Item::Right { key, cluster, right } => self.on_right(now_us, key, cluster, right),
                Item::Cancel { agent, event } => {
                    // Who was let go before this is not called back.
                    while let Some((at_us, key)) = self.releases.pop_gone() {
                        actions.extend(self.on_release_due(at_us, key));
                    }
                    self.on_cancel(now_us, agent, event);
                }
                Item::Expire { event } => self.expire(event),
            }
        }
        let host = self.host;
        let reply = |(cluster, answers)| HostedAction::Reply(HostReply { cluster, host, answers });
        actions.extend(answers.into_iter().map(reply));
        actions
    }

    /// When to poll next, true time.
    #[must_use]
    pub fn next_wakeup_us(&self) -> Option<i64> {
        self.due.next_us().into_iter().chain(self.releases.next_us()).min()
    }

    /// When to poll next around T, true time: what falls due within `together_us` is done together at the end.
    #[must_use]
    pub fn next_around_target_us(&self, together_us: i64) -> Option<i64> {
        let item_us = self.due.next_us().map(|due_us| due_us.saturating_add(together_us));
        item_us.into_iter().chain(self.releases.next_held_together_us(together_us)).min()
    }

    /// Agents run here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.agents.len()
    }

    /// True without agents.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.agents.is_empty()
    }

    /// Timers waiting.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.due.len().saturating_add(self.releases.len())
    }

    /// What was dropped.
    #[must_use]
    pub fn counters(&self) -> HostedCounters {
        self.counters
    }

    /// How far the agent's clock is off at `now_us`: for the harness only.
    #[must_use]
    pub fn true_offset_us(&self, agent: AgentId, now_us: i64) -> Option<i64> {
        self.agents.get(&agent).map(|h| h.around.read(now_us).0.saturating_sub(now_us))
    }

    /// What surrounds an agent: for the harness only.
    #[must_use]
    pub fn around(&self, agent: AgentId) -> Option<&H::Around> {
        self.agents.get(&agent).map(|h| &h.around)
    }

    fn stage(&mut self, signed: &SignedEvent) {
        let event: &Event = &signed.event;
        if self.staged.contains_key(&event.id) {
            return;
        }
        if self.staged.len() >= MAX_STAGED {
            bump(&mut self.counters.overflow);
            return;
        }
        let staged = Staged {
            target: event.target,
            strategy: event.strategy,
            effects: event.effects,
            weight_milli: event.weight_milli,
            capabilities: event.capabilities,
            classes: event.classes,
        };
        self.staged.insert(event.id, staged);
        self.plan(event.expires().plus_us(EXPIRY_SLACK_US).0, Item::Expire { event: event.id });
    }

    fn deliver(&mut self, now_us: i64, agent: AgentId, item: Item) {
        let Some(hosted) = self.agents.get_mut(&agent) else { return bump(&mut self.counters.foreign) };
        if let Some(delay_us) = hosted.around.forward_us(now_us) {
            self.plan(now_us.saturating_add(delay_us), item);
        }
    }

    fn deliver_prepare(&mut self, now_us: i64, prepare: &HostPrepare, entry: &PrepareEntry) {
        let hold_us = self.hold_us(prepare.event, entry.agent, entry.target);
        let Some(hosted) = self.agents.get_mut(&entry.agent) else { return bump(&mut self.counters.foreign) };
        let Some(delay_us) = hosted.around.forward_us(now_us) else { return };
        let key = SlotKey { event: prepare.event, agent: entry.agent, slot: entry.slot };
        let step = Step::Prepare { key, cluster: prepare.cluster, target: entry.target, start: entry.start };
        self.plan_step(now_us.saturating_add(delay_us), hold_us, step);
    }

    /// True time until which an agent that is told to hold does so; long past where it acts as soon as it can.
    fn hold_us(&self, event: EventId, agent: AgentId, target: LocalTimeUs) -> i64 {
        let holds = self.staged.get(&event).is_some_and(|staged| staged.strategy == Strategy::Hold);
        let hosted = self.agents.get(&agent).filter(|_| holds);
        hosted.map_or(i64::MIN, |hosted| hosted.around.true_time_of(target))
    }

    /// Plans a step at `at_us`. Where the agents' surroundings can be foretold nothing is lost when it is seen to a little later, as
    /// of its own instant.
    fn plan_step(&mut self, at_us: i64, hold_us: i64, step: Step) {
        let round_us = if H::Around::FORETOLD { round_us(self.host, at_us, hold_us) } else { None };
        self.plan(round_us.unwrap_or(at_us), Item::Step { step, as_of_us: round_us.map(|_| at_us) });
    }

    fn take(&mut self, now_us: i64, step: Step) -> Option<HostedAction> {
        match step {
            Step::Prepare { key, cluster, target, start } => self.on_prepare(now_us, key, cluster, (target, start)),
            Step::Start { key } => {
                self.start(now_us, key);
                None
            }
            Step::WorkDone { key } => self.on_work_done(now_us, key),
        }
    }

    fn deliver_probe(&mut self, now_us: i64, agent: AgentId, probe: &Probe) {
        let (cluster, seq, work) = (probe.cluster, probe.seq, probe.work);
        if !H::Around::FORETOLD {
            return self.deliver(now_us, agent, Item::Probe { agent, cluster, seq, work });
        }
        let Some(hosted) = self.agents.get_mut(&agent) else { return bump(&mut self.counters.foreign) };
        if let Some(delay_us) = hosted.around.forward_us(now_us) {
            self.on_probe(now_us.saturating_add(delay_us), agent, cluster, seq, work);
        }
    }

    fn answer(&mut self, now_us: i64, cluster: ClusterId, (agent, slot): (AgentId, AgentId), body: AnswerBody) {
        if let Some(delay_us) = self.agents.get_mut(&agent).and_then(|h| h.around.return_us(now_us)) {
            let ready_us = now_us.saturating_add(delay_us);
            let together = H::Around::FORETOLD && matches!(body, AnswerBody::Probe { .. });
            let leaves_us = if together { next_multiple(ready_us, LEAVE_TOGETHER_US) } else { ready_us };
            self.plan(leaves_us, Item::Leave { cluster, ready_us, answer: AgentAnswer { agent, slot, body } });
        }
    }

    fn plan(&mut self, due_us: i64, item: Item) {
        if !self.due.push(due_us, item) {
            bump(&mut self.counters.overflow);
        }
    }

    fn hold(&mut self, due_us: i64, key: SlotKey) {
        if self.releases.len() >= MAX_DUE {
            return bump(&mut self.counters.overflow);
        }
        self.releases.hold(due_us, key);
    }

    /// Clock exchanges are the host runtime's, not the agent's: a frozen agent's clock is still measured, its work not.
    fn on_probe(&mut self, now_us: i64, agent: AgentId, cluster: ClusterId, seq: u32, work: bool) {
        let Some(hosted) = self.agents.get_mut(&agent) else { return };
        let received = hosted.around.read(now_us);
        let work = work && !hosted.frozen;
        let Some(work_us) = (if work { hosted.around.work_us(now_us, 1.0) } else { Some(0) }) else { return };
        let done_us = now_us.saturating_add(work_us);
        if H::Around::FORETOLD {
            return self.on_probe_done(done_us, (agent, cluster), seq, received, work);
        }
        self.plan(done_us, Item::ProbeDone { agent, cluster, seq, received, work });
    }

    fn on_probe_done(
        &mut self,
        now_us: i64,
        (agent, cluster): (AgentId, ClusterId),
        seq: u32,
        received: LocalTimeUs,
        work: bool,
    ) {
        let Some(hosted) = self.agents.get_mut(&agent) else { return };
        let answered = hosted.around.read(now_us);
        // By the agent's own clock, as everything it says.
        let work_us = if work { u32::try_from(answered.since_us(received)).ok() } else { None };
        let host_clock = hosted.around.host_clock(now_us);
        let body = AnswerBody::Probe { seq, received, answered, work_us, host_clock, waited_us: 0 };
        self.answer(now_us, cluster, (agent, agent), body);
    }
}

fn bump(field: &mut u64) {
    *field = field.saturating_add(1);
}
