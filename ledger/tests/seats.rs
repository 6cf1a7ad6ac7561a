//! Who validates changes by vote, one seat at a time, between two blocks; what certifies a block is the set its parent named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{World, alice, genesis, id_of, key, node_registration, operator, register};
use mesh30k_ledger::authority::Authority;
use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::execute::{BlockError, execute};
use mesh30k_ledger::finality::ValidatorSet;
use mesh30k_ledger::finality_proof::FinalityProof;
use mesh30k_ledger::governance::{Majority, verdict};
use mesh30k_ledger::handover::{Handover, HandoverError, VotedHandover};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{Bond, Choice, Operation, ProposalKind, Propose, SeatChange, Transfer, Vote};
use mesh30k_ledger::outcome::{Effect, Outcome};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{Duty, ProposalStatus, Tally};
use mesh30k_ledger::restart::restart;
use mesh30k_ledger::seats::{MAX_SEATS, ends_epoch};
use mesh30k_ledger::types::{Epoch, Hash, NodeId, ProposalId, Round, Uftns};
use proptest::prelude::*;

const VOTING_MS: u64 = 5_000;
const TIMELOCK_MS: u64 = 2_000;

fn world() -> World {
    let mut genesis = genesis();
    genesis.parameters.0.extend([(Parameter::VotingMs, VOTING_MS), (Parameter::TimelockMs, TIMELOCK_MS)]);
    World::of(genesis)
}

/// Node `n` registers and bonds enough for a seat.
fn candidate(world: &mut World, n: u8) {
    let amount = Uftns::ftns(200);
    world.must(&alice(), Operation::Transfer(Transfer { to: id_of(&key(n)), amount, memo: String::new() }));
    world.must(&key(n), register(Some(node_registration(n)), vec![]));
    world.must(&key(n), Operation::Bond(Bond { duty: Duty::Validator, amount: Uftns::ftns(100) }));
}

fn seat(node: u64, by: Option<&SecretKey>) -> ProposalKind {
    ProposalKind::Seat(SeatChange { node: NodeId(node), key: by.map(SecretKey::public) })
}

fn voted(world: &mut World, kind: ProposalKind) -> ProposalId {
    let opened = world.one(&alice(), Operation::Propose(Propose { title: "a seat".into(), kind }));
    let Outcome::Executed { effect: Effect::Proposed { proposal, .. }, .. } = opened else { panic!("{opened:?}") };
    world.must(&alice(), Operation::Vote(Vote { proposal, choice: Choice::Yes }));
    proposal
}

/// Votes, waits, and stops at the block in which the vote is carried out.
fn passed(world: &mut World, kind: ProposalKind) -> ProposalStatus {
    let proposal = voted(world, kind);
    world.run(VOTING_MS, vec![]);
    world.run(TIMELOCK_MS, vec![]);
    status(world, proposal)
}

fn status(world: &World, id: ProposalId) -> ProposalStatus {
    query::proposal(&world.state, id).unwrap().unwrap().status
}

fn set(world: &World) -> (Epoch, ValidatorSet) {
    (query::epoch(&world.state).unwrap(), query::validator_set(&world.state).unwrap())
}

fn nodes(set: &ValidatorSet) -> Vec<u64> {
    set.0.iter().map(|seat| seat.node.0).collect()
}

fn signed(world: &World, header: Header, by: u8) -> Block {
    Block::sign(header, vec![], &world.context, &key(by))
}

#[test]
fn a_seat_is_given_between_two_blocks() {
    let mut world = world();
    candidate(&mut world, 5);
    let before = set(&world).1;
    assert_eq!(passed(&mut world, seat(5, Some(&key(55)))), ProposalStatus::Executed);
    assert_eq!(set(&world), (Epoch(0), before.clone()), "the block that carried it out belongs to the old set");

    // The last block of the epoch names the new set; one that names its own is none.
    let own = Header { next_validators_hash: before.hash(), ..world.header(10) };
    let refused = execute(&world.state, &signed(&world, own, 51)).unwrap_err();
    assert!(matches!(refused, BlockError::WrongValidators { .. }), "{refused:?}");
    let early = execute(
        &world.state,
        &Block::sign(Header { proposer: NodeId(5), ..world.header(10) }, vec![], &world.context, &key(55)),
    );
    assert_eq!(early.unwrap_err(), BlockError::UnknownProposer(NodeId(5)));
    let (last, execution) = world.run(10, vec![]);
    assert!(ends_epoch(&execution.changes));
    assert!(world.certify(&last, &execution).verify(&before, &world.context).is_ok(), "the old set certifies it");

    let (epoch, now) = set(&world);
    assert_eq!((epoch, nodes(&now)), (Epoch(1), vec![1, 2, 3, 4, 5]));
    assert_eq!(last.header.next_validators_hash, now.hash());
    assert_eq!(now.get(NodeId(5)).unwrap().account, id_of(&key(5)));
    assert_eq!(query::validators_of(&world.state, Epoch(0)).unwrap(), Some(before));

    // The next block is of the new epoch, and the new validator may make it.
    let old = Header { epoch: Epoch(0), ..world.header(10) };
    let refused = execute(&world.state, &signed(&world, old, 51)).unwrap_err();
    assert_eq!(refused, BlockError::WrongEpoch { found: Epoch(0), expected: Epoch(1) });
    let by_five = Header { proposer: NodeId(5), ..world.header(10) };
    let execution = execute(&world.state, &signed(&world, by_five, 55)).unwrap();
    assert!(!ends_epoch(&execution.changes));
}

/// A light client follows the change with nothing but the genesis: the old set's certificate names the new set.
#[test]
fn the_change_is_proven_by_the_last_block_of_the_epoch() {
    let mut world = world();
    candidate(&mut world, 5);
    assert_eq!(passed(&mut world, seat(5, Some(&key(55)))), ProposalStatus::Executed);
    let (last, executed) = world.run(10, vec![]);
    let validators = set(&world).1;
    let voted =
        VotedHandover { header: last.header, certificate: world.certify_by(&[1, 2, 3], &last, &executed), validators };
    let (next, executed) = world.run(10, vec![]);
    // Four of five; three are enough of the old set only.
    let proof = |voters: &[u8], voted: &VotedHandover| FinalityProof {
        header: next.header,
        commitment: executed.commitment,
        certificate: world.certify_by(voters, &next, &executed),
        handovers: vec![Handover::Voted(voted.clone())],
    };
    assert_eq!(proof(&[1, 2, 3, 4], &voted).verify(&world.genesis), Ok(()));
    assert!(proof(&[1, 2, 3], &voted).verify(&world.genesis).is_err());

    let refused = |change: &dyn Fn(&mut VotedHandover)| {
        let mut changed = voted.clone();
        change(&mut changed);
        Authority::of(&world.genesis).pass(&Handover::Voted(changed)).unwrap_err()
    };
    let (height, old) = (last.header.height, world.genesis.validators.clone());
    assert_eq!(refused(&|voted| voted.validators = old.clone()), HandoverError::Validators);
    assert_eq!(refused(&|voted| voted.validators.0.truncate(3)), HandoverError::NotNamed(height));
    assert_eq!(refused(&|voted| voted.header = next.header), HandoverError::NotNamed(next.header.height));
    let few = world.certify_by(&[1, 2], &last, &executed);
    assert_eq!(refused(&|voted| voted.certificate.signatures.truncate(2)), HandoverError::Base(height));
    assert_eq!(refused(&|voted| voted.certificate = few.clone()), HandoverError::Base(height));
    // Once, and nothing of the old set counts after it.
    let mut authority = Authority::of(&world.genesis);
    authority.pass(&Handover::Voted(voted.clone())).unwrap();
    assert_eq!(authority.place(), (Epoch(1), Round(0)));
    assert!(authority.pass(&Handover::Voted(voted.clone())).is_err());
    assert!(authority.check(&voted.certificate).is_err());
}

#[test]
fn a_seat_needs_a_bonded_node_a_free_key_and_leaves_four() {
    let mut world = world();
    assert_eq!(passed(&mut world, seat(5, Some(&key(55)))), ProposalStatus::Failed, "no such node");
    assert_eq!(passed(&mut world, seat(9, None)), ProposalStatus::Failed, "it has no seat");
    assert_eq!(passed(&mut world, seat(4, None)), ProposalStatus::Failed, "three would be left");
    world.must(&key(4), Operation::Bond(Bond { duty: Duty::Validator, amount: Uftns::ftns(100) }));
    assert_eq!(passed(&mut world, seat(4, Some(&key(51)))), ProposalStatus::Failed, "the key of node 1");
    assert_eq!(passed(&mut world, seat(3, Some(&key(60)))), ProposalStatus::Failed, "no bond");
    assert_eq!(set(&world).0, Epoch(0));
    // A new key for a seat that is held already.
    assert_eq!(passed(&mut world, seat(4, Some(&key(60)))), ProposalStatus::Executed);
    world.run(10, vec![]);
    let (epoch, now) = set(&world);
    assert_eq!((epoch, now.len(), now.get(NodeId(4)).unwrap().key), (Epoch(1), 4, key(60).public()));
}

#[test]
fn two_changes_that_fall_due_together_take_an_epoch_each() {
    let mut world = world();
    candidate(&mut world, 5);
    candidate(&mut world, 6);
    let both = [(5_u8, 55), (6, 56)].map(|(n, by)| voted(&mut world, seat(n.into(), Some(&key(by)))));
    world.run(VOTING_MS, vec![]);
    world.run(TIMELOCK_MS, vec![]);
    let stand = |world: &World| both.map(|id| status(world, id));
    assert_eq!(stand(&world), [ProposalStatus::Executed, ProposalStatus::Queued]);
    world.run(10, vec![]);
    assert_eq!((set(&world).0, stand(&world)[1]), (Epoch(1), ProposalStatus::Queued));
    world.run(10, vec![]);
    assert_eq!(stand(&world)[1], ProposalStatus::Executed);
    world.run(10, vec![]);
    let (epoch, now) = set(&world);
    assert_eq!((epoch, nodes(&now)), (Epoch(2), vec![1, 2, 3, 4, 5, 6]));
    assert_eq!(query::validators_of(&world.state, Epoch(1)).unwrap().map(|set| set.len()), Some(5));
}

#[test]
fn the_operators_order_overtakes_a_change_under_way() {
    let mut world = world();
    candidate(&mut world, 5);
    assert_eq!(passed(&mut world, seat(5, Some(&key(55)))), ProposalStatus::Executed);
    let mut ordered = set(&world).1;
    ordered.0.remove(0);
    let changes = restart(&world.state, Epoch(1), Round(1), &ordered).unwrap();
    world.state.apply(changes);
    assert_eq!(query::next_validator_set(&world.state).unwrap(), ordered);
    assert_eq!(query::validators_of(&world.state, Epoch(0)).unwrap().map(|set| set.len()), Some(4));
    let header = Header { round: Round(1), proposer: NodeId(2), ..world.header(10) };
    let execution = execute(&world.state, &signed(&world, header, 52)).unwrap();
    assert!(!ends_epoch(&execution.changes));
}

#[test]
fn a_set_has_at_most_twenty_one_seats() {
    let mut world = world();
    for n in 5..=22_u8 {
        world.must(
            &operator(),
            Operation::Transfer(Transfer { to: id_of(&key(n)), amount: Uftns::ftns(1), memo: String::new() }),
        );
        world.must(
            &alice(),
            Operation::Transfer(Transfer { to: id_of(&key(n)), amount: Uftns::ftns(101), memo: String::new() }),
        );
        world.must(&key(n), register(Some(node_registration(n)), vec![]));
        world.must(&key(n), Operation::Bond(Bond { duty: Duty::Validator, amount: Uftns::ftns(100) }));
        let wanted = if usize::from(n) <= MAX_SEATS { ProposalStatus::Executed } else { ProposalStatus::Failed };
        assert_eq!(passed(&mut world, seat(n.into(), Some(&SecretKey::from_seed(Hash::of(&[n]).0)))), wanted);
        world.run(10, vec![]);
    }
    assert_eq!(set(&world).1.len(), MAX_SEATS);
}

proptest! {
    /// Two thirds of yes, no and veto; abstentions count for the quorum only.
    #[test]
    fn a_seat_takes_two_thirds(yes in 0..1_000_u64, no in 0..1_000_u64, abstain in 0..1_000_u64) {
        let tally = Tally { owned: [yes, no, abstain, 0], capped: [0; 4], voters: 3 };
        let (status, _) = verdict(&tally, Uftns(1), 0, Majority::TwoThirds);
        let passes = yes > 0 && 3 * yes >= 2 * (yes + no);
        prop_assert_eq!(status == ProposalStatus::Succeeded, passes, "{:?}", tally);
        let (simple, _) = verdict(&tally, Uftns(1), 0, Majority::Simple);
        prop_assert!(simple == ProposalStatus::Succeeded || !passes);
    }
}
