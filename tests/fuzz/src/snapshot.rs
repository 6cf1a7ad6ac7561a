//! Tables of contents of snapshots, and their chunks.

use mesh30k_consensus::finality::snapshot::{
    Assembler, ChunkInfo, MAX_CHUNK_BYTES, MAX_MANIFEST_BYTES, Manifest, Pair,
};
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::restore::restore;
use mesh30k_ledger::types::{Hash, Height};

use crate::strict::strict;
use crate::world::CERTIFIED;

/// The genuine manifest, over these chunks: the list is the sender's word, no certificate covers it.
pub fn genuine(chunks: Vec<ChunkInfo>) -> Manifest {
    Manifest {
        chain: CERTIFIED.world.context.chain,
        genesis: CERTIFIED.world.context.genesis,
        header: CERTIFIED.block.header,
        certificate: CERTIFIED.certificate.clone(),
        commitment: CERTIFIED.execution.commitment,
        validators: CERTIFIED.world.genesis.validators.clone(),
        chunks,
    }
}

/// The line of a chunk in a manifest.
pub fn info(bytes: &[u8]) -> ChunkInfo {
    ChunkInfo { hash: Hash(*blake3::hash(bytes).as_bytes()), bytes: u32::try_from(bytes.len()).expect("it is small") }
}

/// A manifest: whichever holds is of the certified block.
pub fn manifest(bytes: &[u8]) {
    let Some(manifest) = strict::<Manifest>(bytes, MAX_MANIFEST_BYTES) else {
        assert!(Manifest::decode(bytes).is_err());
        return;
    };
    assert_eq!(manifest.encode(), bytes);
    let (context, set) = (&CERTIFIED.world.context, &CERTIFIED.world.genesis.validators);
    let chunks = manifest.chunks.len();
    if let Ok(verified) = manifest.verify(context, set, Height(0)) {
        assert_eq!(verified.tip().block, CERTIFIED.block.id());
        assert_eq!(Assembler::new(verified).missing(usize::MAX).len(), chunks);
    }
}

/// A chunk whose line in the manifest is right: its pairs are in order and are exactly its bytes, or it stays missing. What it holds
/// is put together as far as it goes.
pub fn chunk(bytes: &[u8]) {
    if bytes.len() > MAX_CHUNK_BYTES {
        return;
    }
    let (context, set) = (&CERTIFIED.world.context, &CERTIFIED.world.genesis.validators);
    let manifest = genuine(vec![info(bytes)]);
    let verified = manifest.verify(context, set, Height(0)).expect("the manifest is genuine");
    let mut assembler = Assembler::new(verified);
    let Ok(pairs) = assembler.on_chunk(0, bytes) else {
        assert_eq!(assembler.missing(2), [0], "a refused chunk stays missing");
        return;
    };
    assert_eq!(encode(&pairs), bytes);
    assert!(pairs.is_sorted_by(|(a, _): &Pair, (b, _)| a < b), "keys do not rise");
    assert!(assembler.on_chunk(0, bytes).is_err() || pairs.is_empty(), "a chunk is taken once");
    let Ok(restored) = restore(pairs, &CERTIFIED.block.header) else { return };
    let certified = CERTIFIED.execution.commitment.state_root;
    let finished = assembler.finish(|| Ok::<_, String>(restored.state_root));
    assert_eq!(finished.is_ok(), restored.state_root == certified, "{finished:?}");
}
