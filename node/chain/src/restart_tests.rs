use mesh30k_ledger::finality::{Phase, SignedVote, Validator, Vote};
use mesh30k_ledger::types::{AccountId, NodeId};

use super::*;

const NOW: TimeMs = TimeMs(1_000);

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

fn context() -> ChainContext {
    ChainContext { chain: ChainId::new("halted").unwrap(), genesis: Hash::of(b"genesis") }
}

fn set(keys: std::ops::RangeInclusive<u8>) -> ValidatorSet {
    let seat = |n: u8| Validator { node: NodeId(n.into()), key: key(n).public(), account: AccountId([n; 20]) };
    ValidatorSet(keys.map(seat).collect())
}

fn certificate(block: &[u8], height: u64, signers: std::ops::RangeInclusive<u8>) -> Certificate {
    let vote = |n: u8| Vote {
        phase: Phase::First,
        context: context(),
        epoch: Epoch(0),
        round: Round(0),
        height: Height(height),
        block: Hash::of(block),
        parent: Hash::ZERO,
        commitment: Hash::of(b"state"),
        lock: None,
        validator: NodeId(n.into()),
    };
    let votes: Vec<SignedVote> = signers.map(|n| vote(n).sign(&key(n))).collect();
    Certificate::assemble(&votes).unwrap()
}

fn order() -> Restart {
    Restart {
        context: context(),
        base: certificate(b"last", 9, 1..=3),
        stays: Vec::new(),
        epoch: Epoch(1),
        round: Round(1),
        new_chain: None,
        validators: set(2..=5),
        statements: statements(1..=2),
        valid_until: TimeMs(2_000),
    }
}

/// Validators that hold block 9 final and nothing above it.
fn statements(nodes: std::ops::RangeInclusive<u8>) -> Vec<SignedStatement> {
    statements_on(&certificate(b"last", 9, 1..=3), nodes)
}

fn statements_on(last_final: &Certificate, nodes: std::ops::RangeInclusive<u8>) -> Vec<SignedStatement> {
    let said = |n: u8| {
        let statement = Statement {
            context: context(),
            node: NodeId(n.into()),
            epoch: Epoch(0),
            round: Round(0),
            last_final: last_final.clone(),
            log_end: (1, 10),
            tail: Vec::new(),
        };
        SignedStatement { signature: key(n).sign(statement.signing_hash().as_bytes()), statement }
    };
    nodes.map(said).collect()
}

fn operators() -> Operators {
    Operators { threshold: 2, keys: (101..=103).map(|n| key(n).public()).collect() }
}

fn check(order: Restart, signers: &[u8], halted: Option<HaltCause>) -> Result<(), RestartRefused> {
    let signatures = signers.iter().map(|n| order.sign(&key(*n))).collect();
    check_signed(&SignedRestart { order, signatures }, halted)
}

fn check_signed(signed: &SignedRestart, halted: Option<HaltCause>) -> Result<(), RestartRefused> {
    let (context, validators, operators) = (context(), set(1..=4), operators());
    let tip = FinalTip { height: Height(9), block: Hash::of(b"last"), commitment: Hash::of(b"state"), time: NOW };
    let at = (Epoch(0), Round(0));
    signed
        .check(&Restartable {
            context: &context,
            tip,
            validators: &validators,
            certifiers: &validators,
            at,
            operators: &operators,
            halted,
            now: NOW,
        })
        .map(|kept| assert!(kept.is_empty()))
}

#[test]
fn enough_operators_let_the_chain_go_on() {
    for halted in [None, Some(HaltCause::NoQuorum), Some(HaltCause::ExecutionDiverged)] {
        assert_eq!(check(order(), &[101, 103], halted), Ok(()));
    }
    let same_set = Restart { validators: set(1..=4), epoch: Epoch(0), ..order() };
    assert_eq!(check(same_set, &[101, 102, 103], None), Ok(()));
}

#[test]
fn one_operator_twice_strangers_and_changed_orders_do_not_count() {
    let too_few = |valid| Err(RestartRefused::TooFewOperators { valid, threshold: 2 });
    assert_eq!(check(order(), &[101], None), too_few(1));
    assert_eq!(check(order(), &[101, 101], None), too_few(1));
    assert_eq!(check(order(), &[101, 1, 2, 3], None), too_few(1));
    let signatures = [101, 102].map(|n| order().sign(&key(n))).to_vec();
    let changed = Restart { validators: set(1..=5), ..order() };
    assert_eq!(check_signed(&SignedRestart { order: changed, signatures }, None), too_few(0));
}

#[test]
fn each_field_is_checked() {
    let refused = |order: Restart| check(order, &[101, 102], None).unwrap_err();
    let elsewhere = ChainContext { chain: ChainId::new("other").unwrap(), ..context() };
    assert!(matches!(refused(Restart { context: elsewhere, ..order() }), RestartRefused::OtherChain { .. }));
    assert!(matches!(refused(Restart { valid_until: TimeMs(999), ..order() }), RestartRefused::Expired { .. }));
    let few = certificate(b"last", 9, 1..=2);
    assert!(matches!(refused(Restart { base: few, ..order() }), RestartRefused::BadCertificate { .. }));
    let other = certificate(b"another", 9, 1..=3);
    assert!(matches!(refused(Restart { base: other, ..order() }), RestartRefused::OtherBlock { .. }));
    let lower = certificate(b"before", 8, 1..=3);
    let (base, known) = (Height(8), Height(9));
    assert_eq!(refused(Restart { base: lower.clone(), ..order() }), RestartRefused::NotHighest { base, known });
    let said = statements_on(&lower, 1..=2);
    assert_eq!(
        refused(Restart { base: lower, statements: said, ..order() }),
        RestartRefused::Undoes { base, own: known }
    );
    let higher = certificate(b"later", 10, 1..=3);
    assert!(matches!(refused(Restart { base: higher, ..order() }), RestartRefused::NotReached { .. }));
    for (epoch, round) in [(1, 0), (1, 2), (0, 1), (2, 1)] {
        let wrong = Restart { epoch: Epoch(epoch), round: Round(round), ..order() };
        assert!(matches!(refused(wrong), RestartRefused::Sequence { .. }), "{epoch} {round}");
    }
    assert_eq!(refused(Restart { validators: ValidatorSet(Vec::new()), ..order() }), RestartRefused::Validators);
    let stays = vec![BlockResult { height: Height(10), block: Hash::ZERO, commitment: Hash::ZERO }];
    let more = RestartRefused::Stays { base: known, named: 1, kept: 0 };
    assert_eq!(refused(Restart { stays, ..order() }), more);
    for (statements, found) in [(statements(1..=1), 1), ([statements(1..=1), statements(1..=1)].concat(), 1)] {
        let few = RestartRefused::TooFewStatements { found, needed: 2 };
        assert_eq!(refused(Restart { statements, ..order() }), few);
    }
    // A stranger's word counts for nothing, and a changed one neither.
    let mut changed = statements(1..=2);
    changed[0].statement.log_end = (1, 11);
    for statements in [statements(4..=5), changed] {
        assert!(matches!(refused(Restart { statements, ..order() }), RestartRefused::TooFewStatements { .. }));
    }
}

#[test]
fn a_fork_takes_a_new_name_and_nothing_else_does() {
    let name = |text: &str| Some(ChainId::new(text).unwrap());
    for halted in [Some(HaltCause::ConflictingFinals), Some(HaltCause::TooManyOffenders)] {
        let refused = Err(RestartRefused::ChainName { needed: true });
        assert_eq!(check(order(), &[101, 102], halted), refused);
        assert_eq!(check(Restart { new_chain: name("halted"), ..order() }, &[101, 102], halted), refused);
        let renamed = Restart { new_chain: name("anew"), ..order() };
        assert_eq!(check(renamed.clone(), &[101, 102], halted), Ok(()));
        // The operators choose the branch: the final block of this node may be on the other one.
        let branch = Restart { base: certificate(b"another", 9, 1..=3), ..renamed };
        assert_eq!(check(branch, &[101, 102], halted), Ok(()));
    }
    let renamed = Restart { new_chain: name("anew"), ..order() };
    let refused = Err(RestartRefused::ChainName { needed: false });
    assert_eq!(check(renamed, &[101, 102], Some(HaltCause::NoQuorum)), refused);
}
