//! Certified snapshots: state for a newcomer that trusts the validator set and nobody else.
//!
//! The chunk hashes in a manifest are the sender's word; they only decide early whom to blame. What
//! counts is the state root, recomputed over everything that was written and compared with the
//! certified one. Write chunks to a place of their own and put it in use after `finish`.

mod assembler;
mod chunk;

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::block::Header;
use mesh30k_ledger::codec::{self, CodecError};
use mesh30k_ledger::finality::{Certificate, Commitment, ValidatorSet};
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{ChainId, Hash, Height};

pub use assembler::Assembler;
pub use chunk::{Chunk, ChunkInfo, Chunker, Pair};

use super::tip::FinalTip;
use super::vote_book::Subject;

/// Largest encoded chunk, bytes.
pub const MAX_CHUNK_BYTES: usize = 1 << 20;
/// Most chunks of a snapshot: 4 GiB of state.
pub const MAX_CHUNKS: usize = 4_096;
/// Largest encoded manifest, bytes: `MAX_CHUNKS` entries, the largest validator set, certificates.
pub const MAX_MANIFEST_BYTES: usize = 512 * 1024;

/// What a snapshot consists of and why to believe it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Manifest {
    /// Chain it belongs to.
    pub chain: ChainId,
    /// Genesis hash of that chain.
    pub genesis: Hash,
    /// Header of the block after which the state was taken.
    pub header: Header,
    /// Its certificate.
    pub certificate: Certificate,
    /// The three parts of the certified commitment.
    pub commitment: Commitment,
    /// The set that certified.
    pub validators: ValidatorSet,
    /// The chunks, in key order.
    pub chunks: Vec<ChunkInfo>,
}

/// Why a snapshot was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The manifest's bytes do not decode.
    #[error("snapshot refused: its manifest does not decode")]
    Encoding(#[from] CodecError),
    /// Another chain.
    #[error("snapshot refused: it is of chain {found} with genesis {genesis}, not of this one")]
    WrongChain {
        /// Chain it names.
        found: ChainId,
        /// Genesis it names.
        genesis: Hash,
    },
    /// Not newer than what is here.
    #[error("snapshot refused: its height {height} is not above the own final height {own}")]
    NotAbove {
        /// Its height.
        height: Height,
        /// Final height here.
        own: Height,
    },
    /// Certified by a set this node does not know.
    #[error("snapshot refused: its validator set {found} is not the known one, {known}")]
    UnknownValidators {
        /// Hash of the set in the manifest.
        found: Hash,
        /// Hash of the set known here.
        known: Hash,
    },
    /// The certificate is not valid in that set.
    #[error("snapshot refused: its certificate does not check in the validator set")]
    BadCertificate,
    /// The certificate is for something else.
    #[error("snapshot refused: its certificate is not for its {what}")]
    NotCertified {
        /// The part that differs: header, commitment.
        what: &'static str,
    },
    /// More than this node takes.
    #[error("snapshot refused: {what} is {found}, the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// No such chunk, or one that came already.
    #[error("chunk {index} refused: it was not asked for, the snapshot has {chunks} chunks")]
    NotWanted {
        /// Its number.
        index: usize,
        /// How many there are.
        chunks: usize,
    },
    /// The chunk is not the one in the manifest.
    #[error("chunk {index} refused: its hash is {found}, the manifest says {expected}")]
    ChunkHash {
        /// Its number.
        index: usize,
        /// Hash of the bytes.
        found: Hash,
        /// Hash in the manifest.
        expected: Hash,
    },
    /// The chunk's hash is right, but its content is not sorted pairs following on from its
    /// neighbours: the manifest's author made it so.
    #[error("chunk {index} refused: {what}")]
    ChunkContent {
        /// Its number.
        index: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// Keys came in the wrong order, when making a snapshot.
    #[error("keys of a snapshot have to rise: pair {index} does not")]
    NotSorted {
        /// Number of the pair.
        index: u64,
    },
    /// Not all chunks are there.
    #[error("snapshot incomplete: {missing} of {chunks} chunks are missing")]
    Incomplete {
        /// Chunks missing.
        missing: usize,
        /// All chunks.
        chunks: usize,
    },
    /// The written state is not the certified one.
    #[error("snapshot refused: the state written has root {found}, certified is {certified}")]
    RootMismatch {
        /// Recomputed root.
        found: Hash,
        /// Root in the commitment.
        certified: Hash,
    },
    /// The root could not be recomputed.
    #[error("snapshot refused: the state written cannot be read back: {reason}")]
    Recompute {
        /// What the ledger said.
        reason: String,
    },
}

impl Manifest {
    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Strict decoding, at most `MAX_MANIFEST_BYTES`.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        Ok(codec::decode(bytes, MAX_MANIFEST_BYTES)?)
    }

    /// Height of the state.
    pub fn height(&self) -> Height {
        self.header.height
    }

    /// What the snapshot holds, as a hash: the block, the commitment, the chunks. Two peers that made it after the same block agree on
    /// it even where the votes in their certificates are others'.
    pub fn content(&self) -> Hash {
        let (commitment, chunks) = (codec::encode(&self.commitment), codec::encode(&self.chunks));
        Hash::derive("mesh30k snapshot content v1", &[&self.header.id().0, &commitment, &chunks])
    }

    /// Checks everything but the chunks. `known`: the genesis set, or that of the current epoch;
    /// `own_final`: final height of this node. A validator shows the certificate to its
    /// `ChainTracker` as well, which halts if its own chain has another block at that height.
    pub fn verify(
        self,
        context: &ChainContext,
        known: &ValidatorSet,
        own_final: Height,
    ) -> Result<VerifiedManifest, SnapshotError> {
        if (&self.chain, self.genesis) != (&context.chain, context.genesis) || self.header.chain != context.chain {
            return Err(SnapshotError::WrongChain { found: self.chain, genesis: self.genesis });
        }
        let height = self.height();
        if height <= own_final {
            return Err(SnapshotError::NotAbove { height, own: own_final });
        }
        at_most("number of chunks", self.chunks.len(), MAX_CHUNKS)?;
        for chunk in &self.chunks {
            at_most("size of a chunk", usize::try_from(chunk.bytes).unwrap_or(usize::MAX), MAX_CHUNK_BYTES)?;
        }
        if self.validators != *known {
            let (found, known) = (self.validators.hash(), known.hash());
            return Err(SnapshotError::UnknownValidators { found, known });
        }
        let subject = Subject::of_certificate(&self.certificate);
        if subject.height != height || subject.block != self.header.id() {
            return Err(SnapshotError::NotCertified { what: "header" });
        }
        if subject.commitment != self.commitment.hash() {
            return Err(SnapshotError::NotCertified { what: "commitment" });
        }
        self.certificate.verify(known, context).map_err(|_| SnapshotError::BadCertificate)?;
        Ok(VerifiedManifest(self))
    }
}

/// A manifest whose certificate was checked: only `Manifest::verify` makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedManifest(Manifest);

impl VerifiedManifest {
    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.0
    }

    /// The final block that the snapshot brings.
    pub fn tip(&self) -> FinalTip {
        FinalTip::of(&self.0.header, &self.0.certificate)
    }
}

fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), SnapshotError> {
    if found <= limit {
        return Ok(());
    }
    Err(SnapshotError::TooLarge { what, found: found as u64, limit: limit as u64 })
}
