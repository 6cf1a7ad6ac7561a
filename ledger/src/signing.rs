//! What is signed: a hash under a domain of its own that names chain and genesis.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::codec::encode;
use crate::types::{ChainId, Hash};

/// The chain a signature is meant for.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    std::hash::Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
pub struct ChainContext {
    /// Its name.
    pub chain: ChainId,
    /// Hash of its genesis: chains that share a name still differ here.
    pub genesis: Hash,
}

/// Purposes of signatures; a signature made for one is void for every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Domain {
    Transaction,
    Header,
    Vote,
    TaskReceipt,
    HostBatch,
    Event,
    FoldedAck,
    Summary,
    Freeze,
    Reset,
    StoreHandshake,
    ClockSample,
    Snapshot,
    EventSession,
    Restart,
    RestartStatement,
}

impl Domain {
    /// The BLAKE3 key derivation context. Never edited: a change of meaning is a new version.
    #[must_use]
    pub const fn context(self) -> &'static str {
        match self {
            Self::Transaction => "mesh30k transaction v2",
            Self::Header => "mesh30k header v1",
            Self::Vote => "mesh30k vote v1",
            Self::TaskReceipt => "mesh30k task receipt v1",
            Self::HostBatch => "mesh30k host batch v1",
            Self::Event => "mesh30k event v1",
            Self::FoldedAck => "mesh30k folded ack v1",
            Self::Summary => "mesh30k summary v1",
            Self::Freeze => "mesh30k freeze v1",
            Self::Reset => "mesh30k reset v1",
            Self::StoreHandshake => "mesh30k store handshake v1",
            Self::ClockSample => "mesh30k clock sample v1",
            Self::Snapshot => "mesh30k snapshot v1",
            Self::EventSession => "mesh30k event session v1",
            Self::Restart => "mesh30k restart v2",
            Self::RestartStatement => "mesh30k restart statement v1",
        }
    }
}

/// The hash that is signed for these canonical bytes.
#[must_use]
pub fn signing_hash(domain: Domain, context: &ChainContext, canonical: &[u8]) -> Hash {
    Hash::derive(domain.context(), &[&encode(context), canonical])
}
