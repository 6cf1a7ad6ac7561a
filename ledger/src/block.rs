//! Blocks: a header that is voted on, and the transactions its root names.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::codec::encode;
use crate::keys::{PublicKey, SecretKey, Signature, verify};
use crate::merkle;
use crate::signing::{ChainContext, Domain, signing_hash};
use crate::transaction::{Digester, SignedTransaction};
use crate::types::{BlockId, ChainId, Epoch, Hash, Height, NodeId, Round, TimeMs};

/// Transactions in one block, at most.
pub const MAX_TRANSACTIONS: usize = 1_000;
/// Bytes of one encoded block, at most; a Raft entry carries it whole.
pub const MAX_BLOCK_BYTES: usize = 4 * 1_024 * 1_024;

/// What validators vote on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Header {
    /// Its chain.
    pub chain: ChainId,
    /// The validator set that certifies it.
    pub epoch: Epoch,
    /// Counts resets.
    pub round: Round,
    /// Its position.
    pub height: Height,
    /// The block before it; the genesis hash for height 1.
    pub parent: BlockId,
    /// Merkle root of the encoded transactions, see [`Block::transactions_root`].
    pub tx_root: Hash,
    /// State root after the parent: what this block is executed on.
    pub parent_state_root: Hash,
    /// Hash of the validator set of the next block.
    pub next_validators_hash: Hash,
    /// Block time, later than the parent's.
    pub time: TimeMs,
    /// Raft term of the leader that proposed it.
    pub term: u64,
    /// Who proposed it.
    pub proposer: NodeId,
    /// Hash of the reset certificate, in the first block of a round above 0.
    pub reset: Option<Hash>,
}

impl Header {
    /// The block's name.
    #[must_use]
    pub fn id(&self) -> BlockId {
        Hash::derive("mesh30k block id v1", &[&encode(self)])
    }

    /// What the proposer signs.
    #[must_use]
    pub fn signing_hash(&self, context: &ChainContext) -> Hash {
        signing_hash(Domain::Header, context, &encode(self))
    }
}

/// A header with its transactions and the proposer's signature.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Block {
    /// What is voted on.
    pub header: Header,
    /// In the order of execution.
    pub transactions: Vec<SignedTransaction>,
    /// By the validator key of the proposer, over the header.
    pub proposer_signature: Signature,
}

impl Block {
    /// Signs a header over these transactions; sets its `tx_root`.
    #[must_use]
    pub fn sign(
        mut header: Header,
        transactions: Vec<SignedTransaction>,
        context: &ChainContext,
        key: &SecretKey,
    ) -> Self {
        header.tx_root = Self::transactions_root(&transactions);
        let proposer_signature = key.sign(header.signing_hash(context).as_bytes());
        Self { header, transactions, proposer_signature }
    }

    /// The block's name.
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.header.id()
    }

    /// Merkle root over the hashes of the encoded transactions.
    #[must_use]
    pub fn transactions_root(transactions: &[SignedTransaction]) -> Hash {
        let mut digester = Digester::new();
        let leaves: Vec<Hash> = transactions.iter().map(|signed| digester.digests(signed).leaf).collect();
        merkle::root(&leaves)
    }

    /// Whether this key signed the header for this chain.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey, context: &ChainContext) -> bool {
        let message = self.header.signing_hash(context);
        verify(key, message.as_bytes(), &self.proposer_signature)
    }
}
