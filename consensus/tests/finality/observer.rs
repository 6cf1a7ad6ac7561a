//! Observers: gaps, disorder, lies.

use mesh30k_consensus::finality::observer::{BODY_WINDOW, GAP_GRACE_MS, HEADER_WINDOW};
use mesh30k_consensus::finality::{HaltCause, Observer, ObserverAction, Refusal};
use mesh30k_ledger::finality::Certificate;
use mesh30k_ledger::types::{Height, NodeId, TimeMs};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::fixture::{Executed, Fixture, START_MS, commitment};

const NOW: TimeMs = TimeMs(START_MS);
const PEER: NodeId = NodeId(2);

struct World {
    fixture: Fixture,
    chain: Vec<Executed>,
}

impl World {
    fn new(length: u64) -> Self {
        let fixture = Fixture::new(4);
        let chain = fixture.chain(length);
        Self { fixture, chain }
    }

    fn observer(&self) -> Observer {
        Observer::new(self.fixture.context, self.fixture.set.clone(), self.fixture.genesis_tip(), None)
    }

    fn at(&self, height: u64) -> &Executed {
        &self.chain[usize::try_from(height).unwrap() - 1]
    }

    fn certificate(&self, height: u64) -> Certificate {
        self.fixture.certificate(&[1, 2, 3], self.at(height))
    }

    fn announce(&self, observer: &mut Observer, now: TimeMs, height: u64) -> Vec<ObserverAction> {
        observer.on_announcement(now, PEER, self.at(height).block.header, self.certificate(height))
    }

    fn give(&self, observer: &mut Observer, now: TimeMs, height: u64) -> Vec<ObserverAction> {
        observer.on_block(now, PEER, self.at(height).block.clone(), self.certificate(height))
    }
}

fn applied(actions: &[ObserverAction]) -> Vec<u64> {
    let height = |one: &ObserverAction| match one {
        ObserverAction::Apply { block, .. } => Some(block.header.height.0),
        _ => None,
    };
    actions.iter().filter_map(height).collect()
}

#[test]
fn blocks_are_applied_one_by_one_in_order() {
    let world = World::new(3);
    let mut observer = world.observer();
    assert!(applied(&world.give(&mut observer, NOW, 2)).is_empty());
    assert_eq!(applied(&world.give(&mut observer, NOW, 1)), [1]);
    assert!(applied(&world.give(&mut observer, NOW, 3)).is_empty(), "1 is not applied yet");
    assert_eq!(applied(&observer.on_applied(NOW, Height(1), world.at(1).commitment)), [2]);
    assert_eq!(applied(&observer.on_applied(NOW, Height(2), world.at(2).commitment)), [3]);
    assert!(observer.on_applied(NOW, Height(3), world.at(3).commitment).is_empty());
    assert_eq!((observer.tip().height, observer.held()), (Height(3), 0));
}

#[test]
fn a_gap_is_asked_for_after_a_grace_and_again_with_growing_pauses() {
    let world = World::new(5);
    let mut observer = world.observer();
    assert!(world.give(&mut observer, NOW, 5).is_empty());
    let mut asked = Vec::new();
    for ms in 0..3_000 {
        for action in observer.tick(NOW.plus_ms(ms)) {
            assert!(matches!(action, ObserverAction::FetchRange { from: Height(1), to: Height(4), .. }), "{action:?}");
            asked.push(ms);
        }
    }
    let expected: Vec<u64> = [0, 300, 900, 2_100].map(|ms| GAP_GRACE_MS + ms).to_vec();
    assert_eq!(asked, expected);
}

#[test]
fn a_missing_body_is_asked_for_at_once_and_a_wrong_one_refused() {
    let world = World::new(1);
    let mut observer = world.observer();
    let actions = world.announce(&mut observer, NOW, 1);
    let id = world.at(1).block.id();
    assert_eq!(actions, [ObserverAction::FetchBody { height: Height(1), block: id, attempt: 0 }]);
    let mut other = world.fixture.block(1, world.fixture.context.genesis, START_MS + 3, 1, 1);
    assert!(observer.on_block(NOW, PEER, other.clone(), world.certificate(1)).is_empty());
    assert_eq!(observer.refusals().of(PEER, Refusal::OtherBlock), 1);
    // The right header over a body that is not its own.
    other.header = world.at(1).block.header;
    let key = mesh30k_ledger::keys::SecretKey::from_seed([9; 32]);
    other.transactions = vec![super::snapshot::some_transaction(&world.fixture, &key)];
    assert!(observer.on_block(NOW, PEER, other, world.certificate(1)).is_empty());
    assert_eq!(observer.refusals().of(PEER, Refusal::BadBody), 1);
    assert_eq!(applied(&world.give(&mut observer, NOW, 1)), [1]);
}

#[test]
fn certificates_of_others_are_refused() {
    let world = World::new(2);
    let mut observer = world.observer();
    let header = world.at(1).block.header;
    let mut few = world.certificate(1);
    few.signatures.pop();
    let mut forged = world.certificate(1);
    forged.signatures[0].signature = forged.signatures[1].signature;
    let strangers = Fixture::new(7).certificate(&[1, 2, 3, 5, 6, 7], world.at(1));
    for certificate in [few, forged, strangers] {
        let before = observer.refusals().of(PEER, Refusal::BadCertificate);
        assert!(observer.on_announcement(NOW, PEER, header, certificate).is_empty());
        assert_eq!(observer.refusals().of(PEER, Refusal::BadCertificate), before + 1);
    }
    assert!(observer.on_announcement(NOW, PEER, header, world.certificate(2)).is_empty());
    assert_eq!(observer.refusals().of(PEER, Refusal::OtherBlock), 1);
    assert_eq!((observer.target(), observer.held()), (Height(0), 0));
}

#[test]
fn what_is_held_is_bounded_and_a_far_tip_is_still_reached() {
    let length = HEADER_WINDOW + 40;
    let world = World::new(length);
    let mut observer = world.observer();
    for height in 1..=length {
        world.announce(&mut observer, NOW, height);
    }
    assert_eq!(observer.held() as u64, HEADER_WINDOW);
    assert_eq!(observer.target(), Height(length));
    assert!(world.give(&mut observer, NOW, BODY_WINDOW + 1).is_empty());
    assert!(observer.refusals().of(PEER, Refusal::TooFarAhead) > 0);
    let actions = observer.tick(NOW.plus_ms(10_000));
    let [ObserverAction::FetchRange { from, to, .. }] = actions[..] else { panic!("{actions:?}") };
    assert_eq!((from, to), (Height(1), Height(BODY_WINDOW)));
}

#[test]
fn lossy_gossip_and_fetching_reach_the_tip_without_asking_twice_for_what_is_coming() {
    for seed in 0..30 {
        let world = World::new(80);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut observer = world.observer();
        let mut gossip: Vec<u64> = (1..=80).filter(|&height| height == 80 || random.random_bool(0.6)).collect();
        gossip.shuffle(&mut random);
        let (mut applied_heights, mut requested) = (Vec::new(), 0);
        let mut answers: Vec<(u64, u64)> = Vec::new();
        for ms in 0..60_000 {
            let now = NOW.plus_ms(ms);
            let mut actions = observer.tick(now);
            if let Some(height) = gossip.pop() {
                actions.extend(world.announce(&mut observer, now, height));
            }
            let (due, later): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(at, _)| *at <= ms);
            answers = later;
            for (_, height) in due {
                actions.extend(world.give(&mut observer, now, height));
            }
            while let Some(action) = actions.pop() {
                match action {
                    ObserverAction::Apply { block, .. } => {
                        let height = block.header.height;
                        applied_heights.push(height.0);
                        actions.extend(observer.on_applied(now, height, world.at(height.0).commitment));
                    }
                    ObserverAction::FetchBody { height, .. } => {
                        requested += 1;
                        if random.random_bool(0.8) {
                            answers.push((ms + 20, height.0));
                        }
                    }
                    ObserverAction::FetchRange { from, to, .. } => {
                        requested += to.0 - from.0 + 1;
                        let sent = (from.0..=to.0).filter(|_| random.random_bool(0.9));
                        answers.extend(sent.map(|height| (ms + 20 + height % 5, height)));
                    }
                    ObserverAction::Halt { report } => panic!("seed {seed}: {}", report.sentence),
                }
            }
        }
        assert_eq!(applied_heights, (1..=80).collect::<Vec<_>>(), "seed {seed}");
        assert!(requested < 80 * 4, "seed {seed}: {requested} blocks asked for");
    }
}

#[test]
fn another_result_than_the_certified_one_halts() {
    for refused in [false, true] {
        let world = World::new(2);
        let mut observer = world.observer();
        world.give(&mut observer, NOW, 1);
        let actions = if refused {
            observer.on_refused(NOW, Height(1))
        } else {
            observer.on_applied(NOW, Height(1), commitment(1, 7))
        };
        let [ObserverAction::Halt { report }] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!((report.cause, report.final_height), (HaltCause::ExecutionDiverged, Height(0)));
        let [evidence] = report.evidence().try_into().expect("one piece of evidence");
        evidence.verify(&world.fixture.set, &world.fixture.context).unwrap();
        assert!(world.give(&mut observer, NOW, 2).is_empty() && observer.next_wakeup().is_none());
    }
}

#[test]
fn two_certified_blocks_at_one_height_halt() {
    let world = World::new(1);
    let block = world.fixture.block(1, world.fixture.context.genesis, START_MS + 9, 2, 2);
    let other = Executed { block, commitment: commitment(1, 3) };
    let second = world.fixture.certificate(&[2, 3, 4], &other);
    let mut observer = world.observer();
    world.announce(&mut observer, NOW, 1);
    let actions = observer.on_announcement(NOW, PEER, other.block.header, second);
    let [ObserverAction::Halt { report }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((report.cause, &report.culprits[..]), (HaltCause::ConflictingFinals, &[NodeId(2), NodeId(3)][..]));
}
