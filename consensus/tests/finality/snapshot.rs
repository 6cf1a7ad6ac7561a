//! Snapshots: whole ones arrive, every kind of tampering is refused.

use std::collections::BTreeMap;
use std::convert::Infallible;

use mesh30k_consensus::finality::snapshot::{
    Assembler, Chunk, Chunker, MAX_CHUNK_BYTES, MAX_CHUNKS, Manifest, Pair, SnapshotError,
};
use mesh30k_ledger::codec;
use mesh30k_ledger::finality::ValidatorSet;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{Operation, Transfer};
use mesh30k_ledger::transaction::{SignedTransaction, Transaction};
use mesh30k_ledger::types::{AccountId, ChainId, Hash, Height, TimeMs, Uftns};
use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::fixture::{Executed, Fixture};

pub(crate) fn some_transaction(fixture: &Fixture, key: &SecretKey) -> SignedTransaction {
    let tx = Transaction {
        chain: fixture.context.chain,
        genesis: fixture.context.genesis,
        account: AccountId([1; 20]),
        nonce: 0,
        valid_until: TimeMs(1),
        fee_limit: Uftns(1),
        sponsor: None,
        op: Operation::Transfer(Transfer { to: AccountId([2; 20]), amount: Uftns(1), memo: String::new() }),
    };
    tx.sign(&[key])
}

/// Stands for the ledger's recomputation: any function of all pairs will do here.
fn root(state: &BTreeMap<Vec<u8>, Vec<u8>>) -> Hash {
    Hash::of(&codec::encode(&state.iter().map(|(k, v)| (k.clone(), v.clone())).collect::<Vec<Pair>>()))
}

fn state(pairs: u32, value_bytes: usize) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let value = |n: u32| vec![u8::try_from(n % 251).unwrap(); value_bytes];
    (0..pairs).map(|n| (n.to_be_bytes().to_vec(), value(n))).collect()
}

struct Made {
    fixture: Fixture,
    manifest: Manifest,
    chunks: Vec<Chunk>,
}

fn make(state: &BTreeMap<Vec<u8>, Vec<u8>>) -> Made {
    let fixture = Fixture::new(4);
    let mut executed: Executed = fixture.chain(5).pop().unwrap();
    executed.commitment.state_root = root(state);
    let mut chunker = Chunker::new();
    let mut chunks = Vec::new();
    for (key, value) in state {
        chunks.extend(chunker.push(key.clone(), value.clone()).unwrap());
    }
    let (last, infos) = chunker.finish().unwrap();
    chunks.extend(last);
    let manifest = Manifest {
        chain: fixture.context.chain,
        genesis: fixture.context.genesis,
        header: executed.block.header,
        certificate: fixture.certificate(&[1, 2, 4], &executed),
        commitment: executed.commitment,
        validators: fixture.set.clone(),
        chunks: infos,
    };
    Made { fixture, manifest, chunks }
}

impl Made {
    fn refused(&self, change: impl FnOnce(&mut Manifest)) -> SnapshotError {
        let mut manifest = self.manifest.clone();
        change(&mut manifest);
        manifest.verify(&self.fixture.context, &self.fixture.set, Height(0)).unwrap_err()
    }

    fn assembler(&self) -> Assembler {
        let manifest = Manifest::decode(&self.manifest.encode()).unwrap();
        Assembler::new(manifest.verify(&self.fixture.context, &self.fixture.set, Height(4)).unwrap())
    }
}

#[test]
fn a_snapshot_arrives_whole_in_any_order() {
    let state = state(900, 5_000);
    let made = make(&state);
    assert!(made.chunks.len() >= 4);
    assert!(made.chunks.iter().all(|chunk| chunk.bytes.len() <= MAX_CHUNK_BYTES));
    let mut assembler = made.assembler();
    let mut order: Vec<usize> = (0..made.chunks.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(5));
    let mut written = BTreeMap::new();
    for (done, index) in order.into_iter().enumerate() {
        assert_eq!(assembler.missing(100).len(), made.chunks.len() - done);
        written.extend(assembler.on_chunk(index, &made.chunks[index].bytes).unwrap());
        let again = assembler.on_chunk(index, &made.chunks[index].bytes);
        assert!(matches!(again, Err(SnapshotError::NotWanted { .. })));
    }
    assert!(assembler.is_complete());
    let tip = assembler.finish(|| Ok::<_, Infallible>(root(&written))).unwrap();
    assert_eq!((tip.height, tip.block), (Height(5), made.manifest.header.id()));
    assert_eq!(written, state);
}

#[test]
fn a_manifest_that_is_not_certified_for_this_chain_is_refused() {
    let made = make(&state(3, 10));
    let other = Fixture::new(7);
    let cases: [(&str, SnapshotError); 9] = [
        ("WrongChain", made.refused(|m| m.chain = ChainId::new("other").unwrap())),
        ("WrongChain", made.refused(|m| m.genesis = Hash::of(b"other"))),
        ("NotCertified", made.refused(|m| m.header.height = Height(6))),
        ("NotCertified", made.refused(|m| m.header.time = TimeMs(1))),
        ("NotCertified", made.refused(|m| m.commitment.state_root = Hash::of(b"other"))),
        ("NotCertified", made.refused(|m| m.commitment.blocks_root = Hash::of(b"other"))),
        ("BadCertificate", made.refused(|m| m.certificate.signatures.truncate(2))),
        ("UnknownValidators", made.refused(|m| m.validators = other.set.clone())),
        ("TooLarge", made.refused(|m| m.chunks = vec![m.chunks[0].clone(); MAX_CHUNKS + 1])),
    ];
    for (expected, error) in cases {
        assert!(format!("{error:?}").starts_with(expected), "{expected}: {error:?}");
    }
    let large = made.refused(|m| m.chunks[0].bytes = u32::MAX);
    assert!(matches!(large, SnapshotError::TooLarge { .. }));
    // A set of the sender's own making, with a certificate that it signs well.
    let own = made.refused(|m| m.validators = ValidatorSet(m.validators.0[..3].to_vec()));
    assert!(matches!(own, SnapshotError::UnknownValidators { .. }));
    let old = made.manifest.clone().verify(&made.fixture.context, &made.fixture.set, Height(5)).unwrap_err();
    assert_eq!(old, SnapshotError::NotAbove { height: Height(5), own: Height(5) });
}

#[test]
fn every_changed_byte_of_a_manifest_is_refused_or_found_out_in_the_end() {
    let state = state(4, 6);
    let made = make(&state);
    let bytes = made.manifest.encode();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let manifest = Manifest::decode(&changed)
            .and_then(|manifest| manifest.verify(&made.fixture.context, &made.fixture.set, Height(4)));
        // Only the list of chunks is the sender's word, and no chunk fits a changed one.
        if let Ok(manifest) = manifest {
            let mut assembler = Assembler::new(manifest);
            assert!(assembler.on_chunk(0, &made.chunks[0].bytes).is_err(), "byte {at}");
        }
    }
}

#[test]
fn chunks_that_are_not_those_of_the_manifest_are_refused() {
    let made = make(&state(900, 5_000));
    let mut assembler = made.assembler();
    let good = &made.chunks[1].bytes;
    let mut random = ChaCha8Rng::seed_from_u64(9);
    for _ in 0..50 {
        let mut flipped = good.clone();
        let at = random.random_range(0..flipped.len());
        flipped[at] ^= 1 << random.random_range(0..8);
        assert!(matches!(assembler.on_chunk(1, &flipped), Err(SnapshotError::ChunkHash { index: 1, .. })));
    }
    assert!(matches!(assembler.on_chunk(0, good), Err(SnapshotError::ChunkHash { index: 0, .. })));
    assert!(matches!(assembler.on_chunk(1, &good[..9]), Err(SnapshotError::ChunkHash { .. })));
    let huge = vec![0; MAX_CHUNK_BYTES + 1];
    assert!(matches!(assembler.on_chunk(1, &huge), Err(SnapshotError::TooLarge { .. })));
    assert!(matches!(assembler.on_chunk(made.chunks.len(), good), Err(SnapshotError::NotWanted { .. })));
    assert_eq!(assembler.missing(2), [0, 1], "a refused chunk stays missing");
    let incomplete = assembler.finish(|| Ok::<_, Infallible>(Hash::ZERO)).unwrap_err();
    assert!(matches!(incomplete, SnapshotError::Incomplete { .. }));
}

/// A sender that makes up chunks and lists them in an otherwise certified manifest.
fn forged(made: &Made, lists: &[Vec<Pair>]) -> (Assembler, Vec<Vec<u8>>) {
    let bytes: Vec<Vec<u8>> = lists.iter().map(codec::encode).collect();
    let mut manifest = made.manifest.clone();
    let info = |bytes: &Vec<u8>| {
        let mut info = made.chunks[0].info.clone();
        (info.hash, info.bytes) = (Hash::of(bytes), u32::try_from(bytes.len()).unwrap());
        info
    };
    manifest.chunks = bytes.iter().map(info).collect();
    let verified = manifest.verify(&made.fixture.context, &made.fixture.set, Height(0)).unwrap();
    (Assembler::new(verified), bytes)
}

#[test]
fn made_up_content_is_refused_by_chunk_or_by_root() {
    let made = make(&state(3, 10));
    let pair = |key: u8| (vec![key], vec![0]);
    let cases = [vec![vec![pair(2), pair(1)]], vec![vec![pair(1), pair(1)]], vec![vec![]]];
    for lists in cases {
        let (mut assembler, bytes) = forged(&made, &lists);
        assert!(matches!(assembler.on_chunk(0, &bytes[0]), Err(SnapshotError::ChunkContent { .. })));
    }
    let (mut assembler, bytes) = forged(&made, &[vec![pair(1), pair(5)], vec![pair(4)]]);
    assembler.on_chunk(0, &bytes[0]).unwrap();
    assert!(matches!(assembler.on_chunk(1, &bytes[1]), Err(SnapshotError::ChunkContent { index: 1, .. })));
    let (mut assembler, bytes) = forged(&made, &[vec![pair(1), pair(5)]]);
    let written: BTreeMap<Vec<u8>, Vec<u8>> = assembler.on_chunk(0, &bytes[0]).unwrap().into_iter().collect();
    let error = assembler.finish(|| Ok::<_, Infallible>(root(&written))).unwrap_err();
    assert!(matches!(error, SnapshotError::RootMismatch { .. }));
    let assembler = forged(&made, &[]).0;
    assert!(matches!(assembler.finish(|| Err("disk")), Err(SnapshotError::Recompute { .. })));
}

#[test]
fn pairs_out_of_order_or_too_large_make_no_snapshot() {
    let mut chunker = Chunker::new();
    chunker.push(vec![2], vec![]).unwrap();
    assert_eq!(chunker.push(vec![2], vec![]), Err(SnapshotError::NotSorted { index: 1 }));
    assert_eq!(chunker.push(vec![1], vec![]), Err(SnapshotError::NotSorted { index: 1 }));
    assert!(matches!(chunker.push(vec![3], vec![0; MAX_CHUNK_BYTES]), Err(SnapshotError::TooLarge { .. })));
    chunker.push(vec![3], vec![0; MAX_CHUNK_BYTES - 13]).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_state_survives_the_way(sizes in proptest::collection::vec(0_usize..400_000, 0..20)) {
        let state: BTreeMap<_, _> = sizes.iter().zip(0_u32..).map(|(&size, n)| (n.to_be_bytes().to_vec(), vec![7; size])).collect();
        let made = make(&state);
        let mut assembler = made.assembler();
        let mut written = BTreeMap::new();
        for (index, chunk) in made.chunks.iter().enumerate() {
            prop_assert!(chunk.bytes.len() <= MAX_CHUNK_BYTES);
            written.extend(assembler.on_chunk(index, &chunk.bytes).unwrap());
        }
        prop_assert!(assembler.finish(|| Ok::<_, Infallible>(root(&written))).is_ok());
        prop_assert_eq!(written, state);
    }
}
