//! The envelope around every mesh message.

use super::{Extensions, Hlc, MessageId};
use crate::time::MeshTimeUs;
use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::codec::{self, CodecError};
use mesh30k_ledger::keys::{self, PublicKey, SecretKey, Signature};
use mesh30k_ledger::signing::{ChainContext, Domain, signing_hash};
use mesh30k_ledger::types::Hash;
use serde::{Deserialize, Serialize};

/// The protocol version this build writes.
pub const PROTOCOL_VERSION: u16 = 1;
/// The protocol versions this build reads.
pub const PROTOCOL_VERSIONS_KNOWN: &[u16] = &[PROTOCOL_VERSION];
/// Most bytes of an encoded envelope: 1 MiB. Larger things are fetched by their hash.
pub const MAX_ENVELOPE_BYTES: usize = 1 << 20;
/// Most bytes of a body: room is left for the header, the signature and every extension at its limit.
pub const MAX_BODY_BYTES: usize = MAX_ENVELOPE_BYTES - (128 << 10);
/// Version number of the answer that lists the versions known; it must never change.
const VERSIONS_ANSWER: u16 = 0;
/// Most versions an answer may list.
const MAX_VERSIONS: usize = 32;

/// Priority of a message; when a queue is full the lowest goes first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, BorshSerialize, BorshDeserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// 0: may be dropped without harm.
    Background,
    /// 1: ordinary traffic.
    Normal,
    /// 2: what a deadline hangs on.
    High,
    /// 3: freezes, thaws and what keeps the mesh together.
    Critical,
}

/// A mesh message: what everybody on its way needs to judge it, and a body for its receiver.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Envelope {
    /// Protocol version, first in every version's encoding.
    pub version: u16,
    /// Digest of the chain the message belongs to, see [`context_digest`].
    pub chain: Hash,
    /// Id of this message; duplicates are dropped by it.
    pub id: MessageId,
    /// Id of the message that opened the conversation; its own id in the first message.
    pub correlation: MessageId,
    /// Id of the message this one answers or follows from.
    pub causation: Option<MessageId>,
    /// The sender's hybrid logical time.
    pub hlc: Hlc,
    /// Mesh time after which the message is void.
    pub expires: MeshTimeUs,
    /// Priority in queues.
    pub priority: Priority,
    /// Room to grow.
    pub extensions: Extensions,
    /// The message itself, in the encoding of its lane.
    pub body: Vec<u8>,
    /// Signature of whoever answers for a message that is relayed or outlives its link.
    pub signature: Option<EnvelopeSignature>,
}

/// Who signed an envelope, and the signature over all its other fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct EnvelopeSignature {
    /// The signer's key.
    pub key: PublicKey,
    /// Over the signing hash of the envelope with no signature.
    pub signature: Signature,
}

/// What the bytes of a link hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message of a version this build knows.
    Message(Box<Envelope>),
    /// The peer does not know our version and lists those it knows. Not to be answered.
    VersionsKnown(Vec<u16>),
}

/// Why a message was refused, in the order in which it is checked.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Larger than any message may be.
    #[error("message has {bytes} bytes, limit is {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// Too short to hold a version.
    #[error("message has {bytes} bytes, too few to name its version")]
    NoVersion {
        /// Its size.
        bytes: usize,
    },
    /// A version this build does not know; answer with [`Frame::versions_answer`].
    #[error("message has protocol version {version}, known are {PROTOCOL_VERSIONS_KNOWN:?}")]
    UnknownVersion {
        /// The version it names.
        version: u16,
    },
    /// Not the canonical bytes of an envelope.
    #[error("message is not a canonical envelope")]
    Codec(#[from] CodecError),
    /// It belongs to another chain.
    #[error("message is for chain context {found}, this node is on {expected}")]
    WrongChain {
        /// What it names.
        found: Hash,
        /// What this node is on.
        expected: Hash,
    },
    /// Its time is over.
    #[error("message expired {late_us} us ago")]
    Expired {
        /// How long ago.
        late_us: i64,
    },
    /// It must be signed and is not.
    #[error("message {id} is not signed")]
    Unsigned {
        /// Which message.
        id: MessageId,
    },
    /// The signature does not hold.
    #[error("message {id} has a bad signature by key {key}")]
    BadSignature {
        /// Which message.
        id: MessageId,
        /// The key it names.
        key: PublicKey,
    },
}

/// Digest that names a chain (its id and genesis) in envelopes.
#[must_use]
pub fn context_digest(context: &ChainContext) -> Hash {
    Hash::derive("mesh30k envelope chain v1", &[&codec::encode(context)])
}

impl Frame {
    /// Reads a frame: size, version, canonical bytes, in this order.
    ///
    /// # Errors
    /// [`WireError::TooLarge`], [`WireError::NoVersion`], [`WireError::UnknownVersion`], [`WireError::Codec`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > MAX_ENVELOPE_BYTES {
            return Err(WireError::TooLarge { bytes: bytes.len(), limit: MAX_ENVELOPE_BYTES });
        }
        let Some((head, rest)) = bytes.split_first_chunk::<2>() else {
            return Err(WireError::NoVersion { bytes: bytes.len() });
        };
        match u16::from_le_bytes(*head) {
            PROTOCOL_VERSION => Ok(Self::Message(Box::new(codec::decode(bytes, MAX_ENVELOPE_BYTES)?))),
            VERSIONS_ANSWER => {
                Ok(Self::VersionsKnown(codec::decode(rest, MAX_VERSIONS.saturating_mul(2).saturating_add(4))?))
            }
            version => Err(WireError::UnknownVersion { version }),
        }
    }

    /// The answer to a message of an unknown version: the versions this build knows, in bytes that never change.
    #[must_use]
    pub fn versions_answer() -> Vec<u8> {
        let mut bytes = VERSIONS_ANSWER.to_le_bytes().to_vec();
        bytes.extend(codec::encode(&PROTOCOL_VERSIONS_KNOWN.to_vec()));
        bytes
    }
}

impl Envelope {
    /// An unsigned message of this build's version that opens a conversation.
    #[must_use]
    pub const fn new(
        chain: Hash,
        id: MessageId,
        hlc: Hlc,
        expires: MeshTimeUs,
        priority: Priority,
        body: Vec<u8>,
    ) -> Self {
        Self {
            version: PROTOCOL_VERSION,
            chain,
            id,
            correlation: id,
            causation: None,
            hlc,
            expires,
            priority,
            extensions: Extensions::new(),
            body,
            signature: None,
        }
    }

    /// This message as the answer to (or consequence of) `cause`.
    #[must_use]
    pub fn in_reply_to(mut self, cause: &Self) -> Self {
        self.correlation = cause.correlation;
        self.causation = Some(cause.id);
        self
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// [`WireError::TooLarge`] when nobody would accept them.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let bytes = codec::encode(self);
        if bytes.len() > MAX_ENVELOPE_BYTES {
            return Err(WireError::TooLarge { bytes: bytes.len(), limit: MAX_ENVELOPE_BYTES });
        }
        Ok(bytes)
    }

    /// Checks what is cheap to check before anything is done for a message: its chain and its expiry.
    ///
    /// # Errors
    /// [`WireError::WrongChain`], [`WireError::Expired`].
    pub fn check(&self, chain: Hash, now: MeshTimeUs) -> Result<(), WireError> {
        if self.chain != chain {
            return Err(WireError::WrongChain { found: self.chain, expected: chain });
        }
        if self.expires <= now {
            return Err(WireError::Expired { late_us: now.since_us(self.expires) });
        }
        Ok(())
    }

    /// Signs the message for `domain`, replacing any signature.
    #[must_use]
    pub fn sign(mut self, domain: Domain, context: &ChainContext, secret: &SecretKey) -> Self {
        self.signature = None;
        let hash = signing_hash(domain, context, &codec::encode(&self));
        self.signature = Some(EnvelopeSignature { key: secret.public(), signature: secret.sign(&hash.0) });
        self
    }

    /// The key that signed this message for `domain`. Whether that key may say this is for the caller to judge.
    ///
    /// # Errors
    /// [`WireError::Unsigned`], [`WireError::BadSignature`].
    pub fn signer(&self, domain: Domain, context: &ChainContext) -> Result<PublicKey, WireError> {
        let Some(EnvelopeSignature { key, signature }) = self.signature else {
            return Err(WireError::Unsigned { id: self.id });
        };
        let unsigned = Self { signature: None, ..self.clone() };
        let hash = signing_hash(domain, context, &codec::encode(&unsigned));
        if !keys::verify(&key, &hash.0, &signature) {
            return Err(WireError::BadSignature { id: self.id, key });
        }
        Ok(key)
    }
}
