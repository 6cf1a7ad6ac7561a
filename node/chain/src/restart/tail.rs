//! Which blocks above the base may be final somewhere, and therefore stay; and which a node lacks below it.

use std::collections::BTreeMap;

use mesh30k_ledger::block::Block;
use mesh30k_ledger::finality::{Certificate, SignedVote};
use mesh30k_ledger::types::{BlockId, Hash, Height};

use super::statement::SignedStatement;

/// The blocks that go on above `base`, each with the votes that the statements hold for it; fewer than a certificate needs, the
/// operators' signatures stand for the rest.
///
/// Every block that was ever certified is among them, as long as there are `voters - quorum + 1` statements: each certificate has
/// one of them among its voters, and the log that reaches furthest holds what any of them had ordered. A block is left out, with
/// all after it, where the votes are so divided that it cannot have been certified.
///
/// # Errors
/// The height at which two different things may have been certified: nobody can say which.
pub(super) fn kept(
    statements: &[SignedStatement],
    base: Height,
    voters: usize,
    quorum: usize,
) -> Result<Vec<(Block, Certificate)>, Height> {
    let furthest = statements.iter().map(|one| &one.statement).max_by_key(|one| (one.log_end, one.node));
    let Some(furthest) = furthest else { return Ok(Vec::new()) };
    let mut kept = Vec::new();
    for tail in furthest.tail.iter().filter(|tail| tail.block.header.height > base) {
        let height = tail.block.header.height;
        let mut votes: BTreeMap<(Hash, Hash), Vec<SignedVote>> = BTreeMap::new();
        for vote in votes_at(statements, height) {
            votes.entry((vote.vote.block, vote.vote.commitment)).or_default().push(vote);
        }
        let all: usize = votes.values().map(Vec::len).sum();
        let mut possible = votes.into_iter().filter(|(_, own)| voters.saturating_sub(all - own.len()) >= quorum);
        let Some(((block, _), own)) = possible.next() else { break };
        if possible.next().is_some() || block != tail.block.id() {
            return Err(height);
        }
        let certificate = Certificate::assemble(&own).map_err(|_| height)?;
        kept.push((tail.block.clone(), certificate));
    }
    Ok(kept)
}

/// The blocks after a node's own last final one up to the base, for a node that halted before it was told that they are final: it
/// takes no certificate any more, but whoever was as far behind has said what its log held. `None` where no statement holds one.
///
/// The base's certificate vouches for all of them. Those between carry the votes that most statements agree on.
pub(super) fn lacking(
    statements: &[SignedStatement],
    own: (Height, Hash),
    base: &Certificate,
) -> Option<Vec<(Block, Certificate)>> {
    let (mut found, mut wanted) = (Vec::new(), base.block);
    for height in (own.0.next().0..=base.height.0).rev().map(Height) {
        let mut tails = statements.iter().flat_map(|one| &one.statement.tail);
        let block = &tails.find(|tail| tail.block.header.height == height && tail.block.id() == wanted)?.block;
        let certificate = if height == base.height { base.clone() } else { most_agree(statements, height, wanted)? };
        wanted = block.header.parent;
        found.push((block.clone(), certificate));
    }
    found.reverse();
    (wanted == own.1).then_some(found)
}

fn most_agree(statements: &[SignedStatement], height: Height, block: BlockId) -> Option<Certificate> {
    let mut votes: BTreeMap<Hash, Vec<SignedVote>> = BTreeMap::new();
    for vote in votes_at(statements, height).into_iter().filter(|vote| vote.vote.block == block) {
        votes.entry(vote.vote.commitment).or_default().push(vote);
    }
    Certificate::assemble(&votes.into_values().max_by_key(Vec::len)?).ok()
}

/// Votes of this height that the statements tell of: in their tails, and in the certificates of their last final blocks' voters.
fn votes_at(statements: &[SignedStatement], height: Height) -> Vec<SignedVote> {
    let tails = statements.iter().flat_map(|one| &one.statement.tail);
    tails.map(|tail| tail.vote).filter(|vote| vote.vote.height == height).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mesh30k_ledger::block::Header;
    use mesh30k_ledger::finality::{Phase, Vote};
    use mesh30k_ledger::keys::{SecretKey, Signature};
    use mesh30k_ledger::signing::ChainContext;
    use mesh30k_ledger::types::{ChainId, Epoch, NodeId, Round, TimeMs};
    use proptest::prelude::*;

    use super::super::statement::{Statement, TailBlock};
    use super::*;

    const BASE: Height = Height(9);

    fn context() -> ChainContext {
        ChainContext { chain: ChainId::new("tail").unwrap(), genesis: Hash::of(b"genesis") }
    }

    fn block(height: u64) -> Block {
        block_on(height, Hash::of(&height.to_be_bytes()))
    }

    fn block_on(height: u64, parent: Hash) -> Block {
        let context = context();
        let header = Header {
            chain: context.chain,
            epoch: Epoch(0),
            round: Round(0),
            height: Height(height),
            parent,
            tx_root: Hash::ZERO,
            parent_state_root: Hash::ZERO,
            next_validators_hash: Hash::ZERO,
            time: TimeMs(height),
            term: 1,
            proposer: NodeId(1),
            reset: None,
        };
        Block::sign(header, Vec::new(), &context, &SecretKey::from_seed([1; 32]))
    }

    /// One node's vote for a result of a block; what a signature says is not looked at here.
    fn vote(node: u64, block: &Block, result: u8) -> SignedVote {
        let Header { epoch, round, height, parent, .. } = block.header;
        let vote = Vote {
            phase: Phase::First,
            context: context(),
            epoch,
            round,
            height,
            block: block.id(),
            parent,
            commitment: Hash::of(&[result]),
            lock: None,
            validator: NodeId(node),
        };
        SignedVote { vote, signature: Signature([0; 64]) }
    }

    fn certificate() -> Certificate {
        Certificate::assemble(&[vote(1, &block(BASE.0), 0)]).unwrap()
    }

    /// A node whose log holds as many blocks above the base as it has results.
    fn says(node: u64, results: &[u8]) -> SignedStatement {
        let tail = (BASE.0 + 1..).zip(results).map(|(height, result)| {
            let block = block(height);
            TailBlock { vote: vote(node, &block, *result), block }
        });
        let statement = Statement {
            context: context(),
            node: NodeId(node),
            epoch: Epoch(0),
            round: Round(0),
            last_final: certificate(),
            log_end: (1, results.len() as u64),
            tail: tail.collect(),
        };
        SignedStatement { statement, signature: Signature([0; 64]) }
    }

    fn kept_of(statements: &[SignedStatement], voters: usize) -> Result<Vec<(u64, Hash)>, Height> {
        let quorum = (voters * 2).div_ceil(3);
        let kept = kept(statements, BASE, voters, quorum)?;
        Ok(kept.into_iter().map(|(block, own)| (block.header.height.0, own.commitment)).collect())
    }

    #[test]
    fn what_may_be_final_stays_and_what_cannot_be_goes() {
        let (a, height) = (Hash::of(&[0]), BASE.0 + 1);
        assert_eq!(kept_of(&[says(1, &[0]), says(2, &[])], 4), Ok(vec![(height, a)]), "the lost two may have voted");
        assert_eq!(kept_of(&[says(1, &[0, 0]), says(2, &[0])], 4), Ok(vec![(height, a), (height + 1, a)]));
        let divided = [says(1, &[0, 0]), says(2, &[0, 0]), says(3, &[1, 0]), says(4, &[1, 0])];
        assert_eq!(kept_of(&divided, 4), Ok(vec![]), "and nothing after it stays");
        assert_eq!(kept_of(&[says(1, &[0]), says(2, &[1])], 4), Err(Height(height)), "either may be final");
        assert_eq!(kept_of(&divided[..3], 4), Ok(vec![(height, a), (height + 1, a)]));
    }

    #[test]
    fn a_node_that_lacks_blocks_below_the_base_takes_them_from_who_was_as_far_behind() {
        let own = Hash::of(b"final here");
        let (first, second) = (block_on(6, own), block_on(7, block_on(6, own).id()));
        let base = Certificate::assemble(&[1, 2, 3].map(|node| vote(node, &second, 0))).unwrap();
        // One was told that both are final, one lacks the second, one both, and one of those executed the first wrongly.
        let tail = |node: u64, blocks: &[&Block], result: u8| {
            let mut one = says(node, &[]);
            let own = |block: &&Block| TailBlock { block: (*block).clone(), vote: vote(node, block, result) };
            one.statement.tail = blocks.iter().map(own).collect();
            one
        };
        let told = [
            tail(1, &[], 0),
            tail(2, &[&second], 0),
            tail(3, &[&first, &second], 0),
            tail(4, &[&first, &second], 1),
            tail(5, &[&first, &second], 0),
        ];
        let found = lacking(&told, (Height(5), own), &base).unwrap();
        let blocks: Vec<_> = found.iter().map(|(block, certificate)| (block.clone(), certificate.commitment)).collect();
        assert_eq!(blocks, [(first.clone(), Hash::of(&[0])), (second, base.commitment)]);
        assert_eq!(found[1].1, base, "the last one has its certificate");
        assert!(lacking(&told, (Height(6), first.id()), &base).unwrap().len() == 1);
        assert_eq!(lacking(&told, (Height(5), Hash::of(b"another")), &base), None, "it would not follow");
        assert_eq!(lacking(&told[..2], (Height(5), own), &base), None, "nobody holds the first");
    }

    proptest! {
        /// However results and logs differ: what a quorum voted for stays, with that result, or nobody decides because what is
        /// known of a height disagrees.
        #[test]
        fn what_was_certified_is_never_left_out(
            votes in prop::collection::vec(prop::collection::vec(0_u8..3, 0..4), 3..10),
            order in prop::collection::vec(any::<u64>(), 10),
            more in 0_usize..10,
        ) {
            let voters = votes.len();
            let quorum = (voters * 2).div_ceil(3);
            let mut nodes: Vec<usize> = (0..voters).collect();
            nodes.sort_by_key(|node| order[*node]);
            let stated = (voters + 1 - quorum + more).min(voters);
            let statements: Vec<_> =
                nodes[..stated].iter().map(|node| says(*node as u64 + 1, &votes[*node])).collect();
            let outcome = kept_of(&statements, voters);
            for depth in 0..4 {
                let results: BTreeSet<u8> = votes.iter().filter_map(|own| own.get(depth).copied()).collect();
                let certified = results.into_iter().find(|result| {
                    votes.iter().filter(|own| own.get(depth) == Some(result)).count() >= quorum
                });
                // A block is certified only when those below it are, or can be.
                let Some(result) = certified else { break };
                let at = BASE.0 + 1 + depth as u64;
                match &outcome {
                    Ok(kept) => prop_assert_eq!(kept.get(depth), Some(&(at, Hash::of(&[result])))),
                    Err(height) => {
                        let known: BTreeSet<_> = votes_at(&statements, *height).iter().map(|one| one.vote.commitment).collect();
                        prop_assert!(known.len() > 1, "undecided at {}, where all agree", height);
                    }
                }
            }
        }
    }
}
