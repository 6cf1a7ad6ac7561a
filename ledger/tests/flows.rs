//! Whole stories: a vote, a freeze, a task, a mesh that registers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tasks::{mesh, open, receipt, report};
use common::{World, agents, alice, bob, id_of, key, node_registration, operator, register};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::freeze::{OrderError, verify_order};
use mesh30k_ledger::ops::{
    Choice, EscrowRelease, Freeze, Operation, ParameterChange, ProposalKind, Propose, TaskReceipt, TaskReport, Thaw,
    Transfer, Vote,
};
use mesh30k_ledger::outcome::{DueEvent, Effect, Outcome};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{EscrowStatus, ProposalStatus};
use mesh30k_ledger::rejection::Rejection;
use mesh30k_ledger::types::{AgentId, ClusterId, EscrowId, Hash, NodeId, ProposalId, Scope, SectorId, TimeMs, Uftns};

fn propose(parameter: Parameter, value: u64) -> Operation {
    let kind = ProposalKind::Parameter(vec![ParameterChange { parameter, value }]);
    Operation::Propose(Propose { title: "a change".into(), kind })
}

fn vote(choice: Choice) -> Operation {
    Operation::Vote(Vote { proposal: ProposalId(1), choice })
}

fn pay(to: &SecretKey, amount: u64) -> Operation {
    Operation::Transfer(Transfer { to: id_of(to), amount: Uftns(amount), memo: String::new() })
}

fn rejection(outcome: &Outcome) -> &Rejection {
    outcome.rejection().expect("rejected")
}

#[test]
fn a_vote_that_passes_carries_itself_out() {
    let mut world = World::new();
    let opened = world.one(&alice(), propose(Parameter::HoldMarginMs, 40));
    assert!(matches!(opened, Outcome::Executed { effect: Effect::Proposed { proposal: ProposalId(1), .. }, .. }));
    let opened_at = world.now();
    assert!(world.one(&alice(), vote(Choice::Yes)).is_executed());
    assert!(world.one(&bob(), vote(Choice::No)).is_executed());
    // Moving tokens afterwards changes nothing: bob votes again, with what alice had given him meanwhile.
    world.one(&alice(), pay(&bob(), Uftns::ftns(9_000).0));
    let again = world.one(&bob(), vote(Choice::No));
    let Outcome::Executed { effect: Effect::Voted { weight, .. }, .. } = again else { panic!("{again:?}") };
    assert_eq!(weight, Uftns::ftns(5_000));
    assert_eq!(query::next_due(&world.state).unwrap(), Some(opened_at.plus_ms(5_000)));

    let (_, counted) = world.run(5_000, vec![]);
    let event = |status| DueEvent::Proposal { proposal: ProposalId(1), status };
    assert_eq!(counted.due, vec![event(ProposalStatus::Succeeded), event(ProposalStatus::Queued)]);
    assert_eq!(query::parameter(&world.state, Parameter::HoldMarginMs).unwrap(), 0);
    assert!(world.run(1_999, vec![]).1.due.is_empty());
    assert_eq!(world.run(1, vec![]).1.due, vec![event(ProposalStatus::Executed)]);
    assert_eq!(query::parameter(&world.state, Parameter::HoldMarginMs).unwrap(), 40);
    let quarter = query::globals(&world.state).unwrap().quarter.ends;
    assert_eq!(query::next_due(&world.state).unwrap(), Some(quarter), "nothing else is due");
    assert!(matches!(rejection(&world.one(&bob(), vote(Choice::Yes))), Rejection::NotVoting { .. }));
}

#[test]
fn votes_fail_by_quorum_by_majority_and_by_veto() {
    let status = |choices: &[(SecretKey, Choice)]| {
        let mut world = World::new();
        let before = world.balance(&id_of(&operator()));
        world.one(&operator(), propose(Parameter::HoldMarginMs, 40));
        for (who, choice) in choices {
            world.one(who, vote(*choice));
        }
        world.run(6_000, vec![]);
        let proposal = query::proposal(&world.state, ProposalId(1)).unwrap().unwrap();
        let returned = before - world.balance(&id_of(&operator())) < Uftns::PER_FTNS;
        (proposal.status, returned)
    };
    assert_eq!(status(&[]), (ProposalStatus::Defeated, true));
    assert_eq!(status(&[(key(1), Choice::Yes)]), (ProposalStatus::Defeated, true));
    assert_eq!(status(&[(alice(), Choice::Abstain)]), (ProposalStatus::Defeated, true));
    assert_eq!(status(&[(bob(), Choice::Yes)]), (ProposalStatus::Queued, true));
    assert_eq!(status(&[(alice(), Choice::Yes), (bob(), Choice::NoWithVeto)]), (ProposalStatus::Vetoed, false));
}

#[test]
fn from_ten_voters_on_nobody_counts_for_more_than_a_tenth() {
    let mut genesis = common::genesis();
    let small = |n| mesh30k_ledger::genesis::GenesisAccount {
        policy: mesh30k_ledger::key_policy::KeyPolicy::single(key(n).public()),
        balance: Uftns::ftns(1),
        region: None,
    };
    genesis.accounts.extend((160..169).map(small));
    let status = |others: u8| {
        let mut world = World::of(genesis.clone());
        world.one(&operator(), propose(Parameter::HoldMarginMs, 40));
        world.one(&alice(), vote(Choice::Yes));
        for n in 160..160 + others {
            world.one(&key(n), vote(Choice::Yes));
        }
        world.run(6_000, vec![]);
        query::proposal(&world.state, ProposalId(1)).unwrap().unwrap().status
    };
    // Alice owns more than half. With nine voters that is a quorum; with ten she counts for a tenth.
    assert_eq!(status(8), ProposalStatus::Queued);
    assert_eq!(status(9), ProposalStatus::Defeated);
}

#[test]
fn proposals_stay_within_hard_bounds() {
    let mut world = World::new();
    let outcome = world.one(&alice(), propose(Parameter::ClusterSize, 1));
    assert!(matches!(rejection(&outcome), Rejection::ParameterBounds { found: 1, min: 2, .. }));
    for _ in 0..3 {
        assert!(world.one(&alice(), propose(Parameter::ClusterSize, 9)).is_executed());
    }
    let outcome = world.one(&alice(), propose(Parameter::ClusterSize, 9));
    assert!(matches!(rejection(&outcome), Rejection::TooManyProposals { open: 3, max: 3 }));
    let outcome = world.one(&key(1), Operation::Vote(Vote { proposal: ProposalId(9), choice: Choice::Yes }));
    assert!(matches!(rejection(&outcome), Rejection::UnknownProposal(_)));
}

#[test]
fn a_freeze_stops_everything_but_governance_and_ends() {
    let mut world = World::new();
    let until = world.now().plus_ms(60_000);
    let freeze = |until| Operation::Freeze(Freeze { scope: Scope::Global, reason: "drill".into(), until });
    let order = world.signed(&operator(), freeze(until));
    let operators = world.genesis.operators.clone();
    let now = world.now();
    assert_eq!(verify_order(&order, &operators, &world.context, now).unwrap().until, Some(until));
    let forged = world.signed(&alice(), freeze(until));
    let refused = verify_order(&forged, &operators, &world.context, now);
    assert!(matches!(refused, Err(OrderError::BelowThreshold { valid: 0, threshold: 1 })));
    let long = world.signed(&operator(), freeze(now.plus_ms(73 * 3_600_000)));
    assert!(matches!(verify_order(&long, &operators, &world.context, now), Err(OrderError::TooLong { .. })));

    assert!(world.run(10, vec![order]).1.outcomes[0].is_executed());
    assert!(matches!(rejection(&world.one(&alice(), pay(&bob(), 1))), Rejection::Frozen { scope: Scope::Global, .. }));
    assert!(world.one(&alice(), propose(Parameter::HoldMarginMs, 1)).is_executed());
    assert_eq!(query::freezes(&world.state).unwrap().len(), 1);
    let thaw = Operation::Thaw(Thaw { scope: Scope::Global, reason: "done".into() });
    assert!(world.one(&operator(), thaw).is_executed());
    assert!(world.one(&alice(), pay(&bob(), 1)).is_executed());

    let until = world.now().plus_ms(1_000);
    world.one(&operator(), freeze(until));
    assert!(world.run(1_000, vec![]).1.due.contains(&DueEvent::FreezeEnded { scope: Scope::Global }));
    assert!(world.one(&alice(), pay(&bob(), 1)).is_executed());
    let nowhere = Operation::Freeze(Freeze {
        scope: Scope::Agent(AgentId(7)),
        reason: "x".into(),
        until: world.now().plus_ms(9),
    });
    assert!(matches!(rejection(&world.one(&operator(), nowhere)), Rejection::UnknownScope(_)));
}

fn release(world: &mut World, escrow: EscrowId, receipt: TaskReceipt) -> Outcome {
    world.one(&alice(), Operation::EscrowRelease(EscrowRelease { escrow, receipt }))
}

#[test]
fn a_task_is_paid_part_by_part_and_the_rest_returns() {
    let mut world = mesh(World::new());
    let escrow = open(&mut world, 3, 60_000);
    let good = receipt(&world, report(0));
    let (worker, requester) = (world.balance(&id_of(&key(1))), world.balance(&id_of(&alice())));
    let outcome = release(&mut world, escrow, good);
    let Outcome::Executed { fee, effect: Effect::PartReleased { price, returned, .. } } = outcome else {
        panic!("{outcome:?}")
    };
    // 4.5 million fuel = 5 units at 1,000; 7,125 ug at 0.1 FTNS/g = 712.5, rounded up; alice is in the access list (30 %);
    // a quarter renewable: 15 % / 4 of the base.
    assert_eq!((price.base, price.carbon, price.premium), (Uftns(5_000), Uftns(713), Uftns(0)));
    assert_eq!((price.discount, price.green, price.total), (Uftns(1_500), Uftns(187), Uftns(4_026)));
    assert_eq!(returned, Uftns(15_000 - 4_026));
    assert_eq!(world.balance(&id_of(&key(1))), worker + 5_000 + fee.0 / 2);
    assert_eq!(world.balance(&id_of(&alice())), requester + returned.0 - fee.0);
    assert_eq!(rejection(&release(&mut world, escrow, good)), &Rejection::PartReleased(0));

    let one = receipt(&world, report(1));
    assert!(release(&mut world, escrow, one).is_executed());
    let (_, late) = world.run(60_000, vec![]);
    assert_eq!(late.due, vec![DueEvent::EscrowRefunded { escrow, opener: id_of(&alice()), amount: Uftns(15_000) }]);
    let two = receipt(&world, report(2));
    assert!(matches!(rejection(&release(&mut world, escrow, two)), Rejection::EscrowClosed(_)));
    assert_eq!(query::escrow(&world.state, &escrow).unwrap().unwrap().status, EscrowStatus::Refunded);
}

#[test]
fn receipts_that_do_not_hold_are_not_paid() {
    let mut world = mesh(World::new());
    let escrow = open(&mut world, 3, 60_000);
    type Change = fn(&mut TaskReport);
    let cases: [(&str, Change); 10] = [
        ("ReceiptMismatch", |r| r.task = Hash::ZERO),
        ("ReceiptMismatch", |r| r.module = Hash::ZERO),
        ("UnknownPart", |r| r.part = 3),
        ("TaskFailed", |r| r.exit_code = 1),
        ("UnknownAgent", |r| r.agent = AgentId(99)),
        ("WrongHost", |r| r.host = NodeId(2)),
        ("ReceiptSignature", |r| r.agent = AgentId(2)),
        ("IntensityTooLow", |r| r.intensity_mg_per_kwh = 94_999),
        ("RenewableNotAttested", |r| r.renewable_ppm = 500_001),
        ("CarbonMismatch", |r| r.carbon_ug -= 1),
    ];
    for (name, change) in cases {
        let mut changed = report(0);
        change(&mut changed);
        let receipt = receipt(&world, changed);
        let outcome = release(&mut world, escrow, receipt);
        assert!(format!("{:?}", rejection(&outcome)).starts_with(name), "{name}: {outcome:?}");
    }
    let mut altered = receipt(&world, report(0));
    altered.report.fuel += 1;
    assert!(matches!(rejection(&release(&mut world, escrow, altered)), Rejection::ReceiptSignature(_)));
    let good = receipt(&world, report(0));
    let stranger = world.one(&bob(), Operation::EscrowRelease(EscrowRelease { escrow, receipt: good }));
    assert!(matches!(rejection(&stranger), Rejection::NotOpener { .. }));
    let until = world.now().plus_ms(60_000);
    world.one(&operator(), Operation::Freeze(Freeze { scope: Scope::Sector(SectorId(0)), reason: "x".into(), until }));
    let frozen = release(&mut world, escrow, good);
    assert!(matches!(rejection(&frozen), Rejection::Frozen { scope: Scope::Sector(SectorId(0)), .. }));
}

#[test]
fn the_clock_of_an_escrow_stands_still_while_everything_is_frozen() {
    let mut world = mesh(World::new());
    let escrow = open(&mut world, 1, 10_000);
    let until = world.now().plus_ms(8_000);
    world.one(&operator(), Operation::Freeze(Freeze { scope: Scope::Global, reason: "drill".into(), until }));
    world.run(8_000, vec![]);
    world.run(3_000, vec![]);
    assert_eq!(query::escrow(&world.state, &escrow).unwrap().unwrap().status, EscrowStatus::Open);
    world.run(8_000, vec![]);
    assert_eq!(query::escrow(&world.state, &escrow).unwrap().unwrap().status, EscrowStatus::Refunded);
}

#[test]
fn nodes_and_agents_are_placed_in_order() {
    let mut world = World::new();
    // Four nodes of 75 fill sector 0; the fifth opens sector 1.
    for n in 1..=4_u16 {
        let batch = agents((n - 1) * 75..n * 75);
        assert!(world.one(&key(n as u8), register(None, batch)).is_executed());
    }
    let newcomer = key(9);
    let mut tx = world.tx(&newcomer, register(Some(node_registration(9)), agents(300..375)));
    tx.sponsor = Some(id_of(&key(2)));
    let mut signed = tx.sign(&[&newcomer]);
    signed.add_sponsor_signature(&key(2));
    let paid = world.balance(&id_of(&key(2)));
    let outcome = world.run(10, vec![signed]).1.outcomes.remove(0);
    let Outcome::Executed { fee, effect } = outcome else { panic!("{outcome:?}") };
    let first_agent = Some(AgentId(301));
    assert_eq!(effect, Effect::HostRegistered { node: NodeId(5), first_agent, agents: 75, sector: Some(SectorId(1)) });
    assert_eq!(world.balance(&id_of(&key(2))), paid - fee.0);
    assert_eq!(query::node_of_account(&world.state, &id_of(&newcomer)).unwrap(), Some(NodeId(5)));

    assert_eq!(query::sector_voters(&world.state, SectorId(0)).unwrap(), [NodeId(1), NodeId(2), NodeId(3)]);
    // Its own node, then the one without a seat, then the lowest of those with one.
    assert_eq!(query::sector_voters(&world.state, SectorId(1)).unwrap(), [NodeId(5), NodeId(4), NodeId(1)]);
    let clusters = query::clusters(&world.state, SectorId(0)).unwrap();
    assert_eq!(clusters.len(), 10);
    assert!(clusters.iter().all(|cluster| cluster.agents.len() == 30));
    let last = ClusterId { sector: SectorId(1), index: 2 };
    assert_eq!(query::agents_of_cluster(&world.state, last).unwrap().len(), 15);
    assert_eq!(query::agents_of_sector(&world.state, SectorId(0)).unwrap().len(), 300);
    let own = query::agents_of_node(&world.state, NodeId(5)).unwrap();
    assert_eq!((own.len(), own[0].id, own[0].cluster.sector), (75, AgentId(301), SectorId(1)));
}

#[test]
fn sponsors_are_limited_by_the_minute() {
    let mut genesis = common::genesis();
    genesis.parameters.0.insert(Parameter::SponsoredPerMinute, 2);
    let mut world = World::of(genesis);
    let mut newcomer = |n: u8, after_ms| {
        let mut tx = world.tx(&key(n), register(Some(node_registration(n)), vec![]));
        tx.sponsor = Some(id_of(&key(1)));
        let mut signed = tx.sign(&[&key(n)]);
        signed.add_sponsor_signature(&key(1));
        world.run(after_ms, vec![signed]).1.outcomes.remove(0)
    };
    assert!(newcomer(20, 10).is_executed());
    assert!(newcomer(21, 10).is_executed());
    assert!(matches!(rejection(&newcomer(22, 10)), Rejection::SponsorLimit { limit: 2, .. }));
    assert!(newcomer(22, 60_000).is_executed());
}

#[test]
fn a_proposer_takes_what_can_be_carried_out() {
    use mesh30k_ledger::execute::{Zip215, select};
    let world = World::new();
    let tx = |nonce| {
        let mut tx = world.tx(&alice(), pay(&bob(), 1));
        tx.nonce = nonce;
        tx.sign(&[&alice()])
    };
    let mut poor = world.tx(&bob(), pay(&alice(), 1));
    poor.fee_limit = Uftns(0);
    let candidates = vec![tx(2), tx(1), tx(5), tx(0), poor.sign(&[&bob()]), tx(0)];
    let picked = select(&world.state, TimeMs(world.now().0 + 1), candidates, &Zip215).unwrap();
    assert_eq!(picked.included.iter().map(|signed| signed.tx.nonce).collect::<Vec<_>>(), [0, 1, 2]);
    let why: Vec<_> = picked.refused.iter().map(|(_, rejection)| rejection.is_premature()).collect();
    assert_eq!(why, [false, false, true]);
    assert!(world.try_run(1, picked.included).unwrap().1.outcomes.iter().all(Outcome::is_executed));
}
