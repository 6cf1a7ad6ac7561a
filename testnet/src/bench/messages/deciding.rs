//! Messages a second that one core decides: the real path from a frame's bytes over the lead's machine to the bytes of
//! what it sends. One message is what one agent says or is told; a frame holds one or many.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use mesh30k_core::beat::{FoldAction, LeadFold, SignedHostBatch};
use mesh30k_core::event::{
    AgentLink, AnswerBody, ArrivalParams, ClassSet, Event, EventId, HostMessage, HostReply, LeadAction, LeadMachine,
    Prepare, Reach, Strategy, Verb,
};
use mesh30k_core::time::{LocalTimeUs, MeshTimeUs};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::types::{AgentClass, AgentId, NodeId, Scope};
use serde::Serialize;

use super::frames::{CLUSTER_AGENTS, Desk, cluster_id, replies};
use crate::bench::registry::population::{HOSTS_PER_SECTOR, Population};
use crate::bench::tools::now;

/// Clusters that one node of a mesh of 100 leads.
const CLUSTERS: u64 = 10;
/// Rounds of probes before the measurement: the join bursts and some more.
const WARM_ROUNDS: usize = 60;
/// Rounds of probes measured.
const PROBE_ROUNDS: usize = 60;
/// Events measured.
const EVENTS: u64 = 200;
/// Rounds of heartbeats measured.
const BEAT_ROUNDS: usize = 200;
/// From the lead to the agent, and back.
const ONE_WAY_US: i64 = 2_000;

/// How fast one kind is decided.
#[derive(Clone, Debug, Serialize)]
pub struct Rate {
    /// What.
    pub kind: &'static str,
    /// Messages of one frame, at most.
    pub per_frame: usize,
    /// Messages decided.
    pub messages: u64,
    /// Frames read or written.
    pub frames: u64,
    /// Time it took, nanoseconds.
    pub took_ns: u64,
}

impl Rate {
    const fn new(kind: &'static str, per_frame: usize) -> Self {
        Self { kind, per_frame, messages: 0, frames: 0, took_ns: 0 }
    }

    /// Messages a second.
    #[must_use]
    pub fn per_s(&self) -> f64 {
        self.messages as f64 * 1e9 / self.took_ns.max(1) as f64
    }

    fn add(&mut self, messages: usize, frames: usize, took: Duration) {
        self.messages += messages as u64;
        self.frames += frames as u64;
        self.took_ns += u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    }
}

/// A node that leads, and the hosts' end that feeds it.
struct Leads {
    machines: Vec<LeadMachine>,
    desk: Desk,
    hosts: Desk,
    now: MeshTimeUs,
}

/// All kinds, with frames of a cluster's answers and with frames of one.
///
/// # Errors
/// A machine did not do what it is measured for: a figure would mean nothing.
pub fn rates() -> Result<Vec<Rate>> {
    let mut rates = Vec::new();
    for per_frame in [CLUSTER_AGENTS as usize, 1] {
        let mut leads = Leads::new()?;
        let mut probe = Rate::new("probe answer", per_frame);
        for round in 0..WARM_ROUNDS + PROBE_ROUNDS {
            let mut rate = Rate::new("", per_frame);
            leads.probe(&mut rate)?;
            if round >= WARM_ROUNDS {
                probe.messages += rate.messages;
                probe.frames += rate.frames;
                probe.took_ns += rate.took_ns;
            }
        }
        let mut prepare = Rate::new("prepare", CLUSTER_AGENTS as usize);
        let mut armed = Rate::new("armed answer", per_frame);
        let mut released = Rate::new("released answer", per_frame);
        for event in 0..EVENTS {
            leads.cascade(event, &mut prepare, &mut armed, &mut released)?;
        }
        rates.extend([probe, prepare, armed, released]);
    }
    rates.push(heartbeats()?);
    Ok(rates)
}

impl Leads {
    fn new() -> Result<Self> {
        let now = MeshTimeUs(1_700_000_000_000_000);
        let machine = |cluster: u64| {
            let link = |agent| AgentLink {
                agent: AgentId(agent),
                host: NodeId(cluster),
                class: AgentClass::ALL.get((agent % 5) as usize).copied().unwrap_or(AgentClass::C),
                capabilities: 1,
            };
            let agents: Vec<AgentLink> = (cluster * CLUSTER_AGENTS..(cluster + 1) * CLUSTER_AGENTS).map(link).collect();
            let mut machine = LeadMachine::new(cluster_id(cluster), NodeId(0), ArrivalParams::default());
            machine.set_agents(now, &agents);
            machine
        };
        let machines = (0..CLUSTERS).map(machine).collect();
        Ok(Self { machines, desk: Desk::new(NodeId(0))?, hosts: Desk::new(NodeId(1))?, now })
    }

    /// Everybody is probed and answers.
    fn probe(&mut self, rate: &mut Rate) -> Result<()> {
        let due = self.machines.iter().filter_map(LeadMachine::next_wakeup).max().unwrap_or(self.now);
        self.now = self.now.max(due);
        let mut frames = Vec::new();
        let arrival = self.now.plus_us(2 * ONE_WAY_US + 400);
        for (cluster, machine) in (0..).zip(&mut self.machines) {
            for action in machine.poll(self.now) {
                let LeadAction::ToHost { host, message: HostMessage::Probe(probe) } = action else { continue };
                let (received, answered) = (local(self.now, ONE_WAY_US), local(self.now, ONE_WAY_US + 400));
                let work_us = probe.work.then_some(300);
                let answer = |_| AnswerBody::Probe {
                    seq: probe.seq,
                    received,
                    answered,
                    work_us,
                    host_clock: None,
                    waited_us: 0,
                };
                for reply in replies(cluster, host, rate.per_frame, answer) {
                    frames.push(self.hosts.seal(arrival, &reply)?);
                }
            }
        }
        self.now = arrival;
        self.decide(&frames, rate)
    }

    /// Opens the frames, decides, seals what follows. The measured part.
    fn decide(&mut self, frames: &[Vec<u8>], rate: &mut Rate) -> Result<()> {
        let start = now();
        let mut messages = 0;
        for frame in frames {
            let reply: HostReply = self.desk.open(self.now, frame)?;
            messages += reply.answers.len();
            let Some(machine) = self.machines.get_mut(reply.cluster.index as usize) else { bail!("no such cluster") };
            for action in machine.on_reply(self.now, &reply) {
                self.desk.seal_action(self.now, &action)?;
            }
        }
        rate.add(messages, frames.len(), start.elapsed());
        Ok(())
    }

    /// One event to everybody: prepared, armed, released, summed up.
    fn cascade(&mut self, number: u64, prepare: &mut Rate, armed: &mut Rate, released: &mut Rate) -> Result<()> {
        let target = self.now.plus_us(4_000_000);
        let event = event(number, target);
        let id = event.id;
        let staged = Prepare {
            event: event.sign(&context()?, &SecretKey::from_seed([5; 32])),
            fold_by: target.plus_us(200_000),
            sent_at: self.now,
        };
        let told = self.prepare(&staged, prepare)?;
        let all = (CLUSTERS * CLUSTER_AGENTS) as usize;
        if told != all {
            bail!("{told} of {all} agents were prepared");
        }
        self.now = target.plus_us(-50_000);
        let (received, done) = (local(self.now, -2_000), local(self.now, -1_000));
        self.answer(armed, |_| AnswerBody::Armed { event: id, received, started: received, armed: done })?;
        self.now = target.plus_us(ONE_WAY_US);
        let at = LocalTimeUs(target.0);
        self.answer(released, |_| AnswerBody::Released { event: id, released: at, late: false })?;
        let unknown: u64 = self.machines.iter().map(|machine| machine.counters().unknown).sum();
        if unknown > 0 {
            bail!("{unknown} answers were to no known question");
        }
        Ok(())
    }

    /// The event comes to the leads, and each prepare leaves in its slot. Turns in which something else is due are not
    /// counted. Gives for how many agents somebody was prepared; standbys are sent to some, for nobody answers yet.
    fn prepare(&mut self, staged: &Prepare, rate: &mut Rate) -> Result<usize> {
        let mut told = BTreeSet::new();
        for machine in &mut self.machines {
            let mut due = Some(self.now);
            while let Some(at) = due {
                let start = now();
                let is_first = at == self.now;
                let actions = if is_first { machine.on_prepare(at, staged) } else { machine.poll(at) };
                let (mut entries, mut frames) = (0, 0);
                for action in &actions {
                    if let LeadAction::ToHost { message: HostMessage::Prepare(prepare), .. } = action {
                        entries += prepare.entries.len();
                        frames += 1;
                        self.desk.seal_action(at, action)?;
                    }
                }
                if is_first || entries > 0 {
                    rate.add(entries, frames, start.elapsed());
                }
                told.extend(actions.iter().flat_map(slots));
                due = machine.next_wakeup().filter(|next| *next > at && *next < staged.event.event.target);
            }
        }
        Ok(told.len())
    }

    fn answer(&mut self, rate: &mut Rate, body: impl Fn(AgentId) -> AnswerBody) -> Result<()> {
        let mut frames = Vec::new();
        for cluster in 0..CLUSTERS {
            for reply in replies(cluster, NodeId(cluster), rate.per_frame, &body) {
                frames.push(self.hosts.seal(self.now, &reply)?);
            }
        }
        self.decide(&frames, rate)
    }
}

/// The slots that an action prepares somebody for.
fn slots(action: &LeadAction) -> impl Iterator<Item = AgentId> + '_ {
    let prepared = match action {
        LeadAction::ToHost { message: HostMessage::Prepare(prepare), .. } => prepare.entries.as_slice(),
        _ => &[],
    };
    prepared.iter().map(|entry| entry.slot)
}

impl Desk {
    fn seal_action(&mut self, now: MeshTimeUs, action: &LeadAction) -> Result<()> {
        match action {
            LeadAction::ToHost { message, .. } => self.seal(now, message)?,
            LeadAction::ToParent(message) => self.seal(now, message)?,
        };
        Ok(())
    }
}

/// Heartbeats: a host's signed batch is read, its signature checked, folded, passed on. One message is one agent's report.
fn heartbeats() -> Result<Rate> {
    let mut population = Population::new(1)?;
    let first = population.first_news(0).batches;
    let mut rate = Rate::new("report in a signed batch", first.first().map_or(0, |b| b.signed.batch.reports.len()));
    let mut fold = LeadFold::new();
    let mut at = MeshTimeUs(1);
    fold.set_hosts(&first.iter().map(|batch| batch.signed.batch.host).collect(), at);
    let (mut desk, mut hosts) = (Desk::new(NodeId(0))?, Desk::new(NodeId(1))?);
    let (context, key) = population.signer();
    for _ in 0..BEAT_ROUNDS {
        at = at.plus_us(1_000_000);
        let frames: Vec<Vec<u8>> = first.iter().map(|batch| hosts.seal(at, &batch.signed)).collect::<Result<_>>()?;
        let start: Instant = now();
        let mut messages = 0;
        for frame in &frames {
            let signed: SignedHostBatch = desk.open(at, frame)?;
            let verified = signed.verify(context, &key.public())?;
            messages += verified.batch().reports.len();
            fold.push(verified, at);
        }
        let mut forwarded = 0;
        for action in fold.poll(at) {
            if let FoldAction::Forward(batches) = action {
                forwarded += batches.len();
                desk.seal(at, &batches)?;
            }
        }
        rate.add(messages, frames.len(), start.elapsed());
        if forwarded as u64 != HOSTS_PER_SECTOR {
            bail!("{forwarded} of {HOSTS_PER_SECTOR} batches were passed on");
        }
    }
    Ok(rate)
}

fn context() -> Result<mesh30k_ledger::signing::ChainContext> {
    let chain = mesh30k_ledger::types::ChainId::new("bench")?;
    Ok(mesh30k_ledger::signing::ChainContext { chain, genesis: mesh30k_ledger::types::Hash([7; 32]) })
}

fn event(number: u64, target: MeshTimeUs) -> Event {
    let mut nonce = [0; 32];
    nonce.iter_mut().zip(number.to_be_bytes()).for_each(|(slot, byte)| *slot = byte);
    Event {
        id: EventId::new(target, &nonce),
        origin: SecretKey::from_seed([5; 32]).public(),
        target,
        strategy: Strategy::Hold,
        effects: false,
        kind: Verb::Act,
        weight_milli: 0,
        payload: Vec::new(),
        classes: ClassSet::ALL,
        capabilities: 0,
        priority: 1,
        deadline: target.plus_us(1_000_000),
        ttl_ms: 2_000,
        scope: Scope::Global,
        agents: Vec::new(),
        reach: Reach::Agents,
    }
}

const fn local(at: MeshTimeUs, us: i64) -> LocalTimeUs {
    LocalTimeUs(at.0.saturating_add(us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_do_what_they_are_measured_for() {
        let rates = rates().unwrap();
        assert_eq!(rates.len(), 9);
        let agents = CLUSTERS * CLUSTER_AGENTS;
        for rate in rates.iter().filter(|rate| rate.kind.ends_with("ed answer")) {
            assert_eq!(rate.messages, EVENTS * agents, "{}", rate.kind);
        }
    }
}
