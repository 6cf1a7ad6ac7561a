//! Canonical bytes: fixed for ever, and nothing else is taken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use borsh::{BorshDeserialize, BorshSerialize};
use common::{World, agents, alice, bob, id_of, key, node_registration, operator, register};
use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::codec::{CodecError, decode, encode};
use mesh30k_ledger::finality::{Certificate, SignedVote, Vote};
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::handover::{BlockResult, Handover, RestartTerms, SignedRestartTerms};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::ops::*;
use mesh30k_ledger::outcome::Outcome;
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::priority::Purpose;
use mesh30k_ledger::query;
use mesh30k_ledger::receipt::Receipt;
use mesh30k_ledger::records::{
    AnchorHeads, ContentParent, ContentShare, Contribution, Declared, Duty, EnergySource, ListingKind, Office, Safety,
};
use mesh30k_ledger::smt::StateProof;
use mesh30k_ledger::state_receipt::StateReceipt;
use mesh30k_ledger::transaction::{KeyedSignature, MAX_TRANSACTION_BYTES, SignedTransaction, Transaction};
use mesh30k_ledger::types::*;
use proptest::prelude::*;

fn task_receipt(world: &World) -> TaskReceipt {
    let report = TaskReport {
        task: Hash::of(b"task"),
        part: 1,
        module: Hash::of(b"module"),
        input: Hash::of(b"in"),
        output: Hash::of(b"out"),
        exit_code: 0,
        fuel: 2,
        wall_us: 3,
        peak_memory_bytes: 4,
        energy_mj: 5,
        energy_method: EnergyMethod::Rapl,
        intensity_mg_per_kwh: 6,
        renewable_ppm: 7,
        carbon_ug: 8,
        host: NodeId(9),
        agent: AgentId(10),
    };
    report.sign(&world.context, &key(1), &key(2))
}

fn operations(world: &World) -> Vec<(&'static str, Operation)> {
    let to = id_of(&bob());
    let receipt = task_receipt(world);
    let change = ParameterChange { parameter: Parameter::HoldMarginMs, value: 40 };
    let cluster = ClusterId { sector: SectorId(1), index: 2 };
    vec![
        ("transfer", Operation::Transfer(Transfer { to, amount: Uftns(5), memo: "rent".into() })),
        (
            "batch_transfer",
            Operation::BatchTransfer(BatchTransfer { transfers: vec![TransferItem { to, amount: Uftns(6) }] }),
        ),
        (
            "escrow_open",
            Operation::EscrowOpen(EscrowOpen {
                task: Hash::of(b"task"),
                module: Hash::of(b"module"),
                capability: Capabilities::COMPUTE,
                parts: 20,
                amount_per_part: Uftns(7),
                reserve_per_part: Uftns(8),
                release_deadline: TimeMs(9),
            }),
        ),
        ("escrow_release", Operation::EscrowRelease(EscrowRelease { escrow: Hash::of(b"e"), receipt })),
        ("register_host", register(Some(node_registration(5)), agents(0..2))),
        ("propose", Operation::Propose(Propose { title: "more".into(), kind: ProposalKind::Parameter(vec![change]) })),
        ("vote", Operation::Vote(mesh30k_ledger::ops::Vote { proposal: ProposalId(3), choice: Choice::NoWithVeto })),
        (
            "freeze",
            Operation::Freeze(Freeze { scope: Scope::Cluster(cluster), reason: "drill".into(), until: TimeMs(11) }),
        ),
        ("thaw", Operation::Thaw(Thaw { scope: Scope::Agent(AgentId(4)), reason: "over".into() })),
    ]
    .into_iter()
    .chain(later_operations(world))
    .chain(market_operations(world))
    .chain(key_operations())
    .chain(quota_operations())
    .chain(order_operations())
    .collect()
}

fn later_operations(world: &World) -> Vec<(&'static str, Operation)> {
    let (to, evidence) = (id_of(&bob()), Hash::of(b"evidence"));
    let vote = |block: &[u8]| common::vote(world.context, 2, 7, block).sign(&key(52));
    let office = OfficeChange { office: Office::Reviewer, account: to, appointed: true };
    let import = CreditImport { to, amount_ug: 9, source: "x".into() };
    let propose = |kind| Operation::Propose(Propose { title: "a".into(), kind });
    vec![
        (
            "schedule",
            Operation::Schedule(Schedule {
                to,
                amount: Uftns(1),
                times: 2,
                first_at: TimeMs(3),
                every_ms: 4,
                memo: "m".into(),
            }),
        ),
        ("unschedule", Operation::Unschedule(Unschedule { schedule: evidence })),
        ("bond", Operation::Bond(Bond { duty: Duty::Host, amount: Uftns(5) })),
        ("unbond", Operation::Unbond(Unbond { duty: Duty::Reviewer, amount: Uftns(6) })),
        (
            "prove_equivocation",
            Operation::ProveEquivocation(ProveEquivocation { first: vote(b"a"), second: vote(b"b") }),
        ),
        (
            "report_intensity",
            Operation::ReportIntensity(ReportIntensity { region: common::region("DE"), mg_per_kwh: 7 }),
        ),
        ("claim_saving", Operation::ClaimSaving(ClaimSaving { evidence, baseline_ug: 9, actual_ug: 8 })),
        ("attest_saving", Operation::AttestSaving(AttestSaving { evidence })),
        ("transfer_credits", Operation::TransferCredits(TransferCredits { to, amount_ug: 10 })),
        ("retire_credits", Operation::RetireCredits(RetireCredits { amount_ug: 11 })),
        ("propose.office", propose(ProposalKind::Office(office))),
        ("propose.credit_import", propose(ProposalKind::CreditImport(import))),
        ("propose.seat", propose(ProposalKind::Seat(SeatChange { node: NodeId(5), key: Some(key(55).public()) }))),
    ]
}

fn market_operations(world: &World) -> Vec<(&'static str, Operation)> {
    let evidence = Hash::of(b"evidence");
    vec![
        ("claim_part", Operation::ClaimPart(ClaimPart { escrow: evidence, receipt: task_receipt(world) })),
        ("dispute_claim", Operation::DisputeClaim(DisputeClaim { escrow: evidence, part: 12 })),
        ("rule_claim", Operation::RuleClaim(RuleClaim { escrow: evidence, part: 13, pay: true })),
        (
            "open_auction",
            Operation::OpenAuction(OpenAuction {
                task: Hash::of(b"task"),
                module: Hash::of(b"module"),
                max_price: Uftns(14),
                reserve: Uftns(15),
                commit_until: TimeMs(16),
                reveal_until: TimeMs(17),
                release_deadline: TimeMs(18),
            }),
        ),
        ("seal_bid", Operation::SealBid(SealBid { auction: evidence, sealed: Hash::of(b"sealed") })),
        (
            "open_bid",
            Operation::OpenBid(OpenBid { auction: evidence, price: Uftns(19), carbon_ug: 20, salt: Hash::of(b"salt") }),
        ),
        (
            "declare_purpose",
            Operation::DeclarePurpose(DeclarePurpose { escrow: evidence, purpose: Purpose::Education }),
        ),
        (
            "reclassify_purpose",
            Operation::ReclassifyPurpose(ReclassifyPurpose { escrow: evidence, purpose: Purpose::Luxury }),
        ),
        (
            "claim_contribution",
            Operation::ClaimContribution(ClaimContribution {
                kind: Contribution::Relaying,
                evidence,
                amount: Uftns(22),
            }),
        ),
        ("attest_contribution", Operation::AttestContribution(AttestContribution { evidence })),
        (
            "register_content",
            Operation::RegisterContent(RegisterContent {
                content: evidence,
                owners: vec![ContentShare { owner: id_of(&bob()), ppm: 23 }],
                parents: vec![ContentParent { content: Hash::of(b"parent"), royalty_ppm: 24 }],
                price: Uftns(25),
                royalty_ppm: 42,
            }),
        ),
        ("buy_use", Operation::BuyUse(BuyUse { content: evidence, max_price: Uftns(26) })),
        ("rate_content", Operation::RateContent(RateContent { content: evidence, stars: 5 })),
        (
            "signal_emergency",
            Operation::SignalEmergency(SignalEmergency {
                region: common::region("BD"),
                kind: "flood".into(),
                until: Some(TimeMs(21)),
            }),
        ),
    ]
}

fn key_operations() -> Vec<(&'static str, Operation)> {
    vec![
        (
            "rotate_key.account",
            Operation::RotateKey(RotateKey::Account(KeyPolicy::new(2, vec![key(7).public(), key(8).public()]))),
        ),
        (
            "anchor",
            Operation::Anchor(Anchor {
                sector: SectorId(28),
                period: 29,
                heads: AnchorHeads {
                    registry_root: Hash::of(b"r"),
                    conflicts_head: Hash::of(b"c"),
                    audit_head: Hash::of(b"a"),
                },
            }),
        ),
        ("rotate_key.host", Operation::RotateKey(RotateKey::Host(key(7).public()))),
        ("rotate_key.agent", Operation::RotateKey(RotateKey::Agent { agent: AgentId(27), key: key(8).public() })),
    ]
}

fn quota_operations() -> Vec<(&'static str, Operation)> {
    let (offer, escrow) = (Hash::of(b"offer"), Hash::of(b"e"));
    let offered = OfferQuota { capability: Capabilities::COMPUTE, units: 30, price: Uftns(31), periods: Some(32) };
    vec![
        ("offer_quota", Operation::OfferQuota(offered)),
        ("take_quota", Operation::TakeQuota(TakeQuota { offer })),
        ("withdraw_quota", Operation::WithdrawQuota(WithdrawQuota { offer })),
        ("reserve_quota", Operation::ReserveQuota(ReserveQuota { escrow, units: 33 })),
        ("draw_quota", Operation::DrawQuota(DrawQuota { escrow, units: 34 })),
    ]
}

fn order_operations() -> Vec<(&'static str, Operation)> {
    let (listing, order) = (Hash::of(b"listing"), Hash::of(b"order"));
    let terms = ListingTerms {
        title: "t".into(),
        about: "a".into(),
        content: Hash::of(b"content"),
        capability: Some(Capabilities::INFER),
        region: Some(common::region("KE")),
        energy: EnergySource::OnSite,
        price: Uftns(35),
        until: TimeMs(36),
    };
    let reserve_per_part = Uftns(39);
    let work = OrderedWork { task: Hash::of(b"task"), module: Hash::of(b"module"), parts: 38, reserve_per_part };
    let place = PlaceOrder { listing, max_price: Uftns(37), work: Some(work), release_deadline: TimeMs(40) };
    let kind = ListingKind::Agent(AgentId(41));
    let declare = |what| Operation::Declare(Declare { what, evidence: Hash::of(b"bill") });
    vec![
        ("create_listing", Operation::CreateListing(CreateListing { kind, terms: terms.clone() })),
        ("change_listing", Operation::ChangeListing(ChangeListing { listing, terms })),
        ("withdraw_listing", Operation::WithdrawListing(WithdrawListing { listing })),
        ("review_listing", Operation::ReviewListing(ReviewListing { listing, safety: Safety::Unsafe })),
        ("place_order", Operation::PlaceOrder(place)),
        ("claim_delivery", Operation::ClaimDelivery(ClaimDelivery { order })),
        ("accept_delivery", Operation::AcceptDelivery(AcceptDelivery { order })),
        ("rate_order", Operation::RateOrder(RateOrder { order, stars: 4 })),
        ("collect_royalties", Operation::CollectRoyalties(CollectRoyalties { content: Hash::of(b"content") })),
        ("declare.region", declare(Declared::Region(common::region("BD")))),
        ("declare.renewable", declare(Declared::RenewablePpm(46))),
        ("attest", Operation::Attest(Attest { account: id_of(&bob()), what: Declared::RenewablePpm(47) })),
        ("declare_hardware", Operation::DeclareHardware(DeclareHardware { embodied_g: 43, lifespan_h: 44, slots: 45 })),
    ]
}

fn story() -> (World, Block, Receipt) {
    let mut world = World::new();
    let transactions = vec![
        world.signed(&alice(), operations(&world).remove(0).1),
        world.signed(&operator(), operations(&world).remove(5).1),
    ];
    let (block, execution) = world.run(10, transactions);
    let receipt = Receipt::build(&block, &execution, world.finality(&block, &execution), 0).unwrap();
    (world, block, receipt)
}

fn state_receipt(world: &World, receipt: &Receipt) -> StateReceipt {
    let key = query::account_key(&id_of(&bob()));
    StateReceipt::build(&world.state, &key, receipt.finality.clone()).unwrap()
}

fn handover(receipt: &Receipt) -> Handover {
    let base = receipt.finality.certificate.clone();
    let stays = vec![BlockResult { height: Height(2), block: Hash::of(b"block"), commitment: Hash::of(b"result") }];
    let terms = RestartTerms {
        context: base.context,
        base,
        stays,
        epoch: Epoch(1),
        round: Round(1),
        new_chain: None,
        validators: common::genesis().validators,
        statements: Hash::of(b"last words"),
        valid_until: TimeMs(9),
    };
    let signature = operator().sign(terms.signing_hash().as_bytes());
    let signatures = vec![KeyedSignature { key: operator().public(), signature }];
    Handover::Restart(SignedRestartTerms { terms, signatures })
}

#[test]
fn golden_bytes() {
    let (world, block, receipt) = story();
    let mut lines = Vec::new();
    let mut line = |name: &str, bytes: Vec<u8>| lines.push(format!("{name} {}", hex::encode(bytes)));
    for (name, op) in operations(&World::new()) {
        line(&format!("operation.{name}"), encode(&op));
    }
    let signed = &block.transactions[0];
    line("transaction.signed", encode(signed));
    line("transaction.id", encode(&signed.id()));
    line("transaction.signing_hash", encode(&signed.tx.signing_hash()));
    line("header", encode(&block.header));
    line("header.id", encode(&block.id()));
    line("vote", encode(&receipt.finality.certificate.vote_of(NodeId(1))));
    line("vote.signing_hash", encode(&receipt.finality.certificate.vote_of(NodeId(1)).signing_hash()));
    line("certificate", encode(&receipt.finality.certificate));
    line("commitment", encode(&receipt.finality.commitment));
    line("validators.hash", encode(&world.genesis.validators.hash()));
    line("outcome", encode(&receipt.outcome));
    line("receipt", encode(&receipt));
    line("state_receipt", encode(&state_receipt(&world, &receipt)));
    line("handover", encode(&handover(&receipt)));
    line("genesis", encode(&world.genesis));
    line("genesis.hash", encode(&world.genesis.hash()));
    line("account", id_of(&alice()).to_string().into_bytes());
    insta::assert_snapshot!(lines.join("\n"));
}

/// What a wallet without this code hashes and signs: id, message and leaf by their definitions.
#[test]
fn hashes_of_a_transaction_are_what_the_book_says() {
    let (_, block, _) = story();
    let signed = &block.transactions[0];
    let derive = Hash::derive;
    let id = derive("mesh30k transaction id v1", &[&encode(&signed.tx)]);
    let context = encode(&signed.tx.context());
    let message = derive("mesh30k transaction v2", &[&context, id.as_bytes()]);
    let rest = encode(signed).split_off(encode(&signed.tx).len());
    let leaf = derive("mesh30k transaction leaf v2", &[id.as_bytes(), &rest]);
    assert_eq!((signed.id(), signed.tx.signing_hash(), signed.leaf()), (id, message, leaf));
    assert_eq!(signed.digests().bytes, signed.to_bytes().len());
}

#[test]
fn a_genesis_reads_as_it_was_written() {
    let genesis = common::genesis();
    let text = serde_json::to_string_pretty(&genesis).unwrap();
    let back: Genesis = serde_json::from_str(&text).unwrap();
    assert_eq!(back, genesis);
    assert_eq!(back.hash(), genesis.hash());
    assert!(text.contains("\"ftns1"), "accounts are readable");
}

fn strict<T: BorshSerialize + BorshDeserialize + PartialEq + std::fmt::Debug>(value: &T) {
    let bytes = encode(value);
    assert_eq!(decode::<T>(&bytes, bytes.len()).as_ref(), Ok(value));
    for end in 0..bytes.len() {
        assert!(matches!(decode::<T>(&bytes[..end], bytes.len()), Err(CodecError::Malformed { .. })), "cut at {end}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(decode::<T>(&longer, longer.len()), Err(CodecError::Trailing { extra: 1 }));
    let too_long = Err(CodecError::TooLong { bytes: bytes.len(), max: bytes.len() - 1 });
    assert_eq!(decode::<T>(&bytes, bytes.len() - 1), too_long);
}

#[test]
fn every_object_is_strict() {
    let (world, block, receipt) = story();
    for (_, op) in operations(&world) {
        strict(&op);
        strict(&world.signed(&alice(), op));
    }
    strict(&block);
    strict(&receipt.finality.certificate);
    strict(&receipt.finality.certificate.vote_of(NodeId(1)));
    strict(&receipt.outcome);
    strict(&receipt);
    strict(&state_receipt(&world, &receipt));
    strict(&handover(&receipt));
    strict(&world.genesis);
}

fn canonical<T: BorshSerialize + BorshDeserialize>(bytes: &[u8]) {
    if let Ok(value) = decode::<T>(bytes, 1 << 20) {
        assert_eq!(encode(&value), bytes);
    }
}

fn canonical_all(bytes: &[u8]) {
    canonical::<Operation>(bytes);
    canonical::<Transaction>(bytes);
    canonical::<SignedTransaction>(bytes);
    canonical::<Header>(bytes);
    canonical::<Block>(bytes);
    canonical::<Vote>(bytes);
    canonical::<SignedVote>(bytes);
    canonical::<Certificate>(bytes);
    canonical::<Outcome>(bytes);
    canonical::<Receipt>(bytes);
    canonical::<StateReceipt>(bytes);
    canonical::<Handover>(bytes);
    canonical::<Genesis>(bytes);
    canonical::<StateProof>(bytes);
    canonical::<KeyPolicy>(bytes);
}

/// Examples of operations below.
const KINDS: usize = 58;

#[test]
fn every_example_is_damaged() {
    assert_eq!(operations(&World::new()).len(), KINDS);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        canonical_all(&bytes);
    }

    #[test]
    fn damaged_objects_never_panic(
        which in 0..KINDS, at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()
    ) {
        let world = World::new();
        let op = operations(&world).remove(which).1;
        let mut bytes = world.signed(&alice(), op).to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        canonical_all(&bytes);
        canonical_all(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn accounts_are_in_the_order_of_their_bytes(a: [u8; 20], b: [u8; 20], same in 0..20_usize) {
        let mut near = a;
        near[same..].copy_from_slice(&b[same..]);
        prop_assert_eq!(AccountId(a).cmp(&AccountId(near)), a.cmp(&near));
    }

    #[test]
    fn amounts_read_as_they_are_shown(amount: u64) {
        let shown = Uftns(amount).to_string();
        prop_assert_eq!(shown.parse::<Uftns>(), Ok(Uftns(amount)));
    }

    #[test]
    fn a_mistyped_account_is_noticed(at in 5..43_usize, letter in "[qpzry9x8gf2tvdw0s3jn54khce6mua7l]") {
        let text = id_of(&alice()).to_string();
        prop_assert_eq!(text.parse::<AccountId>(), Ok(id_of(&alice())));
        let mut wrong = text.clone();
        wrong.replace_range(at..=at, &letter);
        prop_assert!(wrong == text || wrong.parse::<AccountId>().is_err());
    }
}

#[test]
fn text_forms_are_what_people_type() {
    assert_eq!("12.5FTNS".parse::<Uftns>(), Ok(Uftns(12_500_000)));
    assert_eq!("12.5".parse::<Uftns>(), Ok(Uftns(12_500_000)));
    for wrong in ["", ".", "1.", "-1", "1e3", "0.0000001", "18446744073709.551616", "+1"] {
        assert!(wrong.parse::<Uftns>().is_err(), "{wrong}");
    }
    for text in ["global", "sector:3", "cluster:3-4", "agent:5"] {
        assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
    }
    assert!("Sector:3".parse::<Scope>().is_err());
    assert!("de".parse::<Region>().is_err());
    assert!(ChainId::new("A").is_err() && ChainId::new("").is_err() && ChainId::new(&"a".repeat(33)).is_err());
}

#[test]
fn oversized_transactions_are_not_even_read() {
    let bytes = vec![0_u8; MAX_TRANSACTION_BYTES + 1];
    assert!(matches!(SignedTransaction::from_bytes(&bytes), Err(CodecError::TooLong { .. })));
}

#[test]
fn single_and_batch_verification_agree_on_odd_keys() {
    use mesh30k_ledger::keys::{PublicKey, Signature, verify, verify_batch};
    // The identity as key and as R with s = 0: valid for every message under ZIP-215, refused by stricter rules.
    let mut identity = [0_u8; 32];
    identity[0] = 1;
    let mut signature = [0_u8; 64];
    signature[0] = 1;
    let odd = (PublicKey(identity), b"anything".as_slice(), Signature(signature));
    let good = (alice().public(), b"hello".as_slice(), alice().sign(b"hello"));
    let bad = (alice().public(), b"hallo".as_slice(), alice().sign(b"hello"));
    let remembered = mesh30k_ledger::key_points::KeyPoints::default();
    for set in [vec![odd], vec![good], vec![bad], vec![odd, good], vec![good, bad], vec![]] {
        let each = set.iter().all(|(key, message, signature)| verify(key, message, signature));
        assert_eq!(verify_batch(&set), each);
        for _ in 0..2 {
            assert_eq!(remembered.verify_batch(&set), each);
        }
    }
    assert!(verify(&odd.0, odd.1, &odd.2));
}
