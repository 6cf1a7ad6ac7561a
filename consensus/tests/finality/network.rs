//! Validators over a network that loses, repeats and reorders, one seed a schedule.
//!
//! Ordering is taken as given (Raft's job): every validator gets the same blocks in the same order,
//! at times of its own. What an honest validator must never do is checked at each step.

use std::collections::{BTreeMap, BTreeSet};

use mesh30k_consensus::finality::sign_file::MemorySignFile;
use mesh30k_consensus::finality::{
    ChainAction, ChainTracker, Evidence, FinalTip, HaltReport, SignLog, SignLogExpectation, TrackerConfig, VoteAnswer,
    VoteKey,
};
use mesh30k_ledger::finality::{Certificate, SignedVote};
use mesh30k_ledger::types::{Epoch, Hash, Height, NodeId, Round, TimeMs};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::fixture::{Executed, Fixture, START_MS, commitment};

/// How a validator behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conduct {
    Honest,
    /// Signs a second, different vote for every height and sends both to everybody.
    VotesTwice,
    /// Computes a wrong result at this height.
    DivergesAt(u64),
}

#[derive(Clone)]
enum Message {
    Vote(SignedVote),
    Certificate(Certificate),
    Request(Height),
}

struct Node {
    id: NodeId,
    conduct: Conduct,
    tracker: Option<ChainTracker>,
    log: Option<SignLog<MemorySignFile>>,
    file: MemorySignFile,
    stored: FinalTip,
    certificates: BTreeMap<Height, Certificate>,
    executed: usize,
    restart_at: Option<u64>,
}

pub(crate) struct Network {
    pub(crate) fixture: Fixture,
    chain: Vec<Executed>,
    nodes: Vec<Node>,
    random: ChaCha8Rng,
    now: u64,
    in_flight: BTreeMap<(u64, u64), (NodeId, NodeId, Message)>,
    sent: u64,
    loss: f64,
    crashes: f64,
    /// What became final at a height, on any honest validator.
    finals: BTreeMap<Height, (Hash, Hash)>,
    released: BTreeMap<(NodeId, VoteKey), Hash>,
    pub(crate) evidence: Vec<(NodeId, Evidence)>,
    pub(crate) halts: BTreeMap<NodeId, HaltReport>,
}

impl Network {
    pub(crate) fn new(seed: u64, conducts: &[Conduct], heights: u64) -> Self {
        let fixture = Fixture::new(conducts.len());
        let chain = fixture.chain(heights);
        let nodes = conducts.iter().zip(1_u64..).map(|(&conduct, id)| Node {
            id: NodeId(id),
            conduct,
            tracker: None,
            log: None,
            file: MemorySignFile::new(),
            stored: fixture.genesis_tip(),
            certificates: BTreeMap::new(),
            executed: 0,
            restart_at: Some(0),
        });
        let nodes = nodes.collect();
        Self {
            fixture,
            chain,
            nodes,
            random: ChaCha8Rng::seed_from_u64(seed),
            now: START_MS,
            in_flight: BTreeMap::new(),
            sent: 0,
            loss: 0.0,
            crashes: 0.0,
            finals: BTreeMap::new(),
            released: BTreeMap::new(),
            evidence: Vec::new(),
            halts: BTreeMap::new(),
        }
    }

    /// Runs for at most `ms`, losing this share of messages, crashing a validator this often in a ms.
    /// Ends earlier when nothing can happen any more.
    pub(crate) fn run(&mut self, ms: u64, loss: f64, crashes: f64) {
        (self.loss, self.crashes) = (loss, crashes);
        for _ in 0..ms {
            self.now += 1;
            self.step();
            if self.is_settled() {
                break;
            }
        }
    }

    fn is_settled(&self) -> bool {
        let last = self.chain.len() as u64;
        let done = |node: &Node| self.halts.contains_key(&node.id) || node.stored.height.0 == last;
        self.in_flight.is_empty() && self.nodes.iter().all(|node| node.tracker.is_some() && done(node))
    }

    pub(crate) fn final_heights(&self) -> Vec<u64> {
        self.nodes.iter().map(|node| node.stored.height.0).collect()
    }

    pub(crate) fn culprits(&self) -> BTreeSet<NodeId> {
        let proven = self.evidence.iter().map(|(_, evidence)| {
            evidence.verify(&self.fixture.set, &self.fixture.context).expect("reported evidence checks")
        });
        proven.flat_map(|finding| finding.culprits).collect()
    }

    fn step(&mut self) {
        for index in 0..self.nodes.len() {
            self.crash_or_restart(index);
            self.apply_ordered(index);
            let now = TimeMs(self.now);
            if let Some(tracker) = self.nodes[index].tracker.as_mut()
                && tracker.next_wakeup().is_some_and(|at| at <= now)
            {
                let actions = tracker.tick(now);
                self.act(index, actions);
            }
        }
        while let Some(entry) = self.in_flight.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (from, to, message) = entry.remove();
            self.deliver(from, to, message);
        }
    }

    fn crash_or_restart(&mut self, index: usize) {
        let crash = self.crashes > 0.0 && self.random.random_bool(self.crashes);
        let back = self.now + self.random.random_range(1..400);
        let config = TrackerConfig {
            context: self.fixture.context,
            validators: self.fixture.set.clone(),
            epoch: Epoch(0),
            round: Round(0),
            own: Some(self.nodes[index].id),
        };
        let key = self.fixture.key(self.nodes[index].id).public();
        let node = &mut self.nodes[index];
        if crash && node.tracker.is_some() && node.tracker.as_ref().unwrap().halted().is_none() {
            (node.tracker, node.log, node.restart_at) = (None, None, Some(back));
            node.file.lose_unsynced();
        }
        if node.restart_at.is_some_and(|at| at <= self.now) {
            let fresh = node.file.synced().is_none();
            let expected = if fresh {
                SignLogExpectation::Fresh { first_epoch: Epoch(0) }
            } else {
                SignLogExpectation::Existing { at_least: None }
            };
            node.log = Some(SignLog::over(node.file.clone(), key, expected).unwrap());
            node.executed = usize::try_from(node.stored.height.0).unwrap();
            node.tracker = Some(ChainTracker::new(config, node.stored));
            node.restart_at = None;
        }
    }

    /// The next ordered block reaches a validator some time after its own time.
    fn apply_ordered(&mut self, index: usize) {
        let slow = self.random.random_bool(0.8);
        let node = &mut self.nodes[index];
        let (Some(tracker), Some(next)) = (node.tracker.as_mut(), self.chain.get(node.executed)) else { return };
        if slow || next.block.header.time.0 > self.now || !tracker.has_room() || tracker.halted().is_some() {
            return;
        }
        let height = next.height().0;
        let result = if node.conduct == Conduct::DivergesAt(height) {
            commitment(height, u8::try_from(node.id.0).unwrap())
        } else {
            next.commitment
        };
        node.executed += 1;
        let actions = tracker.on_executed(TimeMs(self.now), height, next.signed_header(), result).unwrap();
        self.act(index, actions);
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, message: Message) {
        let index = usize::try_from(to.0).unwrap() - 1;
        let now = TimeMs(self.now);
        let node = &mut self.nodes[index];
        let Some(tracker) = node.tracker.as_mut() else { return };
        match message {
            Message::Vote(vote) => {
                let actions = tracker.on_vote(now, from, vote);
                self.act(index, actions);
            }
            Message::Certificate(certificate) => {
                let actions = tracker.on_certificate(now, from, certificate);
                self.act(index, actions);
            }
            Message::Request(height) => {
                let stored = node.certificates.get(&height).cloned();
                match stored.map_or_else(|| tracker.answer(height), |one| VoteAnswer::Certificate(Box::new(one))) {
                    VoteAnswer::Certificate(certificate) => self.send(to, from, Message::Certificate(*certificate)),
                    VoteAnswer::Votes(votes) => {
                        for vote in votes {
                            self.send(to, from, Message::Vote(vote));
                        }
                    }
                }
            }
        }
    }

    fn act(&mut self, index: usize, actions: Vec<ChainAction>) {
        for action in actions {
            match action {
                ChainAction::SignAndSendVote { vote } => {
                    let node = &mut self.nodes[index];
                    let log = node.log.as_mut().expect("a running validator has its log");
                    let hash = vote.signing_hash();
                    log.record(VoteKey::of(&vote), hash).expect("an honest course is never refused");
                    let before = self.released.insert((vote.validator, VoteKey::of(&vote)), hash);
                    assert!(before.is_none_or(|before| before == hash), "two votes of {} released", vote.validator);
                    let signed = vote.sign(self.fixture.key(vote.validator));
                    self.broadcast(index, &Message::Vote(signed));
                    if self.nodes[index].conduct == Conduct::VotesTwice {
                        let mut other = vote;
                        other.commitment = Hash::of(b"a lie");
                        let signed = other.sign(self.fixture.key(vote.validator));
                        self.broadcast(index, &Message::Vote(signed));
                    }
                    let tracker = self.nodes[index].tracker.as_mut().expect("it just asked");
                    let more = tracker.on_signed(TimeMs(self.now), signed);
                    self.act(index, more);
                }
                ChainAction::Finalize { height, certificate, .. } => self.finalize(index, height, certificate),
                ChainAction::RequestVotes { height, .. } => self.broadcast(index, &Message::Request(height)),
                ChainAction::OwnVoteSeen { vote } => {
                    if self.nodes[index].conduct == Conduct::Honest {
                        let log = self.nodes[index].log.as_mut().expect("a running validator has its log");
                        log.witness(VoteKey::of(&vote), vote.signing_hash()).expect("all own votes are in the log");
                    }
                }
                ChainAction::Report { evidence } => {
                    let bytes = evidence.encode();
                    assert_eq!(Evidence::decode(&bytes).as_ref(), Ok(&*evidence));
                    self.evidence.push((self.nodes[index].id, *evidence));
                }
                ChainAction::Halt { report } => {
                    let before = self.halts.insert(self.nodes[index].id, *report);
                    assert!(before.is_none(), "a halt is reported once");
                }
            }
        }
    }

    fn finalize(&mut self, index: usize, height: Height, certificate: Certificate) {
        certificate.verify(&self.fixture.set, &self.fixture.context).expect("a final block has a valid certificate");
        let node = &mut self.nodes[index];
        assert_eq!(height, node.stored.height.next(), "finals come in order");
        let header = &self.chain[usize::try_from(height.0).unwrap() - 1].block.header;
        node.stored = FinalTip::of(header, &certificate);
        let what = (certificate.block, certificate.commitment);
        let known = *self.finals.entry(height).or_insert(what);
        assert_eq!(known, what, "two different finals at height {height}");
        node.certificates.insert(height, certificate);
    }

    fn broadcast(&mut self, index: usize, message: &Message) {
        let from = self.nodes[index].id;
        for to in 1..=self.nodes.len() as u64 {
            if NodeId(to) != from {
                self.send(from, NodeId(to), message.clone());
            }
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: Message) {
        let copies = if self.random.random_bool(0.1) { 2 } else { 1 };
        for _ in 0..copies {
            if self.loss > 0.0 && self.random.random_bool(self.loss) {
                continue;
            }
            self.sent += 1;
            let at = self.now + self.random.random_range(1..60);
            self.in_flight.insert((at, self.sent), (from, to, message.clone()));
        }
    }
}
