//! What malicious validators do, with their own keys and everything a member of the group can do.

use mesh30k_ledger::block::Block;
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::finality::{SignedVote, Vote};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::types::{Hash, Height, NodeId};

use super::genesis::{account_of, key, validator_key};
use super::process::Process;

/// A way to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malice {
    /// As leader: two blocks at every height, both ordered.
    TwoBlocks,
    /// As leader: one block for the first half of the others, another for the rest, under one index. Votes for both.
    SplitOrder,
    /// Votes for whatever anybody else could see at a height, too: a second vote with another result.
    VotesTwice,
    /// Votes for a wrong result.
    WrongRoot,
    /// Never votes.
    WithholdsVotes,
    /// As leader: leaves this client's payments out.
    Censors(u64),
    /// As leader: proposes heights again that are final already, under its own term.
    RepeatsHeights,
    /// Sends votes in the names of the others.
    ForgesVotes,
}

/// What it sends instead of its vote.
pub fn votes(malice: Option<Malice>, signed: SignedVote, own: &SecretKey) -> Vec<SignedVote> {
    let lie = |vote: &Vote| Vote { commitment: Hash::of(b"a lie"), ..*vote };
    match malice {
        Some(Malice::WithholdsVotes) => Vec::new(),
        Some(Malice::WrongRoot) => vec![lie(&signed.vote).sign(own)],
        Some(Malice::VotesTwice) => vec![signed, lie(&signed.vote).sign(own)],
        Some(Malice::ForgesVotes) => {
            let others = (1..=4).map(|n| Vote { validator: NodeId(n), ..lie(&signed.vote) });
            others.map(|vote| vote.sign(own)).collect()
        }
        _ => vec![signed],
    }
}

/// What it hands to Raft instead of its block.
pub fn blocks(process: &Process, block: Block) -> Vec<Block> {
    let key = validator_key(process.me.0);
    let context = process.common.genesis.context();
    let resigned = |header| Block::sign(header, block.transactions.clone(), &context, &key);
    let mut later = block.header;
    later.time = later.time.plus_ms(1);
    match process.common.malice_of(process.me) {
        Some(Malice::TwoBlocks) => vec![block.clone(), resigned(later)],
        Some(Malice::SplitOrder) => {
            let others = process.common.others(process.me);
            let half = others.iter().skip(1).map(|node| node.0).collect();
            let second = resigned(later);
            process.common.net.tamper(process.me.0, half, encode(&block), encode(&second));
            vec![block]
        }
        Some(Malice::RepeatsHeights) => {
            let before = Height(block.header.height.0.saturating_sub(2));
            let stored = process.store.block(before).ok().flatten();
            let again = stored.map(|stored| {
                let header = mesh30k_ledger::block::Header {
                    term: block.header.term,
                    proposer: process.me,
                    time: stored.block.header.time.plus_ms(1),
                    ..stored.block.header
                };
                Block::sign(header, stored.block.transactions, &context, &key)
            });
            again.into_iter().chain([block]).collect()
        }
        _ => vec![block],
    }
}

/// Forgets what it does not want to order.
pub fn censor(process: &Process) {
    if let Some(Malice::Censors(client)) = process.common.malice_of(process.me) {
        process.pool.lock().unwrap().advance(&account_of(&key("client", client)), u64::MAX);
    }
}
