//! The state trees against a naive model: every update from scratch.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use mesh30k_ledger::smt;
use mesh30k_ledger::state::{ChangeSet, MemoryState, Overlay, StateRead};
use mesh30k_ledger::types::Hash;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// The root by its definition: no nodes kept, no way shared with the code under test but the tags of the hashes.
fn naive_root(model: &Model) -> Hash {
    let keyed = |tag: &[u8; 32], bytes: &[u8]| Hash(*blake3::keyed_hash(tag, bytes).as_bytes());
    let mut joined = Vec::from(5_u32.to_le_bytes());
    for domain in *b"acegt" {
        let leaves: Vec<(Hash, Hash)> = model
            .iter()
            .filter(|(key, _)| key[0] == domain)
            .map(|(key, value)| {
                let path = keyed(b"mesh30k state tree: path of key1", key);
                (path, keyed(b"mesh30k state tree: value hash 1", value))
            })
            .collect();
        joined.push(domain);
        joined.extend_from_slice(&naive_subtree(leaves, 0).0);
    }
    Hash::derive("mesh30k state root v1", &[&joined])
}

fn naive_subtree(leaves: Vec<(Hash, Hash)>, depth: usize) -> Hash {
    let pair = |tag: &[u8; 32], a: Hash, b: Hash| Hash(*blake3::keyed_hash(tag, &[a.0, b.0].concat()).as_bytes());
    match leaves.as_slice() {
        [] => Hash::ZERO,
        [(path, value)] => pair(b"mesh30k state tree: leaf hash v1", *path, *value),
        _ => {
            let bit = |path: &Hash| path.0[depth / 8] >> (7 - depth % 8) & 1 == 1;
            let (right, left): (Vec<_>, Vec<_>) = leaves.into_iter().partition(|(path, _)| bit(path));
            pair(b"mesh30k state tree: node hash v1", naive_subtree(left, depth + 1), naive_subtree(right, depth + 1))
        }
    }
}

/// The pages of a state as they are, and as they follow from its buckets.
fn pages(state: &MemoryState) -> Model {
    state.entries().filter(|(key, _)| smt::is_page(key)).map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

fn made_anew(state: &MemoryState) -> Model {
    let mut made = Model::new();
    smt::rebuild_pages(state, |key, page| assert!(made.insert(key, page).is_none(), "each once")).unwrap();
    made
}

fn steps() -> impl Strategy<Value = Vec<Vec<(u8, u8, Option<u8>)>>> {
    let change = (0..5_u8, 0..24_u8, proptest::option::weighted(0.6, any::<u8>()));
    proptest::collection::vec(proptest::collection::vec(change, 0..12), 1..12)
}

proptest! {
    #[test]
    fn roots_nodes_and_proofs_agree_with_the_model(steps in steps()) {
        let (mut state, mut model) = (MemoryState::new(), Model::new());
        for step in steps {
            let mut changes = ChangeSet::new();
            for (domain, key, value) in step {
                let key = vec![b"acegt"[domain as usize], key];
                match value {
                    Some(value) => model.insert(key.clone(), vec![value]),
                    None => model.remove(&key),
                };
                changes.insert(key, value.map(|value| vec![value]));
            }
            let root = smt::update(&state, &mut changes).unwrap();
            prop_assert_eq!(root, naive_root(&model));
            state.apply(changes);

            // The nodes kept are those of a tree built at once: nothing is left behind.
            let mut fresh = MemoryState::new();
            let mut all: ChangeSet = model.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
            smt::update(&fresh, &mut all).unwrap();
            fresh.apply(all);
            prop_assert_eq!(&state, &fresh);
            prop_assert_eq!(made_anew(&state), pages(&state));
        }
        let root = naive_root(&model);
        for domain in *b"acegt" {
            for id in 0..30_u8 {
                let key = [domain, id];
                let proof = smt::prove(&state, &key).unwrap();
                let value = model.get(key.as_slice()).map(Vec::as_slice);
                prop_assert_eq!(proof.verify(&root, &key, value), Ok(()));
                let lie: Option<&[u8]> = if value.is_some() { None } else { Some(b"x") };
                prop_assert!(proof.verify(&root, &key, lie).is_err());
            }
        }
    }

    #[test]
    fn trees_of_several_pages_agree_with_the_model(
        first in 1_000..4_000_u32, changed in proptest::collection::vec((0..5_000_u32, any::<bool>()), 1..400)
    ) {
        // Twelve levels and more: three pages below each other, some of which come and go.
        let key = |n: u32| [b"a".as_slice(), &n.to_be_bytes()].concat();
        let (mut state, mut model) = (MemoryState::new(), Model::new());
        let mut changes: ChangeSet = (0..first).map(|n| (key(n), Some(vec![1]))).collect();
        model.extend((0..first).map(|n| (key(n), vec![1])));
        prop_assert_eq!(smt::update(&state, &mut changes).unwrap(), naive_root(&model));
        state.apply(changes);
        let mut changes = ChangeSet::new();
        for (n, kept) in &changed {
            changes.insert(key(*n), kept.then(|| vec![2]));
            if *kept { model.insert(key(*n), vec![2]) } else { model.remove(&key(*n)) };
        }
        let root = smt::update(&state, &mut changes).unwrap();
        prop_assert_eq!(root, naive_root(&model));
        state.apply(changes);
        prop_assert_eq!(made_anew(&state), pages(&state));
        for (n, _) in changed.iter().take(20) {
            let value = model.get(&key(*n)).map(Vec::as_slice);
            let proof = smt::prove(&state, &key(*n)).unwrap();
            prop_assert_eq!(proof.verify(&root, &key(*n), value), Ok(()));
        }
        // A page or a bucket that was changed where it lies is noticed.
        for kind in *b"SL" {
            let entry = state.entries().find(|(key, _)| key[0] == kind && key.len() > 3);
            let Some((key, mut bytes)) = entry.map(|(key, value)| (key.to_vec(), value.to_vec())) else { continue };
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            let mut spoiled = state.clone();
            spoiled.apply([(key, Some(bytes))].into());
            let mut all: ChangeSet = model.keys().map(|key| (key.clone(), Some(vec![3]))).collect();
            prop_assert!(smt::update(&spoiled, &mut all).is_err());
            prop_assert_eq!(smt::rebuild_pages(&spoiled, |_, _| {}).is_err(), kind == b'L');
        }
        // So is one that is not there, as in a data directory of an earlier version.
        let mut without = state.clone();
        without.apply(state.entries().filter(|(key, _)| key[0] == b'L').map(|(key, _)| (key.to_vec(), None)).collect());
        let refused = smt::rebuild_pages(&without, |_, _| {}).unwrap_err().to_string();
        prop_assert!(refused.contains("of an earlier version, start with an empty one"), "{}", refused);
    }

    #[test]
    fn overlays_read_like_the_state_they_stand_for(
        base in proptest::collection::btree_map(0..40_u8, any::<u8>(), 0..30),
        layers in proptest::collection::vec(proptest::collection::btree_map(0..40_u8, proptest::option::of(any::<u8>()), 0..15), 0..4),
        from in 0..45_u8,
        limit in 0..50_usize,
    ) {
        let mut flat = MemoryState::new();
        flat.apply(base.into_iter().map(|(key, value)| (vec![b'x', key], Some(vec![value]))).collect());
        let mut overlay = Overlay::new(flat.clone());
        for layer in layers {
            let changes: ChangeSet = layer.into_iter().map(|(key, value)| (vec![b'x', key], value.map(|v| vec![v]))).collect();
            flat.apply(changes.clone());
            overlay.push(Arc::new(changes));
        }
        for key in 0..40_u8 {
            prop_assert_eq!(overlay.get(&[b'x', key]), flat.get(&[b'x', key]));
        }
        prop_assert_eq!(overlay.scan(b"x", &[b'x', from], limit), flat.scan(b"x", &[b'x', from], limit));
    }
}
