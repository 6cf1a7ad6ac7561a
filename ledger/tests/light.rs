//! A light client holds the genesis and nothing else: what a key holds, or does not, is proven to it also after the operators handed
//! the chain over, and nothing in a proof can change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{World, alice, bob, genesis, id_of, key, operator};
use mesh30k_ledger::authority::{Authority, AuthorityError};
use mesh30k_ledger::block::Block;
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::execute::Execution;
use mesh30k_ledger::finality::{Certificate, CertificateError, Validator, ValidatorSet};
use mesh30k_ledger::finality_proof::{FinalityProof, FinalityProofError};
use mesh30k_ledger::handover::{
    BlockResult, Handover, HandoverError, MAX_HANDOVERS, RestartTerms, SignedRestartTerms, leading_to,
};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{Operation, Transfer};
use mesh30k_ledger::query;
use mesh30k_ledger::receipt::Receipt;
use mesh30k_ledger::restart::restart;
use mesh30k_ledger::smt::ProofError;
use mesh30k_ledger::state::StateRead;
use mesh30k_ledger::state_receipt::{ProveError, StateReceipt, StateReceiptError};
use mesh30k_ledger::transaction::{KeyedSignature, SignedTransaction};
use mesh30k_ledger::types::{ChainId, Epoch, Hash, Height, NodeId, Round, TimeMs, Uftns};
use proptest::prelude::*;

const BYTES_MAX: usize = 1 << 20;

fn account_key(key: &SecretKey) -> Vec<u8> {
    query::account_key(&id_of(key))
}

fn pay(world: &World, amount: u64) -> Vec<SignedTransaction> {
    let op = Operation::Transfer(Transfer { to: id_of(&bob()), amount: Uftns(amount), memo: String::new() });
    vec![world.signed(&alice(), op)]
}

/// Validators 1 and 2 stay, node 3 gets a new key.
fn newcomers() -> ValidatorSet {
    let seat = |n: u8, seed: u8| Validator { node: NodeId(n.into()), key: key(seed).public(), account: id_of(&key(n)) };
    ValidatorSet(vec![seat(1, 51), seat(2, 52), seat(3, 63)])
}

fn sign(terms: RestartTerms, signers: &[SecretKey]) -> Handover {
    let message = terms.signing_hash();
    let one = |key: &SecretKey| KeyedSignature { key: key.public(), signature: key.sign(message.as_bytes()) };
    let mut signatures: Vec<_> = signers.iter().map(one).collect();
    signatures.sort_by_key(|one| one.key);
    Handover::Restart(SignedRestartTerms { terms, signatures })
}

/// A chain that lost validators 3 and 4: block 2 is certified, block 3 stays by the operators' word with two votes, block 4 is the
/// first of the new validators.
struct Recovered {
    world: World,
    terms: RestartTerms,
    /// Of block 3.
    kept: Receipt,
    /// Of block 4.
    after: FinalityProof,
}

impl Recovered {
    fn new() -> Self {
        let mut world = World::new();
        world.run(10, pay(&world, 1));
        let (second, executed) = world.run(10, pay(&world, 2));
        let base = world.certify(&second, &executed);
        let (third, executed) = world.run(10, pay(&world, 3));
        let certificate = world.certify_by(&[1, 2], &third, &executed);
        let terms = RestartTerms {
            context: world.context,
            base,
            stays: vec![BlockResult::of(&certificate)],
            epoch: Epoch(1),
            round: Round(1),
            new_chain: None,
            validators: newcomers(),
            statements: Hash::of(b"last words"),
            valid_until: TimeMs(9),
        };
        let handovers = vec![sign(terms.clone(), &[operator()])];
        let (header, commitment) = (third.header, executed.commitment);
        let finality = FinalityProof { header, commitment, certificate, handovers: handovers.clone() };
        let kept = Receipt::build(&third, &executed, finality, 0).unwrap();
        let changes = restart(&world.state, Epoch(1), Round(1), &newcomers()).unwrap();
        world.state.apply(changes);
        let (fourth, executed) = world.run(10, pay(&world, 4));
        let certificate = world.certify_by(&[1, 2], &fourth, &executed);
        let (header, commitment) = (fourth.header, executed.commitment);
        let after = FinalityProof { header, commitment, certificate, handovers };
        Self { world, terms, kept, after }
    }

    fn receipt_of(&self, key: &[u8]) -> StateReceipt {
        StateReceipt::build(&self.world.state, key, self.after.clone()).unwrap()
    }

    /// Whether a changed receipt is refused. One of a key that is absent may turn into that of a neighbour that is absent as well:
    /// then it says so, and it is true.
    fn is_harmless(&self, receipt: &StateReceipt, changed: &StateReceipt) -> bool {
        let same = |key: &[u8]| StateReceipt { key: key.to_vec(), ..changed.clone() } == *receipt;
        match changed.verify(&self.world.genesis) {
            Err(_) => true,
            Ok(None) => same(&receipt.key) && self.world.state.get(&changed.key).unwrap().is_none(),
            Ok(Some(_)) => changed == receipt,
        }
    }

    /// Whether block 4 is proven by these hand-overs.
    fn led(&self, handovers: Vec<Handover>) -> Result<(), FinalityProofError> {
        FinalityProof { handovers, ..self.after.clone() }.verify(&genesis())
    }

    /// Why a changed order, signed by these, hands nothing over.
    fn refused(&self, change: impl Fn(&mut RestartTerms), signers: &[SecretKey]) -> HandoverError {
        let mut terms = self.terms.clone();
        change(&mut terms);
        handover_error(self.led(vec![sign(terms, signers)]))
    }
}

fn handover_error(result: Result<(), FinalityProofError>) -> HandoverError {
    match result {
        Err(FinalityProofError::Authority(AuthorityError::Handover { source, .. })) => source,
        other => panic!("{other:?}"),
    }
}

fn plain() -> (World, Block, Execution) {
    let mut world = World::new();
    let (block, execution) = world.run(10, pay(&world, 5));
    (world, block, execution)
}

#[test]
fn presence_and_absence_are_proven_to_who_holds_the_genesis() {
    let (world, block, execution) = plain();
    let nobody = key(222);
    for person in [alice(), bob(), nobody] {
        let wanted = account_key(&person);
        let finality = world.finality(&block, &execution);
        let receipt = StateReceipt::build(&world.state, &wanted, finality).unwrap();
        assert_eq!(receipt.verify(&genesis()).unwrap(), world.state.get(&wanted).unwrap().as_deref());
        let account = query::account(&world.state, &id_of(&person)).unwrap();
        assert_eq!(receipt.verify_account(&genesis()), Ok(account));
        assert_eq!(receipt.account_id(), Some(id_of(&person)));
        let back: StateReceipt = serde_json::from_str(&serde_json::to_string(&receipt).unwrap()).unwrap();
        assert_eq!(back, receipt);
    }
    let totals = StateReceipt::build(&world.state, b"cg", world.finality(&block, &execution)).unwrap();
    assert!(totals.verify(&genesis()).unwrap().is_some());
    assert_eq!(totals.account_id(), None);
    assert!(matches!(totals.verify_account(&genesis()), Err(StateReceiptError::NoAccount(_))));
    for key in [&b"mt"[..], b"", &[b'a'; 513]] {
        let refused = StateReceipt::build(&world.state, key, world.finality(&block, &execution));
        assert!(matches!(refused, Err(ProveError::NoDomain(_))));
    }
}

#[test]
fn what_belongs_to_something_else_is_refused() {
    let (mut world, block, execution) = plain();
    let earlier = world.finality(&block, &execution);
    let (block, execution) = world.run(10, pay(&world, 6));
    let finality = world.finality(&block, &execution);
    let of = |key: &SecretKey| StateReceipt::build(&world.state, &account_key(key), finality.clone()).unwrap();
    let (mine, yours, absent) = (of(&alice()), of(&bob()), of(&key(222)));
    let refused = |change: &dyn Fn(&mut StateReceipt)| {
        let mut receipt = mine.clone();
        change(&mut receipt);
        receipt.verify(&genesis()).unwrap_err()
    };
    let other_account = |r: &mut StateReceipt| r.key.clone_from(&yours.key);
    assert_eq!(refused(&other_account), StateReceiptError::NotInState(ProofError::WrongDomainRoot));
    let other_proof = |r: &mut StateReceipt| r.state_proof = yours.state_proof.clone();
    assert_eq!(refused(&other_proof), StateReceiptError::NotInState(ProofError::WrongDomainRoot));
    let other_value = |r: &mut StateReceipt| r.value.clone_from(&yours.value);
    assert_eq!(refused(&other_value), StateReceiptError::NotInState(ProofError::WrongDomainRoot));
    let gone = |r: &mut StateReceipt| r.value = None;
    assert_eq!(refused(&gone), StateReceiptError::NotInState(ProofError::WrongDomainRoot));
    let other_block = |r: &mut StateReceipt| r.finality = earlier.clone();
    assert_eq!(refused(&other_block), StateReceiptError::NotInState(ProofError::WrongRoot));
    let other_root = |r: &mut StateReceipt| r.finality.commitment.state_root = earlier.commitment.state_root;
    assert_eq!(refused(&other_root), StateReceiptError::NotFinal(FinalityProofError::WrongCommitment));
    let other_certificate = |r: &mut StateReceipt| r.finality.certificate = earlier.certificate.clone();
    assert!(matches!(refused(&other_certificate), StateReceiptError::NotFinal(FinalityProofError::WrongBlock { .. })));

    let mut made_up = absent.clone();
    made_up.value.clone_from(&mine.value);
    assert!(made_up.verify(&genesis()).is_err());
    let mut hidden = absent;
    hidden.key.clone_from(&mine.key);
    assert!(hidden.verify(&genesis()).is_err(), "absence of one is no absence of another");
    let elsewhere = World::of(mesh30k_ledger::genesis::Genesis { time: TimeMs(1), ..genesis() });
    assert!(mine.verify(&elsewhere.genesis).is_err());
    let late = StateReceipt::build(&world.state, &mine.key, earlier);
    assert_eq!(late, Err(ProveError::NotCertified), "the state has moved on");
}

#[test]
fn one_flipped_bit_anywhere_is_refused() {
    let recovered = Recovered::new();
    for wanted in [account_key(&alice()), account_key(&key(222))] {
        let receipt = recovered.receipt_of(&wanted);
        receipt.verify(&genesis()).unwrap();
        let bytes = encode(&receipt);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            if let Ok(changed) = decode::<StateReceipt>(&flipped, BYTES_MAX) {
                assert!(recovered.is_harmless(&receipt, &changed), "byte {at} may change unnoticed");
            }
        }
    }
    let bytes = encode(&recovered.kept);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        if let Ok(changed) = decode::<Receipt>(&flipped, BYTES_MAX) {
            assert!(changed.verify(&recovered.world.genesis).is_err(), "byte {at} of a receipt may change unnoticed");
        }
    }
}

#[test]
fn the_genesis_is_enough_after_a_recovery_too() {
    let recovered = Recovered::new();
    let receipt = recovered.receipt_of(&account_key(&bob()));
    let found = receipt.verify_account(&genesis()).unwrap().unwrap();
    assert_eq!(found.balance.0, recovered.world.balance(&id_of(&bob())));
    assert_eq!(recovered.kept.verify(&genesis()), Ok(()), "a block that stayed with two votes");
    let json = serde_json::to_string(&recovered.kept).unwrap();
    assert_eq!(serde_json::from_str::<Receipt>(&json).unwrap(), recovered.kept);

    let all = recovered.after.handovers.clone();
    let first = &genesis().validators;
    assert_eq!(leading_to(first, &all, &recovered.terms.base), &[], "before it, nobody needs it");
    assert_eq!(leading_to(first, &all, &recovered.kept.finality.certificate), all);
    assert_eq!(leading_to(first, &all, &recovered.after.certificate), all);
    assert!(matches!(
        recovered.led(Vec::new()),
        Err(FinalityProofError::Authority(AuthorityError::OtherEpoch { epoch: Epoch(1), known_epoch: Epoch(0), .. }))
    ));
    let mut alone = recovered.kept.finality;
    alone.handovers.clear();
    assert!(matches!(
        alone.verify(&genesis()),
        Err(FinalityProofError::Authority(AuthorityError::Certificate(CertificateError::TooFew { votes: 2, .. })))
    ));
}

#[test]
fn a_handover_is_believed_only_from_the_operators_and_only_in_its_place() {
    let recovered = Recovered::new();
    let good = sign(recovered.terms.clone(), &[operator()]);
    assert_eq!(recovered.led(vec![good.clone()]), Ok(()));
    let refused = |change: &dyn Fn(&mut RestartTerms)| recovered.refused(change, &[operator()]);

    let none = recovered.refused(|_| {}, &[]);
    assert_eq!(none, HandoverError::TooFewOperators { found: 0, threshold: 1 });
    let validators: Vec<_> = (51..=54).map(key).collect();
    assert!(matches!(recovered.refused(|_| {}, &validators), HandoverError::Signature(_)));
    let Handover::Restart(SignedRestartTerms { terms, signatures }) = good.clone() else { panic!() };
    let twice = Handover::Restart(SignedRestartTerms { terms, signatures: [signatures.clone(), signatures].concat() });
    assert!(matches!(handover_error(recovered.led(vec![twice])), HandoverError::Signature(_)));

    assert!(matches!(refused(&|t| t.context.genesis = Hash::ZERO), HandoverError::OtherChain { .. }));
    let name = ChainId::new("anew").unwrap();
    assert_eq!(refused(&|t| t.new_chain = Some(name)), HandoverError::NewChain(name));
    assert_eq!(refused(&|t| t.validators = ValidatorSet(Vec::new())), HandoverError::Validators);
    assert_eq!(refused(&|t| t.validators.0.reverse()), HandoverError::Validators);
    for (epoch, round) in [(0, 1), (2, 1), (1, 0), (1, 2)] {
        let moved = refused(&|t| (t.epoch, t.round) = (Epoch(epoch), Round(round)));
        assert!(matches!(moved, HandoverError::Sequence { .. }), "{epoch} {round}");
    }
    let few = |t: &mut RestartTerms| t.base.signatures.truncate(2);
    assert_eq!(refused(&few), HandoverError::Base(Height(2)));
    assert_eq!(refused(&|t| t.base = recovered.after.certificate.clone()), HandoverError::Base(Height(4)));
    assert_eq!(refused(&|t| t.stays[0].height = Height(4)), HandoverError::Stays(Height(2)));
    let many = |t: &mut RestartTerms| {
        let stays = |height| BlockResult { height: Height(height), ..t.stays[0] };
        t.stays = (3..1_000).map(stays).collect();
    };
    assert!(matches!(refused(&many), HandoverError::TooLarge { .. }));
    assert!(matches!(
        handover_error(recovered.led(vec![good.clone(), good.clone()])),
        HandoverError::Sequence { expected_round: Round(2), .. }
    ));
    let crowd = vec![good; MAX_HANDOVERS + 1];
    assert_eq!(handover_error(recovered.led(crowd)), HandoverError::TooMany { found: MAX_HANDOVERS + 1 });
}

#[test]
fn each_set_of_validators_counts_only_in_its_time() {
    let recovered = Recovered::new();
    let (world, genesis) = (&recovered.world, genesis());
    let authority = Authority::led_by(&genesis, &recovered.after.handovers).unwrap();
    let check = |certificate: &Certificate| authority.check(certificate);
    let (block, execution) = world.try_run(10, Vec::new()).unwrap();
    assert_eq!(check(&world.certify_by(&[1, 2], &block, &execution)), Ok(()));
    let alone = check(&world.certify_by(&[2], &block, &execution));
    assert!(matches!(alone, Err(AuthorityError::Certificate(CertificateError::TooFew { .. }))));
    let lost = check(&world.certify_by(&[1, 2, 4], &block, &execution));
    assert_eq!(lost, Err(CertificateError::Stranger(NodeId(4)).into()));
    // The old validators go on in their round, with enough votes, and nobody believes them.
    let mut old = block.clone();
    (old.header.epoch, old.header.round) = (Epoch(0), Round(0));
    let lonely = check(&world.certify_by(&[1, 2, 3, 4], &old, &execution));
    assert!(matches!(lonely, Err(AuthorityError::OtherEpoch { .. })));
    // The new ones say something about a time before them.
    let mut before = block;
    before.header.height = Height(3);
    let early = check(&world.certify_by(&[1, 2], &before, &execution));
    assert_eq!(early, Err(AuthorityError::BeforeHandover { height: Height(3), last: Height(3) }));
    // A result that the order does not name stays unproven, whoever votes for it.
    let mut other = recovered.kept.finality.certificate.clone();
    other.commitment = Hash::of(b"more for me");
    assert!(matches!(check(&other), Err(AuthorityError::OtherEpoch { .. })));
}

#[test]
fn a_second_recovery_follows_the_first() {
    let recovered = Recovered::new();
    let mut second = RestartTerms {
        base: recovered.after.certificate.clone(),
        stays: Vec::new(),
        epoch: Epoch(1),
        round: Round(2),
        ..recovered.terms.clone()
    };
    let handovers =
        |terms: &RestartTerms| vec![sign(recovered.terms.clone(), &[operator()]), sign(terms.clone(), &[operator()])];
    let authority = Authority::led_by(&genesis(), &handovers(&second)).unwrap();
    assert_eq!(authority.place(), (Epoch(1), Round(2)));
    // At once, before the new validators certified anything: from where the first one ended, never from below.
    second.base = recovered.kept.finality.certificate.clone();
    assert_eq!(Authority::led_by(&genesis(), &handovers(&second)).unwrap().place(), (Epoch(1), Round(2)));
    second.base = recovered.terms.base.clone();
    let below = Authority::led_by(&genesis(), &handovers(&second)).unwrap_err();
    assert_eq!(below, AuthorityError::Handover { number: 2, source: HandoverError::Base(Height(2)) });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever is written over a proof, at however many places: it is refused, or says the same as before.
    #[test]
    fn a_changed_proof_never_says_something_else(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        person in 0_u8..4,
    ) {
        thread_local! { static RECOVERED: Recovered = Recovered::new(); }
        RECOVERED.with(|recovered| {
            let wanted = account_key(&key([101, 102, 1, 222][usize::from(person)]));
            let receipt = recovered.receipt_of(&wanted);
            let mut bytes = encode(&receipt);
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            if let Ok(changed) = decode::<StateReceipt>(&bytes, BYTES_MAX) {
                prop_assert!(recovered.is_harmless(&receipt, &changed));
            }
            Ok(())
        })?;
    }

    /// The same in the form people pass on: a character of the JSON text.
    #[test]
    fn changed_text_never_says_something_else(at: prop::sample::Index, letter in "[0-9a-f]", absent: bool) {
        thread_local! { static RECOVERED: Recovered = Recovered::new(); }
        RECOVERED.with(|recovered| {
            let receipt = recovered.receipt_of(&account_key(&if absent { key(222) } else { alice() }));
            let mut text = serde_json::to_string(&receipt).unwrap();
            let at = at.index(text.len());
            text.replace_range(at..=at, &letter);
            if let Ok(changed) = serde_json::from_str::<StateReceipt>(&text) {
                prop_assert!(recovered.is_harmless(&receipt, &changed), "{}", text);
            }
            Ok(())
        })?;
    }
}
