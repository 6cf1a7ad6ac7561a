//! The table: a kind, what is wrong, who sends it, the reason that must be told.

use super::scene::{HOUR_MS, SALT, Scene, auction, equivocation, order, refused, scene, schedule, terms, work};
use crate::common::tasks::{receipt, report};
use crate::common::{agent_key, alice, bob, id_of, key, operator, region};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::{PublicKey, SecretKey};
use mesh30k_ledger::ops::*;
use mesh30k_ledger::priority::Purpose;
use mesh30k_ledger::records::{
    AnchorHeads, Contribution, Declared, Duty, EnergySource, ListingKind, PERIOD_MS, Safety,
};
use mesh30k_ledger::types::{AgentId, Hash, NodeId, ProposalId, Scope, SectorId, TimeMs, Uftns};

pub type Case = (&'static str, SecretKey, Operation);

pub fn check(cases: impl Fn(&Scene) -> Vec<Case>) {
    let scene = scene();
    for (expected, who, op) in cases(&scene) {
        let found = refused(&scene, &who, op.clone());
        assert!(found.starts_with(expected), "{op:?}: expected {expected}, found {found}");
    }
}

/// Two times out of the field's order: y = 2 belongs to no point of the curve.
fn off_curve() -> PublicKey {
    let mut key = [0; 32];
    key[0] = 2;
    PublicKey(key)
}

#[test]
fn money() {
    check(|_| {
        let to = id_of(&bob());
        let pay = |amount, memo: &str| Operation::Transfer(Transfer { to, amount: Uftns(amount), memo: memo.into() });
        let batch = |amounts: &[u64]| {
            let transfers = amounts.iter().map(|amount| TransferItem { to, amount: Uftns(*amount) }).collect();
            Operation::BatchTransfer(BatchTransfer { transfers })
        };
        vec![
            ("ZeroAmount", alice(), pay(0, "")),
            ("Overdrawn", alice(), pay(u64::MAX, "")),
            ("OutOfBounds { field: \"memo", alice(), pay(1, &"m".repeat(129))),
            // The memo is looked at before the amount.
            ("OutOfBounds { field: \"memo", alice(), pay(0, &"m".repeat(129))),
            ("OutOfBounds { field: \"transfers", alice(), batch(&[])),
            ("OutOfBounds { field: \"transfers", alice(), batch(&[1; 1_001])),
            ("ZeroAmount", alice(), batch(&[1, 0])),
            ("Overdrawn", alice(), batch(&[1, u64::MAX])),
        ]
    });
}

#[test]
fn schedules_and_bonds() {
    check(|scene| {
        let change = |change: fn(&mut Schedule)| {
            let mut schedule = schedule(&scene.world);
            change(&mut schedule);
            Operation::Schedule(schedule)
        };
        let unschedule = |schedule| Operation::Unschedule(Unschedule { schedule });
        let bond = |amount| Operation::Bond(Bond { duty: Duty::Host, amount: Uftns(amount) });
        let unbond = |duty, amount| Operation::Unbond(Unbond { duty, amount: Uftns(amount) });
        let evidence = equivocation(&scene.world);
        let same = ProveEquivocation { first: evidence.first, second: evidence.first };
        vec![
            ("OutOfBounds { field: \"times", alice(), change(|s| s.times = 0)),
            ("OutOfBounds { field: \"times", alice(), change(|s| s.times = u32::MAX)),
            ("OutOfBounds { field: \"every_ms", alice(), change(|s| s.every_ms = 0)),
            ("ZeroAmount", alice(), change(|s| s.amount = Uftns::ZERO)),
            ("SelfReference", alice(), change(|s| s.to = id_of(&alice()))),
            ("DeadlinePassed", alice(), change(|s| s.first_at = TimeMs(0))),
            ("DeadlineTooFar", alice(), change(|s| s.first_at = TimeMs(u64::MAX))),
            ("AmountOverflow", alice(), change(|s| s.amount = Uftns(u64::MAX))),
            // Times before amount, amount before receiver, receiver before time.
            ("OutOfBounds { field: \"times", alice(), change(|s| (s.times, s.amount) = (0, Uftns::ZERO))),
            ("ZeroAmount", alice(), change(|s| (s.amount, s.to) = (Uftns::ZERO, id_of(&alice())))),
            ("SelfReference", alice(), change(|s| (s.to, s.first_at) = (id_of(&alice()), TimeMs(0)))),
            ("Unknown", alice(), unschedule(Hash::ZERO)),
            ("NotOwner", bob(), unschedule(scene.schedule)),
            ("ZeroAmount", alice(), bond(0)),
            ("Overdrawn", alice(), bond(u64::MAX)),
            ("ZeroAmount", bob(), unbond(Duty::Reviewer, 0)),
            ("BondTooSmall", bob(), unbond(Duty::Reviewer, 500_001)),
            ("BondTooSmall", bob(), unbond(Duty::Host, 1)),
            ("BondTooSmall", alice(), unbond(Duty::Reviewer, u64::MAX)),
            ("BadEvidence", bob(), Operation::ProveEquivocation(same)),
        ]
    });
}

#[test]
fn tasks_and_claims() {
    check(|scene| {
        let open = |parts, amount, deadline| {
            Operation::EscrowOpen(EscrowOpen {
                task: Hash::ZERO,
                module: Hash::ZERO,
                capability: Capabilities::COMPUTE,
                parts,
                amount_per_part: Uftns(amount),
                reserve_per_part: Uftns(1),
                release_deadline: deadline,
            })
        };
        let soon = scene.world.now().plus_ms(9_000);
        let needing = |capability| match open(0, 0, soon) {
            Operation::EscrowOpen(op) => {
                Operation::EscrowOpen(EscrowOpen { capability: Capabilities(capability), ..op })
            }
            other => other,
        };
        let receipt = receipt(&scene.world, report(1));
        let release = |escrow| Operation::EscrowRelease(EscrowRelease { escrow, receipt });
        let claim = |escrow| Operation::ClaimPart(ClaimPart { escrow, receipt });
        let dispute = |escrow, part| Operation::DisputeClaim(DisputeClaim { escrow, part });
        let rule = |escrow| Operation::RuleClaim(RuleClaim { escrow, part: 0, pay: true });
        let declare = |escrow, purpose| Operation::DeclarePurpose(DeclarePurpose { escrow, purpose });
        let reclassify = |escrow, purpose| Operation::ReclassifyPurpose(ReclassifyPurpose { escrow, purpose });
        vec![
            // What is needed is looked at first.
            ("BadCapability", alice(), needing(0)),
            ("BadCapability", alice(), needing(6)),
            ("BadCapability", alice(), needing(u64::MAX)),
            ("OutOfBounds { field: \"parts", alice(), open(0, 1, soon)),
            ("OutOfBounds { field: \"parts", alice(), open(u32::MAX, 1, soon)),
            ("ZeroAmount", alice(), open(1, 0, soon)),
            ("DeadlinePassed", alice(), open(1, 1, TimeMs(0))),
            ("DeadlineTooFar", alice(), open(1, 1, TimeMs(u64::MAX))),
            ("AmountOverflow", alice(), open(2, u64::MAX, soon)),
            ("ReserveShort { needed: Uftns(5), reserved: Uftns(1)", alice(), open(1, 1, soon)),
            ("ReserveShort { needed: Uftns(20500), reserved: Uftns(1)", bob(), open(1, 100_000, soon)),
            ("UnknownEscrow", alice(), release(Hash::ZERO)),
            ("NotOpener", bob(), release(scene.task)),
            ("UnknownEscrow", key(1), claim(Hash::ZERO)),
            ("NotOwner", alice(), claim(scene.task)),
            ("UnknownEscrow", alice(), dispute(Hash::ZERO, 0)),
            ("Unknown {", alice(), dispute(scene.claimed, 1)),
            ("Unknown {", alice(), dispute(scene.claimed, u32::MAX)),
            ("NotOpener", bob(), dispute(scene.claimed, 0)),
            ("AlreadyDone", alice(), dispute(scene.disputed, 0)),
            ("Unknown {", key(2), rule(scene.task)),
            ("AlreadyDone", key(2), rule(scene.claimed)),
            ("NotDrawn", alice(), rule(scene.disputed)),
            ("UnknownEscrow", alice(), declare(Hash::ZERO, Purpose::Luxury)),
            ("NotOpener", bob(), declare(scene.task, Purpose::Luxury)),
            ("AlreadyDone", alice(), declare(scene.claimed, Purpose::Luxury)),
            ("NotInOffice", alice(), reclassify(scene.claimed, Purpose::Luxury)),
            ("Unknown {", key(2), reclassify(scene.task, Purpose::Luxury)),
            ("AlreadyDone", key(2), reclassify(scene.claimed, Purpose::DisasterResponse)),
        ]
    });
}

#[test]
fn auctions() {
    check(|scene| {
        let terms = |change: fn(&mut OpenAuction)| {
            let mut terms = auction(&scene.world, HOUR_MS);
            change(&mut terms);
            Operation::OpenAuction(terms)
        };
        let seal = |auction| Operation::SealBid(SealBid { auction, sealed: Hash::ZERO });
        let bid =
            |auction, price, salt| Operation::OpenBid(OpenBid { auction, price: Uftns(price), carbon_ug: 5, salt });
        vec![
            ("ZeroAmount", alice(), terms(|t| t.max_price = Uftns::ZERO)),
            ("DeadlinePassed", alice(), terms(|t| t.commit_until = TimeMs(0))),
            ("DeadlinePassed", alice(), terms(|t| t.reveal_until = TimeMs(0))),
            ("DeadlineTooFar", alice(), terms(|t| t.release_deadline = TimeMs(u64::MAX))),
            ("AmountOverflow", alice(), terms(|t| (t.max_price, t.reserve) = (Uftns(u64::MAX), Uftns(u64::MAX)))),
            ("ReserveShort", alice(), terms(|t| t.reserve = Uftns::ZERO)),
            ("Unknown {", bob(), seal(Hash::ZERO)),
            ("SelfReference", alice(), seal(scene.auction)),
            ("DeadlinePassed", bob(), seal(scene.revealing)),
            ("Unknown {", bob(), bid(Hash::ZERO, 1, SALT)),
            ("ZeroAmount", key(3), bid(scene.revealing, 0, SALT)),
            ("TooEarly", key(3), bid(scene.auction, 9_000, SALT)),
            ("OutOfBounds { field: \"price", key(3), bid(scene.revealing, u64::MAX, SALT)),
            ("Unknown {", bob(), bid(scene.revealing, 9_000, SALT)),
            ("ReceiptMismatch", key(3), bid(scene.revealing, 9_000, Hash::ZERO)),
        ]
    });
}

#[test]
fn anchors() {
    check(|scene| {
        let heads = AnchorHeads { registry_root: Hash::ZERO, conflicts_head: Hash::ZERO, audit_head: Hash::ZERO };
        let today = scene.world.now().0 / PERIOD_MS;
        let anchor = |sector, period| Operation::Anchor(Anchor { sector: SectorId(sector), period, heads });
        vec![
            ("OutOfBounds { field: \"period", key(1), anchor(0, 0)),
            ("OutOfBounds { field: \"period", key(1), anchor(0, today + 1)),
            ("OutOfBounds { field: \"period", key(1), anchor(0, u64::MAX)),
            // The period is looked at before the sector, the sector before the sender.
            ("OutOfBounds { field: \"period", alice(), anchor(9, 0)),
            ("UnknownScope", alice(), anchor(9, today)),
            ("NodeMissing", alice(), anchor(0, today)),
        ]
    });
}

#[test]
fn quotas() {
    check(|scene| {
        let offer = |capability, units, periods| {
            let capability = Capabilities(capability);
            Operation::OfferQuota(OfferQuota { capability, units, price: Uftns(1), periods })
        };
        let compute = Capabilities::COMPUTE.0;
        let take = |offer| Operation::TakeQuota(TakeQuota { offer });
        let withdraw = |offer| Operation::WithdrawQuota(WithdrawQuota { offer });
        let reserve = |escrow, units| Operation::ReserveQuota(ReserveQuota { escrow, units });
        let draw = |escrow, units| Operation::DrawQuota(DrawQuota { escrow, units });
        vec![
            // The capability is looked at before the units, these before the periods, the purse and what there is.
            ("BadCapability", key(1), offer(0, 0, Some(0))),
            ("BadCapability", key(1), offer(u64::MAX, 1, None)),
            ("OutOfBounds { field: \"units", key(1), offer(compute, 0, Some(0))),
            ("OutOfBounds { field: \"periods", key(1), offer(compute, 1, Some(0))),
            ("OutOfBounds { field: \"periods", key(1), offer(compute, 1, Some(u32::MAX))),
            ("Overdrawn", operator(), offer(compute, u64::MAX, None)),
            ("QuotaShort", key(1), offer(compute, u64::MAX, None)),
            ("QuotaShort", bob(), offer(compute, 1, None)),
            // What is borrowed cannot be lent on.
            ("QuotaShort { needed: 1, free: 0", alice(), offer(compute, 1, Some(1))),
            ("Unknown {", alice(), take(Hash::ZERO)),
            ("SelfReference", key(1), take(scene.offer)),
            ("SelfReference", key(1), take(scene.lent)),
            ("AlreadyDone", bob(), take(scene.lent)),
            ("Overdrawn", operator(), take(scene.offer)),
            ("Unknown {", key(1), withdraw(Hash::ZERO)),
            ("NotOwner", alice(), withdraw(scene.offer)),
            ("NotOwner", alice(), withdraw(scene.lent)),
            ("AlreadyDone", key(1), withdraw(scene.lent)),
            ("UnknownEscrow", alice(), reserve(Hash::ZERO, 1)),
            ("NotOpener", bob(), reserve(scene.task, 1)),
            ("QuotaShort { needed: 51, free: 50", alice(), reserve(scene.task, 51)),
            ("QuotaShort", alice(), reserve(scene.task, u64::MAX)),
            ("OutOfBounds { field: \"units", alice(), draw(Hash::ZERO, 0)),
            ("UnknownEscrow", alice(), draw(Hash::ZERO, 1)),
            ("NotOpener", bob(), draw(scene.claimed, 1)),
            ("NoEmergency", alice(), draw(scene.task, 1)),
        ]
    });
}

#[test]
fn listings() {
    check(|scene| {
        let create = |kind, content: &[u8], change: fn(&mut ListingTerms)| {
            let mut terms = terms(&scene.world, content);
            change(&mut terms);
            Operation::CreateListing(CreateListing { kind, terms })
        };
        let work = |change| create(ListingKind::Compute, b"new", change);
        let data = |content, change| create(ListingKind::Data, content, change);
        let agent = |id, change| create(ListingKind::Agent(AgentId(id)), b"new", change);
        let alter = |listing| Operation::ChangeListing(ChangeListing { listing, terms: terms(&scene.world, b"atlas") });
        let withdraw = |listing| Operation::WithdrawListing(WithdrawListing { listing });
        let review = |listing, safety| Operation::ReviewListing(ReviewListing { listing, safety });
        let same = |_: &mut ListingTerms| {};
        let plain = |t: &mut ListingTerms| t.energy = EnergySource::Grid;
        let listing = scene.trade.data;
        vec![
            ("OutOfBounds { field: \"title", key(1), work(|t| t.title = String::new())),
            ("OutOfBounds { field: \"title", key(1), work(|t| t.title = "t".repeat(81))),
            ("OutOfBounds { field: \"about", key(1), work(|t| t.about = "a".repeat(1_025))),
            ("ZeroAmount", key(1), work(|t| t.price = Uftns::ZERO)),
            ("DeadlinePassed", key(1), work(|t| t.until = TimeMs(0))),
            ("DeadlineTooFar", key(1), work(|t| t.until = TimeMs(u64::MAX))),
            ("BadCapability", key(1), work(|t| t.capability = None)),
            ("BadCapability", key(1), work(|t| t.capability = Some(Capabilities(6)))),
            ("BadCapability", key(1), data(b"atlas", |t| t.capability = Some(Capabilities(u64::MAX)))),
            // What is said is looked at before who says it, the price before the time, the time before the capability.
            ("OutOfBounds { field: \"title", alice(), work(|t| (t.title, t.price) = (String::new(), Uftns::ZERO))),
            ("ZeroAmount", alice(), work(|t| (t.price, t.until) = (Uftns::ZERO, TimeMs(0)))),
            ("DeadlinePassed", alice(), work(|t| (t.until, t.capability) = (TimeMs(0), None))),
            ("NodeMissing", alice(), work(same)),
            ("NodeMissing", alice(), agent(u64::MAX, same)),
            ("UnknownAgent", key(1), agent(u64::MAX, same)),
            ("WrongHost", key(2), agent(1, same)),
            ("NotCapable", key(1), agent(1, |t| t.capability = Some(Capabilities::INFER))),
            ("ListingMismatch { field: \"region", key(1), work(|t| t.region = Some(region("KE")))),
            ("Unknown {", key(1), data(b"new", same)),
            ("NotOwner", bob(), data(b"atlas", same)),
            ("ListingMismatch { field: \"energy", bob(), data(b"paper", same)),
            ("ListingMismatch { field: \"energy", bob(), data(b"paper", |t| t.energy = EnergySource::OnSite)),
            ("NotOwner", alice(), data(b"paper", plain)),
            ("Unknown {", key(1), alter(Hash::ZERO)),
            ("NotOwner", bob(), alter(listing)),
            ("Unknown {", key(1), withdraw(Hash::ZERO)),
            ("NotOwner", bob(), withdraw(listing)),
            ("NotInOffice", alice(), review(listing, Safety::Unsafe)),
            ("Unknown {", key(2), review(Hash::ZERO, Safety::Unsafe)),
            ("AlreadyDone", key(2), review(listing, Safety::Unreviewed)),
        ]
    });
}

#[test]
fn orders() {
    check(|scene| {
        let trade = &scene.trade;
        let place = |listing, work, change: fn(&mut PlaceOrder)| {
            let mut op = order(&scene.world, listing, work);
            change(&mut op);
            Operation::PlaceOrder(op)
        };
        let hire = |parts, reserve| {
            let work = OrderedWork { parts, reserve_per_part: Uftns(reserve), ..work() };
            place(trade.compute, Some(work), |_| {})
        };
        let claim = |order| Operation::ClaimDelivery(ClaimDelivery { order });
        let accept = |order| Operation::AcceptDelivery(AcceptDelivery { order });
        let rate = |order, stars| Operation::RateOrder(RateOrder { order, stars });
        let release = |escrow| {
            let receipt = receipt(&scene.world, report(1));
            Operation::EscrowRelease(EscrowRelease { escrow, receipt })
        };
        vec![
            ("OutOfBounds { field: \"parts", bob(), hire(0, 1)),
            ("OutOfBounds { field: \"parts", bob(), hire(u32::MAX, 1)),
            ("DeadlinePassed", bob(), place(trade.data, None, |o| o.release_deadline = TimeMs(0))),
            ("DeadlineTooFar", bob(), place(trade.data, None, |o| o.release_deadline = TimeMs(u64::MAX))),
            // The parts are looked at before the time, the time before the listing, the listing before the price.
            ("DeadlinePassed", bob(), place(Hash::ZERO, None, |o| o.release_deadline = TimeMs(0))),
            ("Unknown {", bob(), place(Hash::ZERO, None, |o| o.max_price = Uftns::ZERO)),
            ("SelfReference", key(1), place(trade.data, None, |o| o.max_price = Uftns::ZERO)),
            ("OutOfBounds { field: \"price", bob(), place(trade.data, None, |o| o.max_price = Uftns(49))),
            ("ListingMismatch { field: \"order", bob(), place(trade.data, Some(work()), |_| {})),
            ("ListingMismatch { field: \"order", bob(), place(trade.compute, None, |_| {})),
            ("AmountOverflow", bob(), hire(1, u64::MAX)),
            ("AmountOverflow", bob(), hire(4_096, u64::MAX / 4_095)),
            ("Overdrawn", bob(), hire(1, u64::MAX - 50)),
            ("Unknown {", key(1), claim(Hash::ZERO)),
            ("Unknown {", key(1), claim(scene.task)),
            ("Unknown {", key(1), claim(trade.hired)),
            ("NotOwner", alice(), claim(trade.order)),
            ("EscrowClosed", key(1), claim(trade.paid)),
            ("Unknown {", alice(), accept(scene.task)),
            ("Unknown {", alice(), accept(trade.hired)),
            ("NotOpener", bob(), accept(trade.order)),
            ("EscrowClosed", alice(), accept(trade.paid)),
            ("OutOfBounds { field: \"stars", alice(), rate(trade.paid, 0)),
            ("OutOfBounds { field: \"stars", alice(), rate(trade.paid, u8::MAX)),
            ("Unknown {", alice(), rate(scene.task, 5)),
            ("NotOwner", bob(), rate(trade.paid, 5)),
            ("Unknown { what: \"payment of order", alice(), rate(trade.order, 5)),
            // Work is not paid out of an order of content.
            ("ReceiptMismatch", alice(), release(trade.order)),
        ]
    });
}

#[test]
fn keys() {
    check(|_| {
        let keys = |n: u8| -> Vec<PublicKey> { (1..=n).map(|n| key(n).public()).collect() };
        let raw =
            |threshold, keys| Operation::RotateKey(RotateKey::Account(KeyPolicy { threshold, keys: Vec::into(keys) }));
        let policy = |threshold, keys| Operation::RotateKey(RotateKey::Account(KeyPolicy::new(threshold, keys)));
        let host = |key| Operation::RotateKey(RotateKey::Host(key));
        let agent = |agent, key| Operation::RotateKey(RotateKey::Agent { agent: AgentId(agent), key });
        let none = off_curve();
        let same = vec![key(1).public(), key(1).public()];
        vec![
            ("OutOfBounds { field: \"keys", alice(), raw(1, vec![])),
            ("OutOfBounds { field: \"keys", alice(), policy(1, keys(17))),
            ("OutOfBounds { field: \"threshold", alice(), policy(0, keys(2))),
            ("OutOfBounds { field: \"threshold", alice(), policy(3, keys(2))),
            ("OutOfBounds { field: \"threshold", alice(), policy(u8::MAX, keys(16))),
            ("BadKey", alice(), policy(1, vec![none])),
            ("KeyOrder", alice(), raw(1, same)),
            ("AlreadyDone", alice(), policy(1, vec![alice().public()])),
            ("BadKey", key(1), host(none)),
            ("NodeMissing", alice(), host(key(9).public())),
            ("AlreadyDone", key(1), host(key(1).public())),
            ("BadKey", key(1), agent(1, none)),
            ("UnknownAgent", key(1), agent(0, key(9).public())),
            ("UnknownAgent", key(1), agent(u64::MAX, key(9).public())),
            ("NotOwner", bob(), agent(1, key(9).public())),
            ("AlreadyDone", key(1), agent(1, agent_key(0).public())),
            ("AgentKeyTaken", key(1), agent(1, agent_key(1).public())),
        ]
    });
}

#[test]
fn carbon_and_contributions() {
    check(|scene| {
        let now = scene.world.now();
        let report = |mg_per_kwh| Operation::ReportIntensity(ReportIntensity { region: region("DE"), mg_per_kwh });
        let claim = |evidence: &[u8], baseline_ug, actual_ug| {
            Operation::ClaimSaving(ClaimSaving { evidence: Hash::of(evidence), baseline_ug, actual_ug })
        };
        let attest = |evidence: &[u8]| Operation::AttestSaving(AttestSaving { evidence: Hash::of(evidence) });
        let give = |to, amount_ug| Operation::TransferCredits(TransferCredits { to, amount_ug });
        let retire = |amount_ug| Operation::RetireCredits(RetireCredits { amount_ug });
        let declare = |what| Operation::Declare(Declare { what, evidence: Hash::ZERO });
        let confirm = |who: &SecretKey, what| Operation::Attest(Attest { account: id_of(who), what });
        let signal = |kind: &str, until| {
            Operation::SignalEmergency(SignalEmergency { region: region("BD"), kind: kind.into(), until })
        };
        let work = |evidence: &[u8], amount| {
            let (kind, evidence) = (Contribution::Data, Hash::of(evidence));
            Operation::ClaimContribution(ClaimContribution { kind, evidence, amount: Uftns(amount) })
        };
        let earned =
            |evidence: &[u8]| Operation::AttestContribution(AttestContribution { evidence: Hash::of(evidence) });
        vec![
            ("OutOfBounds { field: \"mg_per_kwh", key(1), report(u64::MAX)),
            ("NotInOffice", alice(), report(1)),
            // The figure is looked at before the office.
            ("OutOfBounds { field: \"mg_per_kwh", alice(), report(u64::MAX)),
            ("OutOfBounds { field: \"saving", alice(), claim(b"new", 5, 5)),
            ("OutOfBounds { field: \"saving", alice(), claim(b"new", 0, u64::MAX)),
            ("OutOfBounds { field: \"saving", alice(), claim(b"new", u64::MAX, 0)),
            ("AlreadyDone", alice(), claim(b"saving", 9, 8)),
            ("NotInOffice", alice(), attest(b"saving")),
            ("Unknown {", key(2), attest(b"new")),
            ("AlreadyDone", key(4), attest(b"credited")),
            ("OutOfBounds { field: \"amount", alice(), give(id_of(&bob()), 0)),
            ("SelfReference", alice(), give(id_of(&alice()), 1)),
            ("CreditsShort", alice(), give(id_of(&bob()), u64::MAX)),
            ("CreditsShort", bob(), give(id_of(&alice()), 1)),
            ("OutOfBounds { field: \"amount", alice(), retire(0)),
            ("CreditsShort", alice(), retire(601)),
            ("OutOfBounds { field: \"kind", key(1), signal("", None)),
            ("OutOfBounds { field: \"kind", key(1), signal(&"k".repeat(65), None)),
            ("DeadlinePassed", key(1), signal("flood", Some(now))),
            ("DeadlineTooFar", key(1), signal("flood", Some(TimeMs(u64::MAX)))),
            ("NotInOffice", alice(), signal("flood", None)),
            ("AlreadyDone", alice(), declare(Declared::Region(region("KE")))),
            ("OutOfBounds { field: \"renewable share", key(1), declare(Declared::RenewablePpm(1_000_001))),
            ("OutOfBounds { field: \"renewable share", alice(), declare(Declared::RenewablePpm(u32::MAX))),
            ("NodeMissing", alice(), declare(Declared::RenewablePpm(0))),
            ("AlreadyDone", key(2), declare(Declared::RenewablePpm(500_000))),
            // The office is looked at before whose it is, this before what is declared.
            ("NotInOffice", operator(), confirm(&operator(), Declared::Region(region("BD")))),
            ("SelfReference", key(1), confirm(&key(1), Declared::RenewablePpm(1))),
            ("Unknown {", key(2), confirm(&key(1), Declared::RenewablePpm(700_001))),
            ("Unknown {", key(2), confirm(&operator(), Declared::Region(region("KE")))),
            ("Unknown {", key(2), confirm(&bob(), Declared::Region(region("KE")))),
            ("ZeroAmount", alice(), work(b"new", 0)),
            ("AlreadyDone", alice(), work(b"work", 1)),
            ("NotInOffice", alice(), earned(b"work")),
            ("Unknown {", key(2), earned(b"new")),
        ]
    });
}

#[test]
fn governance_and_freezes() {
    check(|scene| {
        let now = scene.world.now();
        let propose = |title: &str, kind| Operation::Propose(Propose { title: title.into(), kind });
        let none = || ProposalKind::Parameter(vec![]);
        let import = |amount_ug| CreditImport { to: id_of(&bob()), amount_ug, source: "x".into() };
        let vote = |proposal| Operation::Vote(Vote { proposal: ProposalId(proposal), choice: Choice::Yes });
        let freeze = |scope, reason: &str, until| Operation::Freeze(Freeze { scope, reason: reason.into(), until });
        let thaw = |scope| Operation::Thaw(Thaw { scope, reason: "x".into() });
        let agent = |n| Scope::Agent(AgentId(n));
        vec![
            ("OutOfBounds { field: \"title", bob(), propose("", none())),
            ("OutOfBounds { field: \"title", bob(), propose(&"t".repeat(201), none())),
            ("OutOfBounds { field: \"changes", bob(), propose("a", none())),
            ("OutOfBounds { field: \"amount", bob(), propose("a", ProposalKind::CreditImport(import(0)))),
            ("OutOfBounds { field: \"amount", bob(), propose("a", ProposalKind::CreditImport(import(u64::MAX)))),
            ("BadKey", bob(), propose("a", ProposalKind::Seat(SeatChange { node: NodeId(1), key: Some(off_curve()) }))),
            ("UnknownProposal", bob(), vote(0)),
            ("UnknownProposal", bob(), vote(u64::MAX)),
            ("OutOfBounds { field: \"reason", operator(), freeze(Scope::Global, "", now.plus_ms(1_000))),
            ("DeadlinePassed", operator(), freeze(Scope::Global, "x", now)),
            ("DeadlineTooFar", operator(), freeze(Scope::Global, "x", TimeMs(u64::MAX))),
            ("NotEnoughOperators", alice(), freeze(Scope::Global, "x", now.plus_ms(1_000))),
            ("UnknownScope", operator(), freeze(agent(u64::MAX), "x", now.plus_ms(1_000))),
            ("NotFrozen", operator(), thaw(Scope::Global)),
            ("NotFrozen", operator(), thaw(agent(1))),
        ]
    });
}
