//! Lists of what is claimed, bid on and contributed: complete, by name, and honest about what they leave out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeSet;

use common::{World, alice, bob, id_of, key};
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::ops::{
    AttestContribution, ClaimContribution, ClaimSaving, OpenAuction, Operation, RegisterContent,
};
use mesh30k_ledger::query;
use mesh30k_ledger::records::{ContentShare, Contribution};
use mesh30k_ledger::types::{Hash, Uftns};
use mesh30k_ledger::unit_price::period_of;

fn claim(world: &mut World, who: &mesh30k_ledger::keys::SecretKey, evidence: Hash) {
    let op = ClaimContribution { kind: Contribution::Data, evidence, amount: Uftns(10) };
    assert!(world.one(who, Operation::ClaimContribution(op)).is_executed());
}

#[test]
fn contributions_are_listed_by_account_and_a_limit_is_told() {
    let mut world = World::new();
    let names: Vec<Hash> = (0..5_u8).map(|n| Hash::of(&[n])).collect();
    for (at, name) in names.iter().enumerate() {
        claim(&mut world, &if at % 2 == 0 { alice() } else { bob() }, *name);
    }
    let all = query::contributions(&world.state, None, 5).unwrap();
    assert!(!all.is_cut && all.rows.is_sorted_by_key(|(name, _)| *name));
    assert_eq!(all.rows.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>(), names.iter().copied().collect());
    let own = query::contributions(&world.state, Some(&id_of(&alice())), 9).unwrap();
    assert_eq!((own.rows.len(), own.is_cut), (3, false));
    assert!(own.rows.iter().all(|(_, record)| record.account == id_of(&alice())));
    let cut = query::contributions(&world.state, None, 4).unwrap();
    assert_eq!((&cut.rows[..], cut.is_cut), (&all.rows[..4], true));
    // A record of another kind whose key begins alike is none of them.
    assert!(world.one(&key(2), Operation::AttestContribution(AttestContribution { evidence: names[0] })).is_executed());
    assert!(world.one(&key(3), Operation::AttestContribution(AttestContribution { evidence: names[0] })).is_executed());
    assert_eq!(query::contributions(&world.state, None, 9).unwrap().rows.len(), 5);
    let emission = query::emission(&world.state).unwrap();
    let today = period_of(world.now());
    assert_eq!(emission.paid_in(today)[0], (Contribution::Data, Uftns(10)));
    assert!(emission.paid_in(today + 1).iter().all(|(_, paid)| paid.is_zero()), "a new day has paid nothing");
    assert_eq!(Contribution::ALL.map(|kind| kind.share_of(Uftns(1_000)).0).iter().sum::<u64>(), 1_000);
}

#[test]
fn a_list_that_is_longer_than_a_stretch_is_whole() {
    let mut world = World::new();
    let op = ClaimSaving { evidence: Hash::ZERO, baseline_ug: 2, actual_ug: 1 };
    assert!(world.one(&alice(), Operation::ClaimSaving(op)).is_executed());
    let (_, record) = query::savings(&world.state, 1).unwrap().rows.remove(0);
    // As the ledger would have written them, one a transaction.
    let mut many = mesh30k_ledger::state::ChangeSet::new();
    for n in 0..2_500_u32 {
        let name = Hash::of(&n.to_le_bytes());
        many.insert([b"ce".as_slice(), &name.0].concat(), Some(encode(&record)));
    }
    world.state.apply(many);
    let found = query::savings(&world.state, 9_999).unwrap();
    assert_eq!((found.rows.len(), found.is_cut), (2_501, false));
    assert!(found.rows.is_sorted_by_key(|(name, _)| *name));
}

#[test]
fn auctions_come_in_pages_and_content_by_its_owners() {
    let mut world = World::new();
    let now = world.now();
    let terms = OpenAuction {
        task: Hash::of(b"task"),
        module: Hash::of(b"module"),
        max_price: Uftns(50_000),
        reserve: Uftns(5_000),
        commit_until: now.plus_ms(50_000),
        reveal_until: now.plus_ms(60_000),
        release_deadline: now.plus_ms(100_000),
    };
    for _ in 0..3 {
        assert!(world.one(&alice(), Operation::OpenAuction(terms)).is_executed());
    }
    let all = query::auctions(&world.state, &Hash::ZERO, 9).unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(query::auctions(&world.state, &all[1].0, 9).unwrap(), all[1..], "from a name on, that one included");
    assert!(query::open_claims(&world.state, 9).unwrap().rows.is_empty());

    let share = |key, ppm| ContentShare { owner: id_of(key), ppm };
    let (alice, bob) = (alice(), bob());
    for (content, owners) in
        [(b"one", vec![share(&alice, 1_000_000)]), (b"two", vec![share(&alice, 400_000), share(&bob, 600_000)])]
    {
        let content = Hash::of(content);
        let op = RegisterContent { content, owners, parents: Vec::new(), price: Uftns::ZERO, royalty_ppm: 0 };
        assert!(world.one(&alice, Operation::RegisterContent(op)).is_executed());
    }
    let owned = |key| query::contents_of(&world.state, &id_of(key), 9).unwrap().rows.len();
    assert_eq!([owned(&alice), owned(&bob), owned(&key(1))], [2, 1, 0]);
}
