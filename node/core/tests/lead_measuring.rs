//! A lead measures its agents whatever happens to their first probes, and says less once there is nothing new to say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mesh30k_core::event::{
    AgentAnswer, AgentLink, AnswerBody, ArrivalParams, ClassSet, Event, EventId, HostMessage, HostReply, LeadAction,
    LeadMachine, Prepare, Probe, Reach, Strategy, UpMessage, Verb,
};
use mesh30k_core::time::{LocalTimeUs, MeshTimeUs};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{AgentClass, AgentId, ChainId, ClusterId, Hash, NodeId, Scope, SectorId};

const CLUSTER: ClusterId = ClusterId { sector: SectorId(0), index: 0 };
const HOST: NodeId = NodeId(7);
const STEP_US: i64 = 50_000;
const WORK_US: i64 = 2_000;
/// More than the whole burst of a newcomer takes.
const LOST_US: i64 = 10_000_000;

/// One lead over a host that answers each probe after 20 ms, except those it never gets.
struct Bench {
    machine: LeadMachine,
    now: MeshTimeUs,
    /// How far the lead's time is off; the agents' clocks are true.
    off_us: i64,
    waiting: Vec<HostReply>,
    /// Probes sent, and how many of them asked for work.
    sent: (usize, usize),
    reports: usize,
}

impl Bench {
    fn new(classes: &[AgentClass]) -> Self {
        let mut machine = LeadMachine::new(CLUSTER, NodeId(1), ArrivalParams::default());
        let link = |(id, class): (u64, &AgentClass)| AgentLink {
            agent: AgentId(id),
            host: HOST,
            class: *class,
            capabilities: 1,
        };
        let links: Vec<AgentLink> = (1..).zip(classes).map(link).collect();
        let now = MeshTimeUs(1_000_000_000);
        machine.set_agents(now, &links);
        Self { machine, now, off_us: 0, waiting: Vec::new(), sent: (0, 0), reports: 0 }
    }

    /// Runs for so long; `answers` says whether a probe reaches the host.
    fn run(&mut self, span_us: i64, answers: bool) {
        self.sent = (0, 0);
        self.reports = 0;
        let end = self.now.plus_us(span_us);
        while self.now < end {
            self.now = self.now.plus_us(STEP_US);
            for reply in std::mem::take(&mut self.waiting) {
                self.machine.on_reply(self.now, &reply);
            }
            for action in self.machine.poll(self.now) {
                match action {
                    LeadAction::ToHost { message: HostMessage::Probe(probe), .. } => self.on_probe(&probe, answers),
                    LeadAction::ToParent(UpMessage::Stage(_)) => self.reports += 1,
                    LeadAction::ToHost { .. } | LeadAction::ToParent(_) => {}
                }
            }
        }
    }

    fn on_probe(&mut self, probe: &Probe, answers: bool) {
        self.sent.0 += probe.agents.len();
        self.sent.1 += if probe.work { probe.agents.len() } else { 0 };
        if !answers {
            return;
        }
        let received = LocalTimeUs(self.now.0 - self.off_us + STEP_US / 4);
        let answered = LocalTimeUs(received.0 + WORK_US);
        let answer = |agent: &AgentId| AgentAnswer {
            agent: *agent,
            slot: *agent,
            body: AnswerBody::Probe {
                seq: probe.seq,
                received,
                answered,
                work_us: probe.work.then_some(u32::try_from(WORK_US).unwrap()),
                host_clock: None,
                waited_us: 0,
            },
        };
        let answers = probe.agents.iter().map(answer).collect();
        self.waiting.push(HostReply { cluster: CLUSTER, host: HOST, answers });
    }

    /// An event for whoever is here, in ten seconds.
    fn prepare(&self) -> Prepare {
        let target = self.now.plus_us(10_000_000);
        let key = SecretKey::from_seed([5; 32]);
        let event = Event {
            id: EventId::new(target, &[1; 32]),
            origin: key.public(),
            target,
            strategy: Strategy::Hold,
            effects: false,
            kind: Verb::Sync,
            weight_milli: 0,
            payload: Vec::new(),
            classes: ClassSet::ALL,
            capabilities: 0,
            priority: 1,
            deadline: target.plus_us(1_000_000),
            ttl_ms: 30_000,
            scope: Scope::Global,
            agents: Vec::new(),
            reach: Reach::Agents,
        };
        let context = ChainContext { chain: ChainId::new("test").unwrap(), genesis: Hash([7; 32]) };
        Prepare { event: event.sign(&context, &key), fold_by: target.plus_us(500_000), sent_at: self.now }
    }

    /// The lead's time turns out to be off, and is so no more.
    fn correct(&mut self) {
        let by_us = -std::mem::take(&mut self.off_us);
        self.now = self.now.plus_us(by_us);
        self.machine.correct_time(by_us);
    }

    fn offsets_us(&self) -> Vec<f64> {
        self.machine.agents(self.now).iter().map(|agent| agent.clock.unwrap().offset_us).collect()
    }

    fn warm(&self) -> usize {
        self.machine.agents(self.now).iter().filter(|agent| agent.warm).count()
    }
}

#[test]
fn agents_whose_burst_was_lost_are_measured_all_the_same() {
    let mut bench = Bench::new(&[AgentClass::A, AgentClass::D, AgentClass::E]);
    bench.run(LOST_US, false);
    assert_eq!(bench.warm(), 0);
    bench.run(20_000_000, true);
    assert_eq!(bench.warm(), 3, "each is measured once it can be heard");
    bench.run(20_000_000, true);
    assert_eq!(bench.sent.1, 0, "then the calibration work is over");
    assert!(bench.sent.0 <= 3 * 5, "and probes are few: {:?}", bench.sent);
}

#[test]
fn what_was_measured_on_a_wrong_time_follows_its_correction() {
    let mut bench = Bench::new(&[AgentClass::A, AgentClass::E]);
    bench.off_us = 40_000;
    bench.run(20_000_000, true);
    // The way there takes 12.5 ms, the way back 35.5 ms: half the difference is what no exchange can see.
    let (true_us, near) = (-11_500.0, |offsets: &[f64], us: f64| offsets.iter().all(|o| (o - us).abs() < 500.0));
    assert!(near(&bench.offsets_us(), true_us - 40_000.0), "{:?}", bench.offsets_us());
    bench.correct();
    assert!(near(&bench.offsets_us(), true_us), "at once: {:?}", bench.offsets_us());
    bench.run(20_000_000, true);
    assert!(near(&bench.offsets_us(), true_us), "and later: {:?}", bench.offsets_us());
}

#[test]
fn people_are_not_asked_again_and_again() {
    let mut bench = Bench::new(&[AgentClass::F]);
    bench.run(LOST_US, false);
    bench.run(20_000_000, false);
    assert!(bench.sent.0 <= 5 && bench.sent.1 == 0, "{:?}", bench.sent);
}

#[test]
fn a_measured_cluster_reports_seldom_and_one_that_is_being_measured_each_second() {
    let mut bench = Bench::new(&[AgentClass::A, AgentClass::B]);
    bench.run(5_000_000, true);
    assert!((4..=6).contains(&bench.reports), "{}", bench.reports);
    bench.run(30_000_000, true);
    bench.run(30_000_000, true);
    assert!((5..=7).contains(&bench.reports), "{}", bench.reports);
}

#[test]
fn an_idle_cluster_is_measured_seldom_until_an_event_comes() {
    let mut bench = Bench::new(&[AgentClass::A, AgentClass::B]);
    bench.run(80_000_000, true);
    bench.run(60_000_000, true);
    assert!((6..=10).contains(&bench.sent.0) && (3..=5).contains(&bench.reports), "{:?} {}", bench.sent, bench.reports);
    bench.machine.on_prepare(bench.now, &bench.prepare());
    bench.run(5_000_000, true);
    assert!(bench.sent.0 >= 2, "each within the usual five seconds: {:?}", bench.sent);
    bench.run(40_000_000, true);
    assert!((14..=18).contains(&bench.sent.0), "{:?}", bench.sent);
}
