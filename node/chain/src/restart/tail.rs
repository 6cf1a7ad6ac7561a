//! Which blocks above the base may be final somewhere, and therefore stay.

use std::collections::BTreeMap;

use mesh30k_ledger::block::Block;
use mesh30k_ledger::finality::{Certificate, SignedVote};
use mesh30k_ledger::types::{Hash, Height};

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

/// Votes of this height that the statements tell of: in their tails, and in the certificates of their last final blocks' voters.
fn votes_at(statements: &[SignedStatement], height: Height) -> Vec<SignedVote> {
    let tails = statements.iter().flat_map(|one| &one.statement.tail);
    tails.map(|tail| tail.vote).filter(|vote| vote.vote.height == height).collect()
}
