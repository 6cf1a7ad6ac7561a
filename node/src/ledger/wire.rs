//! What nodes say to each other about the ledger.

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_chain::Succession;
use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::finality::{Certificate, SignedVote};
use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_ledger::types::{Hash, Height, TxId};

/// Blocks in one answer, at most.
pub(crate) const BLOCKS_PER_ANSWER: u64 = 32;
/// Bytes of one answer, at most: below the bound of the sync lane.
pub(crate) const ANSWER_BYTES_MAX: usize = 3 * 1_024 * 1_024;
/// Bytes of a block that travels with its announcement, at most: it has to fit a gossip message.
pub(crate) const ANNOUNCED_BLOCK_BYTES_MAX: usize = 48 * 1_024;
/// Transactions of such a block, at most: the smallest ones take more than the bytes above.
pub(crate) const ANNOUNCED_BLOCK_TRANSACTIONS_MAX: usize = 256;
/// Transactions in one batch to the validators, at most.
pub(crate) const BATCH_TRANSACTIONS_MAX: usize = 256;

/// Gossiped on the topic `block` once a block is final.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Announcement {
    /// Its header.
    pub header: Header,
    /// Why it is final.
    pub certificate: Certificate,
    /// All of it, when it is small.
    pub block: Option<Block>,
}

/// Asked on the lane `sync`.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum SyncRequest {
    /// How far are you?
    Tip,
    /// Final blocks from here to there, both included.
    Blocks {
        /// First height.
        from: Height,
        /// Last height.
        to: Height,
    },
    /// What you know about the finality of this height.
    Votes {
        /// Which.
        height: Height,
    },
    /// A certified snapshot's table of contents.
    Manifest,
    /// A part of the snapshot at this height.
    Chunk {
        /// Height in the manifest.
        height: Height,
        /// Which part.
        index: u32,
    },
    /// Who certifies now, and how that came about.
    Succession,
}

/// Answered on the lane `sync`.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum SyncAnswer {
    /// The last final block.
    Tip {
        /// Its height.
        height: Height,
        /// Its name.
        block: Hash,
    },
    /// Final blocks in order, with their certificates; may be fewer than asked for.
    Blocks(Vec<(Block, Certificate)>),
    /// The certificate of the height.
    Certificate(Certificate),
    /// Votes for the height; it is not final here.
    Votes(Vec<SignedVote>),
    /// A manifest, encoded.
    Manifest(Vec<u8>),
    /// A chunk, encoded.
    Chunk(Vec<u8>),
    /// Not to be had here (any more).
    Nothing,
    /// The chain's hand-overs, with a certificate by those whom they lead to.
    Succession(Box<Succession>),
}

/// Sent on the lane `tx`: as a notice, or as a request where an answer is wanted.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum TxMessage {
    /// To a validator's pool.
    Submit(Vec<SignedTransaction>),
    /// A registration to be sponsored: a newcomer owns nothing. Answered by [`SponsorAnswer`].
    Sponsor(Box<SignedTransaction>),
}

/// A validator's answer to a newcomer.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum SponsorAnswer {
    /// Sponsored and handed in under this name.
    Sponsored(TxId),
    /// Not sponsored, in words.
    Refused(String),
}
