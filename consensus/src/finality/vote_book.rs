//! Votes by height: at most one per validator, in a bounded window.

use std::collections::BTreeMap;

use mesh30k_ledger::finality::{Certificate, Lock, SignedVote, ValidatorSet, Vote};
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{Hash, Height, NodeId};

use super::sign_log::VoteKey;

/// Everything equal votes agree in: a vote without its validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    key: VoteKey,
    /// Height voted on.
    pub height: Height,
    /// Block voted for.
    pub block: Hash,
    /// Its parent.
    pub parent: Hash,
    /// State, outcomes and history after it.
    pub commitment: Hash,
    lock: Option<Lock>,
    context: ChainContext,
}

impl Subject {
    /// What a vote is about.
    pub fn of_vote(vote: &Vote) -> Self {
        Self {
            key: VoteKey::of(vote),
            height: vote.height,
            block: vote.block,
            parent: vote.parent,
            commitment: vote.commitment,
            lock: vote.lock,
            context: vote.context,
        }
    }

    /// What a certificate is about.
    pub fn of_certificate(certificate: &Certificate) -> Self {
        Self::of_vote(&certificate.vote_of(NodeId(0)))
    }

    /// What a validator may vote on once.
    pub fn key(&self) -> VoteKey {
        self.key
    }
}

/// Outcome of adding a vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It counts.
    New,
    /// The same vote was there.
    Duplicate,
    /// The validator had voted differently; the first vote keeps counting.
    Conflict(Box<SignedVote>),
}

/// Votes of one epoch and round. Holds what it is given: whoever adds has verified.
#[derive(Clone, Debug, Default)]
pub struct VoteBook {
    heights: BTreeMap<Height, BTreeMap<NodeId, SignedVote>>,
}

impl VoteBook {
    /// Compares with what is known of this validator at this height, without adding.
    pub fn compare(&self, vote: &Vote) -> Added {
        match self.get(vote.height, vote.validator) {
            None => Added::New,
            Some(known) if Subject::of_vote(&known.vote) == Subject::of_vote(vote) => Added::Duplicate,
            Some(known) => Added::Conflict(Box::new(*known)),
        }
    }

    /// Adds a vote unless its validator already has one at that height.
    pub fn add(&mut self, vote: SignedVote) -> Added {
        let outcome = self.compare(&vote.vote);
        if outcome == Added::New {
            self.heights.entry(vote.vote.height).or_default().insert(vote.vote.validator, vote);
        }
        outcome
    }

    /// The vote of a validator.
    pub fn get(&self, height: Height, validator: NodeId) -> Option<&SignedVote> {
        self.heights.get(&height)?.get(&validator)
    }

    /// All votes at a height.
    pub fn at(&self, height: Height) -> impl Iterator<Item = &SignedVote> {
        self.heights.get(&height).into_iter().flat_map(BTreeMap::values)
    }

    /// At least `quorum` equal votes at a height, if there are.
    pub fn quorum(&self, height: Height, quorum: usize) -> Option<Vec<SignedVote>> {
        self.at(height).find_map(|candidate| {
            let equal: Vec<SignedVote> = self.equal_to(candidate).copied().collect();
            (equal.len() >= quorum).then_some(equal)
        })
    }

    /// Whether the votes at a height are so divided that no further vote can make a quorum.
    pub fn is_hopeless(&self, height: Height, set: &ValidatorSet) -> bool {
        let voted = self.at(height).count();
        let most = self.at(height).map(|vote| self.equal_to(vote).count()).max().unwrap_or(0);
        most.saturating_add(set.len().saturating_sub(voted)) < set.quorum()
    }

    /// Forgets everything below a height.
    pub fn prune_below(&mut self, height: Height) {
        self.heights = self.heights.split_off(&height);
    }

    /// Number of votes held.
    pub fn len(&self) -> usize {
        self.heights.values().map(BTreeMap::len).sum()
    }

    /// Whether no vote is held.
    pub fn is_empty(&self) -> bool {
        self.heights.is_empty()
    }

    fn equal_to<'a>(&'a self, vote: &SignedVote) -> impl Iterator<Item = &'a SignedVote> {
        let subject = Subject::of_vote(&vote.vote);
        self.at(vote.vote.height).filter(move |other| Subject::of_vote(&other.vote) == subject)
    }
}

/// The votes that a certificate joins.
pub(super) fn votes_of(certificate: &Certificate) -> Vec<SignedVote> {
    let signatures = certificate.signatures.iter();
    let vote = |node| certificate.vote_of(node);
    signatures.map(|one| SignedVote { vote: vote(one.node), signature: one.signature }).collect()
}
