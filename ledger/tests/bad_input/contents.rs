//! The table, continued: content, and what machines cost to make.

use super::scene::content;
use super::table::check;
use crate::common::{alice, bob, id_of, key};
use mesh30k_ledger::ops::*;
use mesh30k_ledger::records::{ContentParent, ContentShare};
use mesh30k_ledger::types::{Hash, Uftns};

#[test]
fn contents() {
    check(|_| {
        let own = ContentShare { owner: id_of(&alice()), ppm: 1_000_000 };
        let register = |name: &[u8], owners, parents| Operation::RegisterContent(content(name, owners, parents, 1));
        let working = |royalty_ppm, owners| {
            Operation::RegisterContent(RegisterContent { royalty_ppm, ..content(b"x", owners, vec![], 1) })
        };
        let collect = |name: &[u8]| Operation::CollectRoyalties(CollectRoyalties { content: Hash::of(name) });
        let parent = |name: &[u8], royalty_ppm| ContentParent { content: Hash::of(name), royalty_ppm };
        let buy = |name: &[u8], max| Operation::BuyUse(BuyUse { content: Hash::of(name), max_price: Uftns(max) });
        let rate = |name: &[u8], stars| Operation::RateContent(RateContent { content: Hash::of(name), stars });
        vec![
            ("OutOfBounds { field: \"owners", alice(), register(b"x", vec![], vec![])),
            ("OutOfBounds { field: \"parents", alice(), register(b"x", vec![own], vec![parent(b"paper", 1); 9])),
            (
                "OutOfBounds { field: \"share",
                alice(),
                register(b"x", vec![ContentShare { ppm: u32::MAX, ..own }], vec![]),
            ),
            ("AlreadyDone", alice(), register(b"x", vec![own, own], vec![])),
            ("NotOwner", bob(), register(b"x", vec![own], vec![])),
            ("AlreadyDone", alice(), register(b"paper", vec![own], vec![])),
            ("OutOfBounds { field: \"royalty", alice(), register(b"x", vec![own], vec![parent(b"paper", 0)])),
            ("OutOfBounds { field: \"royalty", alice(), register(b"x", vec![own], vec![parent(b"paper", u32::MAX)])),
            ("Unknown {", alice(), register(b"x", vec![own], vec![parent(b"x", 1)])),
            ("OutOfBounds { field: \"royalty in tasks", alice(), working(200_001, vec![own])),
            // Numbers are looked at before owners.
            ("OutOfBounds { field: \"royalty in tasks", alice(), working(u32::MAX, vec![own, own])),
            ("Unknown {", alice(), collect(b"x")),
            ("AlreadyDone", alice(), collect(b"paper")),
            ("Unknown {", alice(), buy(b"x", 1)),
            ("OutOfBounds { field: \"price", alice(), buy(b"paper", 0)),
            ("OutOfBounds { field: \"stars", alice(), rate(b"paper", 0)),
            ("OutOfBounds { field: \"stars", alice(), rate(b"paper", u8::MAX)),
            ("Unknown {", alice(), rate(b"x", 1)),
            ("Unknown {", bob(), rate(b"paper", 1)),
        ]
    });
}

#[test]
fn hardware() {
    check(|_| {
        let declare = |embodied_g, lifespan_h, slots| {
            Operation::DeclareHardware(DeclareHardware { embodied_g, lifespan_h, slots })
        };
        vec![
            ("OutOfBounds { field: \"embodied", key(1), declare(0, 1, 1)),
            ("OutOfBounds { field: \"embodied", key(1), declare(u64::MAX, 1, 1)),
            ("OutOfBounds { field: \"lifespan", key(1), declare(1, 0, 1)),
            ("OutOfBounds { field: \"lifespan", key(1), declare(1, u32::MAX, 1)),
            ("OutOfBounds { field: \"slots", key(1), declare(1, 1, 0)),
            ("OutOfBounds { field: \"slots", key(1), declare(1, 1, u32::MAX)),
            // In this order, and before the sender.
            ("OutOfBounds { field: \"embodied", alice(), declare(0, 0, 0)),
            ("NodeMissing", alice(), declare(1, 1, 1)),
        ]
    });
}
