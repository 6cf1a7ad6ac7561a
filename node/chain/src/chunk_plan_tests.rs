use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// How long a request is waited for, as nodes do, ms.
const TIMEOUT_MS: u64 = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    /// Answers within this many ms.
    Honest(u64),
    /// Answers, but always late.
    Slow,
    /// Never answers.
    Stalling,
    /// Each answer is wrong with this chance, percent.
    Lying(u32),
    /// Is gone after this many answers.
    Vanishing(u32),
    /// Does not have the snapshot any more after this many answers.
    Forgetful(u32),
}

fn peer() -> impl Strategy<Value = Peer> {
    prop_oneof![
        (1..LATE_MS).prop_map(Peer::Honest),
        Just(Peer::Slow),
        Just(Peer::Stalling),
        (1..=100_u32).prop_map(Peer::Lying),
        (0..6_u32).prop_map(Peer::Vanishing),
        (0..6_u32).prop_map(Peer::Forgetful),
    ]
}

/// On its way: when it was asked for, when something comes of it, and what.
struct Flight {
    asked: u64,
    at: u64,
    ask: Ask<usize>,
    outcome: ChunkOutcome,
}

/// Peers that behave as they are told, and a clock of its own. Keeps its own books and compares.
struct World {
    plan: ChunkPlan<usize>,
    peers: Vec<Peer>,
    answers: Vec<u32>,
    caught: BTreeSet<usize>,
    flights: Vec<Flight>,
    kept: BTreeSet<usize>,
    asks: Vec<usize>,
    now: u64,
    random: ChaCha8Rng,
}

impl World {
    fn new(chunks: usize, peers: &[Peer], seed: u64) -> Self {
        let mut plan = ChunkPlan::new(chunks);
        assert!((0..peers.len()).all(|peer| plan.add_source(peer)));
        let zeros = || vec![0; peers.len()];
        Self {
            plan,
            peers: peers.to_vec(),
            answers: zeros(),
            caught: BTreeSet::new(),
            flights: Vec::new(),
            kept: BTreeSet::new(),
            asks: peers.iter().map(|_| 0).collect(),
            now: 0,
            random: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Until the plan ends; gives how long it took.
    fn run(mut self) -> Self {
        while !self.plan.is_complete() && !self.plan.is_stuck() {
            self.ask();
            assert!(!self.flights.is_empty(), "it waits for nothing");
            let next = self.flights.iter().map(|flight| flight.at).min().unwrap();
            let wakeup = self.plan.next_wakeup().map_or(u64::MAX, |at| at.0);
            self.now = next.min(wakeup).max(self.now);
            assert!(self.now < 100_000_000, "it does not end");
            let (due, waiting) = std::mem::take(&mut self.flights).into_iter().partition(|one| one.at <= self.now);
            self.flights = waiting;
            let due: Vec<Flight> = due;
            due.into_iter().for_each(|flight| self.arrive(flight));
        }
        self
    }

    fn ask(&mut self) {
        for ask in self.plan.due(TimeMs(self.now)).asks {
            self.allow(ask);
            self.asks[ask.source] += 1;
            let (after_ms, outcome) = self.behave(ask.source);
            self.flights.push(Flight { asked: self.now, at: self.now + after_ms, ask, outcome });
            let of_source = self.flights.iter().filter(|one| one.ask.source == ask.source).count();
            assert!(of_source <= PER_SOURCE_MAX, "{of_source} at one source");
            assert!(self.on_time().count() <= IN_FLIGHT_MAX);
        }
    }

    /// What may be asked for at all.
    fn allow(&self, ask: Ask<usize>) {
        assert!(!self.kept.contains(&ask.chunk), "chunk {} is there", ask.chunk);
        assert!(!self.caught.contains(&ask.source), "{} sent a wrong chunk", ask.source);
        let again = self.on_time().find(|one| one.ask.chunk == ask.chunk);
        assert!(again.is_none(), "chunk {} is on its way", ask.chunk);
        assert!(!self.flights.iter().any(|one| one.ask == ask), "{ask:?} is on its way from there");
    }

    /// What of it a source that is still asked owes in time.
    fn on_time(&self) -> impl Iterator<Item = &Flight> {
        let sources = |one: &&Flight| self.plan.is_source(&one.ask.source);
        self.flights.iter().filter(sources).filter(|one| self.now < one.asked + LATE_MS)
    }

    fn behave(&mut self, source: usize) -> (u64, ChunkOutcome) {
        let count = self.answers[source];
        self.answers[source] += 1;
        let random = &mut self.random;
        match self.peers[source] {
            Peer::Honest(at_most) => (random.random_range(1..=at_most), ChunkOutcome::Kept),
            Peer::Slow => (random.random_range(LATE_MS..TIMEOUT_MS), ChunkOutcome::Kept),
            Peer::Stalling => (TIMEOUT_MS, ChunkOutcome::Failed),
            Peer::Lying(percent) if random.random_range(0..100) < percent => (5, ChunkOutcome::Wrong),
            Peer::Vanishing(answers) if count >= answers => (random.random_range(0..50), ChunkOutcome::Failed),
            Peer::Forgetful(answers) if count >= answers => (5, ChunkOutcome::Absent),
            Peer::Lying(_) | Peer::Vanishing(_) | Peer::Forgetful(_) => (20, ChunkOutcome::Kept),
        }
    }

    /// As the loop does: what is there already is not looked at; what is wrong is not kept.
    fn arrive(&mut self, flight: Flight) {
        let Ask { source, chunk } = flight.ask;
        let outcome = match flight.outcome {
            ChunkOutcome::Kept | ChunkOutcome::Wrong if !self.plan.is_missing(chunk) => ChunkOutcome::Repeated,
            other => other,
        };
        self.plan.on_outcome(source, chunk, outcome);
        match outcome {
            ChunkOutcome::Kept => assert!(self.kept.insert(chunk) && !self.plan.is_missing(chunk)),
            ChunkOutcome::Wrong => {
                self.caught.insert(source);
                assert!(!self.plan.is_source(&source) && !self.plan.add_source(source));
                assert!(self.plan.is_missing(chunk), "a wrong chunk was kept");
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn it_ends_with_the_whole_snapshot_if_one_honest_source_stays_and_says_so_if_none_does(
        peers in proptest::collection::vec(peer(), 1..=SOURCES_MAX), chunks in 0..120_usize, seed: u64,
    ) {
        let world = World::new(chunks, &peers, seed).run();
        if peers.iter().any(|peer| matches!(peer, Peer::Honest(_) | Peer::Slow)) {
            prop_assert!(world.plan.is_complete(), "{} missing", world.plan.missing());
        }
        prop_assert_eq!(world.plan.is_complete(), world.kept.len() == chunks);
        prop_assert_eq!(world.plan.missing(), chunks - world.kept.len());
    }

    #[test]
    fn slow_and_stalling_peers_cost_seconds_not_minutes(
        bad in proptest::collection::vec(prop_oneof![Just(Peer::Slow), Just(Peer::Stalling)], 1..SOURCES_MAX),
        chunks in 1..400_usize, seed: u64,
    ) {
        let alone = World::new(chunks, &[Peer::Honest(40)], seed).run().now;
        let peers: Vec<Peer> = bad.into_iter().chain([Peer::Honest(40)]).collect();
        let world = World::new(chunks, &peers, seed).run();
        // With fewer chunks than peers, the good one may be found last.
        let rounds = if chunks >= peers.len() { 2 } else { peers.len() as u64 };
        prop_assert!(world.now <= alone + rounds * LATE_MS, "{} ms, alone {alone} ms", world.now);
        let most = PER_SOURCE_START + FAILURES_MAX;
        prop_assert!(world.asks.split_last().unwrap().1.iter().all(|&asks| asks <= most), "{:?}", world.asks);
    }
}

#[test]
fn the_quick_bring_most_and_all_bring_some() {
    let world = World::new(400, &[Peer::Honest(20), Peer::Honest(200), Peer::Honest(2_000)], 3).run();
    assert!(world.asks.windows(2).all(|pair| pair[0] > 2 * pair[1]) && world.asks[2] > 0, "{:?}", world.asks);
    assert_eq!(world.asks.iter().sum::<usize>(), 400, "nothing was asked for twice");
}

#[test]
fn what_a_peer_that_is_gone_brought_stays() {
    let mut world = World::new(50, &[Peer::Vanishing(20)], 1).run();
    assert!(world.plan.is_stuck());
    assert_eq!((world.kept.len(), world.plan.missing()), (20, 30));
    world.peers.push(Peer::Honest(10));
    world.answers.push(0);
    world.asks.push(0);
    assert!(world.plan.add_source(1));
    let world = world.run();
    assert!(world.plan.is_complete());
    assert_eq!(world.asks[1], 30);
}

#[test]
fn late_chunks_are_asked_for_elsewhere_and_may_still_come() {
    let mut plan = ChunkPlan::new(1);
    plan.add_source('a');
    let at = |ms| TimeMs(ms);
    assert_eq!(plan.due(at(0)).asks, [Ask { source: 'a', chunk: 0 }]);
    plan.add_source('b');
    assert_eq!(plan.next_wakeup(), Some(at(LATE_MS)));
    assert_eq!(plan.due(at(LATE_MS - 1)), Due { asks: vec![], late: 0 });
    assert_eq!(plan.due(at(LATE_MS)), Due { asks: vec![Ask { source: 'b', chunk: 0 }], late: 1 });
    assert_eq!(plan.due(at(9 * LATE_MS)), Due { asks: vec![], late: 1 }, "each has been asked");
    plan.on_outcome('a', 0, ChunkOutcome::Kept);
    assert!(plan.is_complete());
}

#[test]
fn of_a_source_that_was_given_up_what_it_brought_counts_and_that_it_lied() {
    let mut plan = ChunkPlan::new(3);
    plan.add_source('a');
    assert_eq!(plan.due(TimeMs(0)).asks.len(), 2);
    plan.on_outcome('a', 2, ChunkOutcome::Absent);
    assert!(plan.is_source(&'a'), "it was not asked for that one");
    plan.on_outcome('a', 0, ChunkOutcome::Absent);
    assert!(plan.is_stuck());
    plan.on_outcome('a', 1, ChunkOutcome::Kept);
    assert!(plan.missing() == 2 && !plan.is_missing(1));
    assert!(plan.add_source('a'), "it has the snapshot again");
    plan.on_outcome('a', 1, ChunkOutcome::Wrong);
    assert!(plan.is_stuck() && !plan.add_source('a'));
}

#[test]
fn no_more_sources_than_the_limit() {
    let mut plan = ChunkPlan::new(3);
    assert_eq!((0..SOURCES_MAX + 3).filter(|&n| plan.add_source(n)).count(), SOURCES_MAX);
    assert!(plan.add_source(0), "it is one already");
}
