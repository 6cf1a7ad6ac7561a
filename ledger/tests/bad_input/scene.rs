//! A chain on which one operation of every kind could be carried out right now.

use crate::common::tasks::{mesh, open, receipt, report};
use crate::common::{World, agents, alice, bob, id_of, key, node_registration, operator, region, register, vote};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::*;
use mesh30k_ledger::outcome::Outcome;
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::priority::Purpose;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{
    AnchorHeads, ContentParent, ContentShare, Contribution, Declared, Duty, EnergySource, ListingKind, PERIOD_MS,
    Safety,
};
use mesh30k_ledger::types::{AccountId, AgentId, EscrowId, Hash, ProposalId, Scope, SectorId, Uftns};

pub const HOUR_MS: u64 = 3_600_000;
pub const SALT: Hash = Hash([7; 32]);

/// Names of what stands there.
pub struct Scene {
    pub world: World,
    /// Open, nothing claimed.
    pub task: EscrowId,
    /// Part 0 claimed.
    pub claimed: EscrowId,
    /// Part 0 disputed.
    pub disputed: EscrowId,
    pub panel: Vec<AccountId>,
    pub schedule: Hash,
    /// Takes bids.
    pub auction: Hash,
    /// Opens bids; node 3 sealed 9,000 uFTNS and 5 ug.
    pub revealing: Hash,
    /// Quota for sale by node 1.
    pub offer: Hash,
    /// Quota that Alice borrowed.
    pub lent: Hash,
    pub trade: Trade,
}

/// What node 1 sells, and what Alice ordered of it.
pub struct Trade {
    /// The data called atlas.
    pub data: Hash,
    /// Computing.
    pub compute: Hash,
    /// Of the data, open.
    pub order: EscrowId,
    /// Of the data, accepted and not rated.
    pub paid: EscrowId,
    /// Of computing, two parts, open.
    pub hired: EscrowId,
}

pub fn auction(world: &World, commit_ms: u64) -> OpenAuction {
    let commit_until = world.now().plus_ms(commit_ms);
    OpenAuction {
        task: Hash::of(b"task"),
        module: Hash::of(b"module"),
        max_price: Uftns(50_000),
        reserve: Uftns(10_000),
        commit_until,
        reveal_until: commit_until.plus_ms(2 * HOUR_MS),
        release_deadline: commit_until.plus_ms(4 * HOUR_MS),
    }
}

pub fn schedule(world: &World) -> Schedule {
    let first_at = world.now().plus_ms(HOUR_MS);
    Schedule { to: id_of(&bob()), amount: Uftns(1_000), times: 3, first_at, every_ms: 60_000, memo: "rent".into() }
}

pub fn equivocation(world: &World) -> ProveEquivocation {
    let vote = |block: &[u8]| vote(world.context, 2, 7, block).sign(&key(52));
    ProveEquivocation { first: vote(b"one"), second: vote(b"other") }
}

fn claim(world: &mut World, escrow: EscrowId) {
    let receipt = receipt(world, report(0));
    world.must(&key(1), Operation::ClaimPart(ClaimPart { escrow, receipt }));
}

fn attested(world: &mut World, evidence: Hash) {
    let op = ClaimSaving { evidence, baseline_ug: 900, actual_ug: 300 };
    world.must(&alice(), Operation::ClaimSaving(op));
    for n in [2, 3] {
        world.must(&key(n), Operation::AttestSaving(AttestSaving { evidence }));
    }
}

pub fn scene() -> Scene {
    let mut genesis = crate::common::genesis();
    for parameter in [Parameter::VotingMs, Parameter::ChallengeMs, Parameter::RulingMs] {
        genesis.parameters.0.insert(parameter, HOUR_MS);
    }
    let mut world = mesh(World::of(genesis));
    for (who, duty) in [(key(1), Duty::Host), (key(2), Duty::Validator), (bob(), Duty::Reviewer)] {
        world.must(&who, Operation::Bond(Bond { duty, amount: Uftns(500_000) }));
    }
    let revealing = auction(&world, 5_000);
    let (revealing, _) = world.must(&alice(), Operation::OpenAuction(revealing));
    let sealed = sealed_bid(&revealing, &id_of(&key(3)), Uftns(9_000), 5, &SALT);
    world.must(&key(3), Operation::SealBid(SealBid { auction: revealing, sealed }));
    world.run(6_000, vec![]);

    let (task, claimed, disputed) =
        (open(&mut world, 3, 9 * HOUR_MS), open(&mut world, 3, 9 * HOUR_MS), open(&mut world, 3, 9 * HOUR_MS));
    claim(&mut world, claimed);
    claim(&mut world, disputed);
    world.must(&alice(), Operation::DisputeClaim(DisputeClaim { escrow: disputed, part: 0 }));
    let purpose = DeclarePurpose { escrow: claimed, purpose: Purpose::DisasterResponse };
    world.must(&alice(), Operation::DeclarePurpose(purpose));
    let plan = schedule(&world);
    let (schedule, _) = world.must(&alice(), Operation::Schedule(plan));
    let auction = auction(&world, HOUR_MS);
    let (auction, _) = world.must(&alice(), Operation::OpenAuction(auction));
    attested(&mut world, Hash::of(b"credited"));
    let saving = ClaimSaving { evidence: Hash::of(b"saving"), baseline_ug: 9, actual_ug: 8 };
    world.must(&bob(), Operation::ClaimSaving(saving));
    let owners = vec![ContentShare { owner: id_of(&bob()), ppm: 1_000_000 }];
    let paper = content(b"paper", owners, vec![], 50);
    world.must(&bob(), Operation::RegisterContent(paper));
    let owners = vec![ContentShare { owner: id_of(&key(4)), ppm: 1_000_000 }];
    let module = RegisterContent { royalty_ppm: 100_000, ..content(b"module", owners, vec![], 0) };
    world.must(&key(4), Operation::RegisterContent(module));
    let part = EscrowRelease { escrow: task, receipt: receipt(&world, report(2)) };
    world.must(&alice(), Operation::EscrowRelease(part));
    let bought = BuyUse { content: Hash::of(b"paper"), max_price: Uftns(50) };
    world.must(&alice(), Operation::BuyUse(bought));
    let work = ClaimContribution { kind: Contribution::Data, evidence: Hash::of(b"work"), amount: Uftns(5) };
    world.must(&bob(), Operation::ClaimContribution(work));
    world.must(&alice(), propose());
    let freeze =
        Freeze { scope: Scope::Agent(AgentId(40)), reason: "drill".into(), until: world.now().plus_ms(HOUR_MS) };
    world.must(&operator(), Operation::Freeze(freeze));
    let (offer, lent) = quotas(&mut world, claimed);
    let trade = trade(&mut world);
    let declare = |what| Operation::Declare(Declare { what, evidence: Hash::of(b"bill") });
    world.must(&operator(), declare(Declared::Region(region("BD"))));
    world.must(&key(1), declare(Declared::RenewablePpm(700_000)));
    let panel = query::claim(&world.state, &disputed, 0).unwrap().unwrap().panel;
    Scene { world, task, claimed, disputed, panel, schedule, auction, revealing, offer, lent, trade }
}

/// Node 1 sells quota, lends some to Alice, and keeps some for luxury while there is a flood where she is.
fn quotas(world: &mut World, relief: EscrowId) -> (Hash, Hash) {
    let offered = |units, periods| OfferQuota { capability: Capabilities::COMPUTE, units, price: Uftns(5), periods };
    let (offer, _) = world.must(&key(1), Operation::OfferQuota(offered(100, None)));
    let (lent, _) = world.must(&key(1), Operation::OfferQuota(offered(50, Some(2))));
    world.must(&alice(), Operation::TakeQuota(TakeQuota { offer: lent }));
    let luxury = EscrowOpen {
        task: Hash::of(b"yacht"),
        module: Hash::of(b"module"),
        capability: Capabilities::COMPUTE,
        parts: 1,
        amount_per_part: Uftns(7),
        reserve_per_part: Uftns(9),
        release_deadline: world.now().plus_ms(9 * HOUR_MS),
    };
    let (escrow, _) = world.must(&key(1), Operation::EscrowOpen(luxury));
    world.must(&key(1), Operation::ReserveQuota(ReserveQuota { escrow, units: 10 }));
    let purpose = Purpose::Luxury;
    world.must(&key(1), Operation::DeclarePurpose(DeclarePurpose { escrow, purpose }));
    let until = Some(world.now().plus_ms(5 * HOUR_MS));
    for who in [key(1), operator()] {
        let signal = SignalEmergency { region: region("KE"), kind: "flood".into(), until };
        world.must(&who, Operation::SignalEmergency(signal));
    }
    assert!(query::quota_draw(&world.state, &relief).unwrap().is_none());
    (offer, lent)
}

pub fn content(name: &[u8], owners: Vec<ContentShare>, parents: Vec<ContentParent>, price: u64) -> RegisterContent {
    RegisterContent { content: Hash::of(name), owners, parents, price: Uftns(price), royalty_ppm: 0 }
}

pub fn terms(world: &World, content: &[u8]) -> ListingTerms {
    ListingTerms {
        title: "an offer".into(),
        about: "more".into(),
        content: Hash::of(content),
        capability: Some(Capabilities::COMPUTE),
        region: Some(region("DE")),
        energy: EnergySource::Contracted,
        price: Uftns(50),
        until: world.now().plus_ms(HOUR_MS),
    }
}

pub fn order(world: &World, listing: Hash, work: Option<OrderedWork>) -> PlaceOrder {
    PlaceOrder { listing, max_price: Uftns(50), work, release_deadline: world.now().plus_ms(9 * HOUR_MS) }
}

pub fn work() -> OrderedWork {
    let reserve_per_part = Uftns(5_000);
    OrderedWork { task: Hash::of(b"task"), module: Hash::of(b"module"), parts: 2, reserve_per_part }
}

fn trade(world: &mut World) -> Trade {
    let owners = vec![ContentShare { owner: id_of(&key(1)), ppm: 1_000_000 }];
    let atlas = content(b"atlas", owners, vec![], 0);
    world.must(&key(1), Operation::RegisterContent(atlas));
    let create = |kind, terms| Operation::CreateListing(CreateListing { kind, terms });
    let (data, compute) = (terms(world, b"atlas"), terms(world, b"work"));
    let (data, _) = world.must(&key(1), create(ListingKind::Data, data));
    let (compute, _) = world.must(&key(1), create(ListingKind::Compute, compute));
    let place = |world: &mut World, listing, work| {
        let op = order(world, listing, work);
        world.must(&alice(), Operation::PlaceOrder(op)).0
    };
    let (order, paid) = (place(world, data, None), place(world, data, None));
    world.must(&alice(), Operation::AcceptDelivery(AcceptDelivery { order: paid }));
    let hired = place(world, compute, Some(work()));
    Trade { data, compute, order, paid, hired }
}

fn propose() -> Operation {
    let change = ParameterChange { parameter: Parameter::HoldMarginMs, value: 40 };
    Operation::Propose(Propose { title: "more".into(), kind: ProposalKind::Parameter(vec![change]) })
}

/// One of each kind that would be carried out, and who sends it.
pub fn examples(scene: &Scene) -> Vec<(SecretKey, Operation)> {
    let world = &scene.world;
    let (to, now) = (id_of(&bob()), world.now());
    let accepted = receipt(world, report(1));
    let item = TransferItem { to, amount: Uftns(6) };
    let freeze = Freeze { scope: Scope::Agent(AgentId(3)), reason: "drill".into(), until: now.plus_ms(9_000) };
    let thaw = Thaw { scope: Scope::Agent(AgentId(40)), reason: "over".into() };
    let open = EscrowOpen {
        task: Hash::of(b"new"),
        module: Hash::of(b"module"),
        capability: Capabilities::COMPUTE,
        parts: 2,
        amount_per_part: Uftns(7),
        reserve_per_part: Uftns(8),
        release_deadline: now.plus_ms(9_000),
    };
    let mut examples = vec![
        (alice(), Operation::Transfer(Transfer { to, amount: Uftns(5), memo: "rent".into() })),
        (alice(), Operation::BatchTransfer(BatchTransfer { transfers: vec![item, item] })),
        (alice(), Operation::EscrowOpen(open)),
        (alice(), Operation::EscrowRelease(EscrowRelease { escrow: scene.task, receipt: accepted })),
        (alice(), register(Some(node_registration(9)), agents(50..52))),
        (bob(), propose()),
        (bob(), Operation::Vote(mesh30k_ledger::ops::Vote { proposal: ProposalId(1), choice: Choice::Yes })),
        (operator(), Operation::Freeze(freeze)),
        (operator(), Operation::Thaw(thaw)),
        (alice(), Operation::Schedule(schedule(world))),
        (alice(), Operation::Unschedule(Unschedule { schedule: scene.schedule })),
        (alice(), Operation::Bond(Bond { duty: Duty::Reviewer, amount: Uftns(9) })),
        (bob(), Operation::Unbond(Unbond { duty: Duty::Reviewer, amount: Uftns(9) })),
        (bob(), Operation::ProveEquivocation(equivocation(world))),
    ];
    examples.extend(carbon(scene));
    examples.extend(market(scene));
    examples.extend(quota(scene));
    examples.extend(orders(scene));
    examples
}

fn orders(scene: &Scene) -> Vec<(SecretKey, Operation)> {
    let (world, trade) = (&scene.world, &scene.trade);
    let listing = trade.data;
    let kind = ListingKind::Agent(AgentId(1));
    vec![
        (key(1), Operation::CreateListing(CreateListing { kind, terms: terms(world, b"new") })),
        (key(1), Operation::ChangeListing(ChangeListing { listing, terms: terms(world, b"atlas") })),
        (key(1), Operation::WithdrawListing(WithdrawListing { listing })),
        (key(2), Operation::ReviewListing(ReviewListing { listing, safety: Safety::Reviewed })),
        (bob(), Operation::PlaceOrder(order(world, trade.compute, Some(work())))),
        (key(1), Operation::ClaimDelivery(ClaimDelivery { order: trade.order })),
        (alice(), Operation::AcceptDelivery(AcceptDelivery { order: trade.order })),
        (alice(), Operation::RateOrder(RateOrder { order: trade.paid, stars: 5 })),
    ]
}

fn carbon(scene: &Scene) -> Vec<(SecretKey, Operation)> {
    let (to, now) = (id_of(&bob()), scene.world.now());
    let signal = SignalEmergency { region: region("BD"), kind: "flood".into(), until: Some(now.plus_ms(HOUR_MS)) };
    let fresh = Hash::of(b"fresh");
    vec![
        (key(1), Operation::ReportIntensity(ReportIntensity { region: region("DE"), mg_per_kwh: 390_000 })),
        (alice(), Operation::ClaimSaving(ClaimSaving { evidence: fresh, baseline_ug: 9, actual_ug: 8 })),
        (key(2), Operation::AttestSaving(AttestSaving { evidence: Hash::of(b"saving") })),
        (alice(), Operation::TransferCredits(TransferCredits { to, amount_ug: 10 })),
        (alice(), Operation::RetireCredits(RetireCredits { amount_ug: 10 })),
        (alice(), Operation::DeclarePurpose(DeclarePurpose { escrow: scene.task, purpose: Purpose::Education })),
        (key(2), Operation::ReclassifyPurpose(ReclassifyPurpose { escrow: scene.claimed, purpose: Purpose::Luxury })),
        (key(1), Operation::SignalEmergency(signal)),
        (bob(), Operation::Declare(Declare { what: Declared::Region(region("KE")), evidence: fresh })),
        (key(2), Operation::Declare(Declare { what: Declared::RenewablePpm(400_000), evidence: fresh })),
        (key(2), Operation::Attest(Attest { account: id_of(&key(1)), what: Declared::RenewablePpm(700_000) })),
        (
            alice(),
            Operation::ClaimContribution(ClaimContribution {
                kind: Contribution::Model,
                evidence: fresh,
                amount: Uftns(5),
            }),
        ),
        (key(2), Operation::AttestContribution(AttestContribution { evidence: Hash::of(b"work") })),
    ]
}

fn market(scene: &Scene) -> Vec<(SecretKey, Operation)> {
    let world = &scene.world;
    let sealed = sealed_bid(&scene.auction, &id_of(&bob()), Uftns(9), 5, &SALT);
    let judge = (2..=4).map(key).find(|key| scene.panel.contains(&id_of(key))).unwrap();
    let bid = OpenBid { auction: scene.revealing, price: Uftns(9_000), carbon_ug: 5, salt: SALT };
    let owners = vec![ContentShare { owner: id_of(&alice()), ppm: 1_000_000 }];
    let parents = vec![ContentParent { content: Hash::of(b"paper"), royalty_ppm: 100_000 }];
    let fresh = content(b"fresh", owners, parents, 60);
    let paper = Hash::of(b"paper");
    let heads = AnchorHeads { registry_root: paper, conflicts_head: Hash::ZERO, audit_head: paper };
    let period = world.now().0 / PERIOD_MS;
    vec![
        (key(1), Operation::Anchor(Anchor { sector: SectorId(0), period, heads })),
        (alice(), Operation::RegisterContent(fresh)),
        (alice(), Operation::BuyUse(BuyUse { content: paper, max_price: Uftns(50) })),
        (alice(), Operation::RateContent(RateContent { content: paper, stars: 5 })),
        (bob(), Operation::CollectRoyalties(CollectRoyalties { content: Hash::of(b"module") })),
        (key(3), Operation::DeclareHardware(DeclareHardware { embodied_g: 9, lifespan_h: 9, slots: 9 })),
        (key(1), Operation::ClaimPart(ClaimPart { escrow: scene.task, receipt: receipt(world, report(0)) })),
        (alice(), Operation::DisputeClaim(DisputeClaim { escrow: scene.claimed, part: 0 })),
        (judge, Operation::RuleClaim(RuleClaim { escrow: scene.disputed, part: 0, pay: true })),
        (alice(), Operation::OpenAuction(auction(world, HOUR_MS))),
        (bob(), Operation::SealBid(SealBid { auction: scene.auction, sealed })),
        (key(3), Operation::OpenBid(bid)),
        (bob(), Operation::RotateKey(RotateKey::Account(KeyPolicy::new(1, vec![key(7).public(), key(8).public()])))),
        (key(3), Operation::RotateKey(RotateKey::Host(key(9).public()))),
        (key(1), Operation::RotateKey(RotateKey::Agent { agent: AgentId(1), key: key(9).public() })),
    ]
}

fn quota(scene: &Scene) -> Vec<(SecretKey, Operation)> {
    let offered = OfferQuota { capability: Capabilities::COMPUTE, units: 9, price: Uftns(0), periods: Some(1) };
    vec![
        (key(1), Operation::OfferQuota(offered)),
        (bob(), Operation::TakeQuota(TakeQuota { offer: scene.offer })),
        (key(1), Operation::WithdrawQuota(WithdrawQuota { offer: scene.offer })),
        (alice(), Operation::ReserveQuota(ReserveQuota { escrow: scene.task, units: 50 })),
        (alice(), Operation::DrawQuota(DrawQuota { escrow: scene.claimed, units: 10 })),
    ]
}

/// Rejected: nonce and fee were taken, nothing else changed. Gives the name of the reason.
pub fn refused(scene: &Scene, who: &SecretKey, op: Operation) -> String {
    let world = &scene.world;
    let before = &world.state;
    let (_, execution) = world.try_run(1, vec![world.signed(who, op.clone())]).unwrap();
    let outcome: &Outcome = &execution.outcomes[0];
    let rejection = outcome.rejection().unwrap_or_else(|| panic!("not refused: {op:?}"));
    let sentence = rejection.to_string();
    assert!(!sentence.is_empty() && !sentence.contains('\n') && sentence.len() < 400, "{sentence}");
    assert_eq!(outcome.sentence(), sentence);
    unchanged(before, who, &execution.changes, outcome.fee());
    format!("{rejection:?}")
}

/// Apart from the sender's nonce and fee, the proposer's share and the totals that follow, every record is as it was.
pub fn unchanged(
    before: &mesh30k_ledger::state::MemoryState,
    who: &SecretKey,
    changes: &mesh30k_ledger::state::ChangeSet,
    fee: Uftns,
) {
    use mesh30k_ledger::state::StateRead;
    let (own, proposer) = (query::account_key(&id_of(who)), query::account_key(&id_of(&key(1))));
    for (key, value) in changes {
        let free = [own.as_slice(), proposer.as_slice(), b"cg", b"cb"].contains(&key.as_slice());
        if b"acegt".contains(&key[0]) && !free {
            assert_eq!(&before.get(key).unwrap(), value, "a refused operation changed {}", hex::encode(key));
        }
    }
    let old = query::account(before, &id_of(who)).unwrap().unwrap();
    let mut after = before.clone();
    after.apply(changes.clone());
    let new = query::account(&after, &id_of(who)).unwrap().unwrap();
    let earned = if own == proposer { fee.0 / 2 } else { 0 };
    assert_eq!((new.nonce, new.balance.0), (old.nonce + 1, old.balance.0 - fee.0 + earned));
    assert_eq!(new.stake, old.stake);
}
