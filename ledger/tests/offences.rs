//! What becomes of a validator that was proven an offence: with a bond or without, now or in an epoch that has ended.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{World, alice, bob, id_of, key, region, vote};
use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::execute::execute;
use mesh30k_ledger::finality::{Validator, ValidatorSet};
use mesh30k_ledger::ops::{
    AttestContribution, ClaimContribution, Operation, ProveEquivocation, ReportIntensity, Transfer,
};
use mesh30k_ledger::outcome::{Effect, Outcome};
use mesh30k_ledger::records::{Contribution, REPUTATION_START};
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::restart::restart;
use mesh30k_ledger::state::MemoryState;
use mesh30k_ledger::types::{Epoch, Hash, NodeId, Round, TimeMs, Uftns};
use mesh30k_ledger::{invariants, query};

const JAIL_MS: u64 = 2_592_000_000;
const WEEK_MS: u64 = 604_800_000;

fn proof(world: &World, validator: u8, height: u64) -> Operation {
    let signed = |block: &[u8]| vote(world.context, u64::from(validator), height, block).sign(&key(validator + 50));
    Operation::ProveEquivocation(ProveEquivocation { first: signed(b"one"), second: signed(b"other") })
}

/// Node 1 proposes every block of these tests.
fn pay(world: &mut World) {
    let op = Transfer { to: id_of(&alice()), amount: Uftns(1), memo: String::new() };
    assert!(world.one(&bob(), Operation::Transfer(op)).is_executed());
}

#[test]
fn an_offender_without_a_bond_is_locked_out_and_earns_nothing_until_it_is_over() {
    let mut world = World::new();
    let offender = id_of(&key(1));
    assert!(query::bond(&world.state, &offender).unwrap().is_none());
    let claim = |evidence: &[u8]| ClaimContribution {
        kind: Contribution::Validating,
        evidence: Hash::of(evidence),
        amount: Uftns(5_000),
    };
    world.must(&key(1), Operation::ClaimContribution(claim(b"before")));
    let (_, outcome) = world.must(&bob(), proof(&world, 1, 9));
    let Outcome::Executed { effect, .. } = outcome else { panic!("{outcome:?}") };
    let until = world.now().plus_ms(JAIL_MS);
    let expected = Effect::Slashed { account: offender, amount: Uftns::ZERO, reward: Uftns::ZERO, jailed_until: until };
    assert_eq!(effect, expected);
    let record = query::jail(&world.state, &offender).unwrap().unwrap();
    assert_eq!((record.until, record.offences), (until, 1));
    let reputation = query::reputation(&world.state, &offender).unwrap().unwrap();
    assert_eq!(reputation.score, REPUTATION_START - 300);

    // It goes on proposing, for the treasury.
    let (own, treasury) = (world.balance(&offender), query::totals(&world.state).unwrap().treasury);
    pay(&mut world);
    assert_eq!(world.balance(&offender), own, "no proposer's fee");
    assert!(query::totals(&world.state).unwrap().treasury > treasury);

    let jailed = |outcome: &Outcome| matches!(outcome.rejection(), Some(Rejection::Jailed { account, .. }) if *account == offender);
    let word = Operation::ReportIntensity(ReportIntensity { region: region("DE"), mg_per_kwh: 390_000 });
    assert!(jailed(&world.one(&key(1), word.clone())), "no office");
    assert!(jailed(&world.one(&key(1), Operation::ClaimContribution(claim(b"after")))), "no emission");
    let attest = Operation::AttestContribution(AttestContribution { evidence: Hash::of(b"before") });
    assert!(jailed(&world.one(&key(2), attest)), "none for what was claimed before either");

    // A second offence adds to the first.
    world.must(&bob(), proof(&world, 1, 10));
    assert_eq!(query::jail(&world.state, &offender).unwrap().unwrap().until, until.plus_ms(JAIL_MS));

    world.run(2 * JAIL_MS, vec![]);
    let own = world.balance(&offender);
    pay(&mut world);
    assert!(world.balance(&offender) > own, "it is over");
    assert!(world.one(&key(1), word).is_executed(), "its term was longer");
    assert!(world.one(&key(1), Operation::ClaimContribution(claim(b"after"))).is_executed());
}

/// The validators of the next epoch: node 2 is gone, the others have other keys.
fn next_set() -> ValidatorSet {
    let seat = |n: u8| Validator { node: NodeId(u64::from(n)), key: key(n + 150).public(), account: id_of(&key(n)) };
    ValidatorSet([1, 3, 4].map(seat).to_vec())
}

/// The chain after operators began a new epoch, as a recovery does.
struct Later {
    world: World,
    epoch: Epoch,
    set: ValidatorSet,
}

impl Later {
    fn begin(mut world: World, epoch: u32) -> Self {
        let (epoch, set) = (Epoch(epoch), next_set());
        let changes = restart(&world.state, epoch, Round(epoch.0), &set).unwrap();
        world.state.apply(changes);
        Self { world, epoch, set }
    }

    fn one(&mut self, after_ms: u64, op: Option<Operation>) -> Option<Outcome> {
        let transactions: Vec<_> = op.map(|op| self.world.signed(&bob(), op)).into_iter().collect();
        let header = Header {
            epoch: self.epoch,
            round: Round(self.epoch.0),
            next_validators_hash: self.set.hash(),
            ..self.world.header(after_ms)
        };
        let header = Header { tx_root: Block::transactions_root(&transactions), ..header };
        let block = Block::sign(header, transactions, &self.world.context, &key(151));
        let mut execution = execute(&self.world.state, &block).unwrap();
        self.world.state.apply(execution.changes);
        invariants::check(&self.world.state).unwrap();
        execution.outcomes.pop()
    }
}

#[test]
fn a_recovery_pardons_nobody() {
    let mut world = World::new();
    pay(&mut world);
    let mut later = Later::begin(world, 1);
    later.one(10, None);
    let ended = query::epoch_validators(&later.world.state, Epoch(0)).unwrap().unwrap().ended;
    assert_eq!(ended, Some(TimeMs(later.world.genesis.time.0 + 10)));
    // Node 2 votes no more, and its key of then is not its key of now; node 1 stayed and has another.
    for (validator, height) in [(2, 1), (1, 7)] {
        let outcome = later.one(10, Some(proof(&later.world, validator, height))).unwrap();
        let Outcome::Executed { effect: Effect::Slashed { account, .. }, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(account, id_of(&key(validator)));
    }
    let again = later.one(10, Some(proof(&later.world, 2, 1))).unwrap();
    assert!(matches!(again.rejection(), Some(Rejection::AlreadyDone(_))));
    // Keys of this epoch prove nothing about the one before.
    let vote = |block: &[u8]| vote(later.world.context, 3, 1, block).sign(&key(153));
    let forged = Operation::ProveEquivocation(ProveEquivocation { first: vote(b"a"), second: vote(b"b") });
    assert!(matches!(later.one(10, Some(forged)).unwrap().rejection(), Some(Rejection::BadEvidence(_))));
    // A bond of a leaver has come free by then: so long and no longer.
    later.one(WEEK_MS, None);
    let late = later.one(10, Some(proof(&later.world, 3, 1))).unwrap();
    let Some(Rejection::BadEvidence(why)) = late.rejection() else { panic!("{late:?}") };
    assert!(why.contains("ended longer than 604800000 ms ago"), "{why}");
}

#[test]
fn epochs_that_answer_no_more_are_forgotten() {
    let mut later = Later::begin(World::new(), 1);
    for epoch in 2..=70 {
        later.one(WEEK_MS / 100, None);
        later = Later::begin(later.world, epoch);
    }
    later.one(WEEK_MS / 100, None);
    let known = |state: &MemoryState, epoch| query::epoch_validators(state, Epoch(epoch)).unwrap().is_some();
    let kept = (0..=70).filter(|epoch| known(&later.world.state, *epoch)).count();
    assert_eq!(kept, mesh30k_ledger::execute::MAX_EPOCHS);
    assert!(known(&later.world.state, 70) && !known(&later.world.state, 6));
    later.one(WEEK_MS, None);
    let mut later = Later::begin(later.world, 71);
    later.one(10, None);
    let kept: Vec<u32> = (0..=71).filter(|epoch| known(&later.world.state, *epoch)).collect();
    assert_eq!(kept, [70, 71]);
}
