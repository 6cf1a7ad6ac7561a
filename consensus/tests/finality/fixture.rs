//! Validators, blocks, votes and certificates to test with.

use mesh30k_consensus::finality::{FinalTip, SignedHeader};
use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::finality::{Certificate, Commitment, Phase, SignedVote, Validator, ValidatorSet, Vote};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{AccountId, ChainId, Epoch, Hash, Height, NodeId, Round, TimeMs};

/// Time of the block at height 1; later ones follow every `BLOCK_MS`.
pub(crate) const START_MS: u64 = 1_000_000;
pub(crate) const BLOCK_MS: u64 = 20;

/// A chain's validators with their keys. Validator numbers run from 1.
pub(crate) struct Fixture {
    pub(crate) context: ChainContext,
    pub(crate) set: ValidatorSet,
    pub(crate) keys: Vec<SecretKey>,
}

/// A block and what executing it gives.
#[derive(Clone)]
pub(crate) struct Executed {
    pub(crate) block: Block,
    pub(crate) commitment: Commitment,
}

impl Executed {
    pub(crate) fn signed_header(&self) -> SignedHeader {
        SignedHeader::of(&self.block)
    }

    pub(crate) fn height(&self) -> Height {
        self.block.header.height
    }
}

impl Fixture {
    pub(crate) fn new(validators: usize) -> Self {
        let context = ChainContext { chain: ChainId::new("test").unwrap(), genesis: Hash::of(b"genesis") };
        let keys: Vec<SecretKey> =
            (1..=validators).map(|n| SecretKey::from_seed([u8::try_from(n).unwrap(); 32])).collect();
        let seats = keys.iter().zip(1_u64..).map(|(key, n)| Validator {
            node: NodeId(n),
            key: key.public(),
            account: AccountId([u8::try_from(n).unwrap(); 20]),
        });
        Self { context, set: ValidatorSet(seats.collect()), keys }
    }

    pub(crate) fn key(&self, node: NodeId) -> &SecretKey {
        &self.keys[usize::try_from(node.0).unwrap() - 1]
    }

    pub(crate) fn genesis_tip(&self) -> FinalTip {
        FinalTip {
            height: Height(0),
            block: self.context.genesis,
            commitment: Hash::ZERO,
            time: TimeMs(START_MS - BLOCK_MS),
        }
    }

    /// Some validator but the proposer, term and time of which the caller chose, on any parent.
    pub(crate) fn block(&self, height: u64, parent: Hash, time_ms: u64, term: u64, proposer: u64) -> Block {
        let header = Header {
            chain: self.context.chain,
            epoch: Epoch(0),
            round: Round(0),
            height: Height(height),
            parent,
            tx_root: Hash::ZERO,
            parent_state_root: Hash::of(&(height - 1).to_le_bytes()),
            next_validators_hash: self.set.hash(),
            time: TimeMs(time_ms),
            term,
            proposer: NodeId(proposer),
            reset: None,
        };
        Block::sign(header, Vec::new(), &self.context, self.key(NodeId(proposer)))
    }

    /// A chain of `length` blocks from height 1.
    pub(crate) fn chain(&self, length: u64) -> Vec<Executed> {
        let mut parent = self.context.genesis;
        let mut chain = Vec::new();
        for height in 1..=length {
            let block = self.block(height, parent, START_MS + (height - 1) * BLOCK_MS, 1, 1);
            parent = block.id();
            chain.push(Executed { block, commitment: commitment(height, 0) });
        }
        chain
    }

    pub(crate) fn vote(&self, node: u64, executed: &Executed) -> SignedVote {
        let header = &executed.block.header;
        let vote = Vote {
            phase: Phase::First,
            context: self.context,
            epoch: header.epoch,
            round: header.round,
            height: header.height,
            block: header.id(),
            parent: header.parent,
            commitment: executed.commitment.hash(),
            lock: None,
            validator: NodeId(node),
        };
        vote.sign(self.key(NodeId(node)))
    }

    pub(crate) fn certificate(&self, nodes: &[u64], executed: &Executed) -> Certificate {
        let votes: Vec<SignedVote> = nodes.iter().map(|&node| self.vote(node, executed)).collect();
        Certificate::assemble(&votes).unwrap()
    }
}

/// A result of executing a height; another `salt` is another result.
pub(crate) fn commitment(height: u64, salt: u8) -> Commitment {
    let part = |name: u8| Hash::of(&[&height.to_le_bytes()[..], &[salt, name]].concat());
    Commitment { state_root: part(1), outcomes_root: part(2), blocks_root: part(3) }
}
