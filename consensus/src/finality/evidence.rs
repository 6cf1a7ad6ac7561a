//! Proof of misbehaviour, checkable by whoever knows the validator set.

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::codec::{self, CodecError};
use mesh30k_ledger::finality::{Certificate, Commitment, SignedVote, ValidatorSet};
use mesh30k_ledger::keys::{self, Signature};
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{Height, NodeId};

use super::suspects::HeaderKey;
use super::vote_book::Subject;

/// Largest encoded evidence, bytes: two certificates of the largest validator set fit many times.
pub const MAX_EVIDENCE_BYTES: usize = 64 * 1024;

/// A header with its proposer's signature: what a block carries without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedHeader {
    /// The header.
    pub header: Header,
    /// Signature of `header.proposer`.
    pub signature: Signature,
}

impl SignedHeader {
    /// That of a block.
    pub fn of(block: &Block) -> Self {
        Self { header: block.header, signature: block.proposer_signature }
    }
}

/// What somebody did wrong, with everything needed to check it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Evidence {
    /// E1: two different votes of one validator for one (phase, epoch, round, height).
    DoubleVote {
        /// One vote.
        first: SignedVote,
        /// The other.
        second: SignedVote,
    },
    /// E6: two different headers of one proposer for one (epoch, round, term, height).
    DoubleHeader {
        /// One header.
        first: SignedHeader,
        /// The other.
        second: SignedHeader,
    },
    /// E5: a vote for a block with a commitment that re-execution gives differently.
    RefutedVote {
        /// The vote.
        vote: SignedVote,
        /// What the reporter computed.
        own: Commitment,
    },
    /// D1: a certificate over a block or a commitment that the reporter's execution refutes.
    RefutedCertificate {
        /// The certificate.
        certificate: Certificate,
        /// Header the reporter holds at that height.
        header: Header,
        /// What the reporter computed; `None` if its execution refused the block.
        own: Option<Commitment>,
    },
    /// D4: two valid certificates for different things at one height.
    ConflictingFinals {
        /// One certificate.
        first: Certificate,
        /// The other.
        second: Certificate,
    },
    /// D2: votes of one height so divided that none can reach the quorum.
    NoQuorum {
        /// One vote each.
        votes: Vec<SignedVote>,
    },
}

/// How far a piece of evidence goes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The signatures alone prove it.
    Complete,
    /// Signatures are sound; who is right shows only by executing the block again. No penalty
    /// before two independent re-executions, since memory errors happen.
    NeedsExecution,
}

/// The outcome of checking evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Validators it speaks against.
    pub culprits: Vec<NodeId>,
    /// How far it goes.
    pub proof: Proof,
}

/// Why evidence is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// A signature or certificate does not check.
    #[error("evidence refused: {what} is not valid in this validator set")]
    Unsigned {
        /// Which part.
        what: &'static str,
    },
    /// The two things are not for the same key.
    #[error("evidence refused: {what} are not about the same validator and height")]
    Unrelated {
        /// Which parts.
        what: &'static str,
    },
    /// The two things do not contradict one another.
    #[error("evidence refused: {what} do not contradict one another")]
    NoContradiction {
        /// Which parts.
        what: &'static str,
    },
}

impl Evidence {
    /// The pairs of votes it shows of which only one may be given: two certificates of one place hold two votes of everybody in both.
    #[must_use]
    pub fn double_votes(&self) -> Vec<(SignedVote, SignedVote)> {
        match self {
            Self::DoubleVote { first, second } => vec![(*first, *second)],
            Self::ConflictingFinals { first, second } => {
                let place = |one: &Certificate| (one.phase, one.epoch, one.round, one.height);
                let of = |one: &Certificate, node: NodeId| {
                    let found = one.signatures.iter().find(|signature| signature.node == node)?;
                    Some(SignedVote { vote: one.vote_of(node), signature: found.signature })
                };
                let nodes = first.signatures.iter().map(|one| one.node).filter(|_| place(first) == place(second));
                nodes.filter_map(|node| Some((of(first, node)?, of(second, node)?))).collect()
            }
            Self::DoubleHeader { .. }
            | Self::RefutedVote { .. }
            | Self::RefutedCertificate { .. }
            | Self::NoQuorum { .. } => Vec::new(),
        }
    }

    /// Height it is about.
    pub fn height(&self) -> Height {
        match self {
            Self::DoubleVote { first, .. } => first.vote.height,
            Self::DoubleHeader { first, .. } => first.header.height,
            Self::RefutedVote { vote, .. } => vote.vote.height,
            Self::RefutedCertificate { certificate, .. } => Subject::of_certificate(certificate).height,
            Self::ConflictingFinals { first, .. } => Subject::of_certificate(first).height,
            Self::NoQuorum { votes } => votes.first().map_or(Height(0), |vote| vote.vote.height),
        }
    }

    /// Canonical bytes, for files and the wire.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Strict decoding, at most `MAX_EVIDENCE_BYTES`. Checks no signature: call `verify`.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, MAX_EVIDENCE_BYTES)
    }

    /// Checks the evidence by itself and says against whom it speaks.
    pub fn verify(&self, set: &ValidatorSet, context: &ChainContext) -> Result<Finding, EvidenceError> {
        match self {
            Self::DoubleVote { first, second } => double_vote(first, second, set, context),
            Self::DoubleHeader { first, second } => double_header(first, second, set, context),
            Self::RefutedVote { vote, own } => {
                signed_vote(vote, set, context)?;
                contradiction(vote.vote.commitment != own.hash(), "the vote and the re-execution")?;
                Ok(Finding { culprits: vec![vote.vote.validator], proof: Proof::NeedsExecution })
            }
            Self::RefutedCertificate { certificate, header, own } => {
                let subject = certified(certificate, set, context)?;
                related(subject.height == header.height, "the certificate and the header")?;
                let differs =
                    subject.block != header.id() || own.as_ref().map(Commitment::hash) != Some(subject.commitment);
                contradiction(differs, "the certificate and the re-execution")?;
                Ok(Finding { culprits: Vec::new(), proof: Proof::NeedsExecution })
            }
            Self::ConflictingFinals { first, second } => conflicting_finals(first, second, set, context),
            Self::NoQuorum { votes } => no_quorum(votes, set, context),
        }
    }
}

fn double_vote(
    first: &SignedVote,
    second: &SignedVote,
    set: &ValidatorSet,
    context: &ChainContext,
) -> Result<Finding, EvidenceError> {
    const WHAT: &str = "the two votes";
    signed_vote(first, set, context)?;
    signed_vote(second, set, context)?;
    let (one, other) = (Subject::of_vote(&first.vote), Subject::of_vote(&second.vote));
    related(first.vote.validator == second.vote.validator && one.key() == other.key(), WHAT)?;
    contradiction(one != other, WHAT)?;
    Ok(Finding { culprits: vec![first.vote.validator], proof: Proof::Complete })
}

fn double_header(
    first: &SignedHeader,
    second: &SignedHeader,
    set: &ValidatorSet,
    context: &ChainContext,
) -> Result<Finding, EvidenceError> {
    const WHAT: &str = "the two headers";
    signed_header(first, set, context)?;
    signed_header(second, set, context)?;
    related(header_key(&first.header) == header_key(&second.header), WHAT)?;
    contradiction(first.header != second.header, WHAT)?;
    Ok(Finding { culprits: vec![first.header.proposer], proof: Proof::Complete })
}

fn conflicting_finals(
    first: &Certificate,
    second: &Certificate,
    set: &ValidatorSet,
    context: &ChainContext,
) -> Result<Finding, EvidenceError> {
    const WHAT: &str = "the two certificates";
    let one = certified(first, set, context)?;
    let other = certified(second, set, context)?;
    related(one.height == other.height, WHAT)?;
    contradiction(one.block != other.block || one.commitment != other.commitment, WHAT)?;
    // Who signed both in one round is convicted; across rounds (level 2) nobody is by this alone.
    let signers: BTreeSet<NodeId> = first.signatures.iter().map(|one| one.node).collect();
    let same_round = one.key() == other.key();
    let both = second.signatures.iter().map(|one| one.node);
    let both = both.filter(|node| same_round && signers.contains(node)).collect();
    Ok(Finding { culprits: both, proof: Proof::Complete })
}

fn no_quorum(votes: &[SignedVote], set: &ValidatorSet, context: &ChainContext) -> Result<Finding, EvidenceError> {
    const WHAT: &str = "the votes";
    let mut voters = BTreeSet::new();
    let mut subjects = Vec::new();
    for vote in votes {
        signed_vote(vote, set, context)?;
        related(voters.insert(vote.vote.validator), WHAT)?;
        subjects.push(Subject::of_vote(&vote.vote));
    }
    related(subjects.windows(2).all(|pair| matches!(pair, [a, b] if a.key() == b.key())), WHAT)?;
    let most = subjects.iter().map(|subject| subjects.iter().filter(|other| *other == subject).count()).max();
    let silent = set.len().saturating_sub(votes.len());
    contradiction(most.unwrap_or(0).saturating_add(silent) < set.quorum(), WHAT)?;
    Ok(Finding { culprits: Vec::new(), proof: Proof::NeedsExecution })
}

/// Checks that a validator of the set signed the vote, for this chain.
pub(super) fn signed_vote(
    signed: &SignedVote,
    set: &ValidatorSet,
    context: &ChainContext,
) -> Result<(), EvidenceError> {
    let validator = set.get(signed.vote.validator).filter(|_| signed.vote.context == *context);
    let sound = validator.is_some_and(|validator| signed.is_signed_by(&validator.key));
    sound.then_some(()).ok_or(EvidenceError::Unsigned { what: "a vote" })
}

/// Checks that its proposer, a validator of the set, signed the header, for this chain.
pub(super) fn signed_header(
    signed: &SignedHeader,
    set: &ValidatorSet,
    context: &ChainContext,
) -> Result<(), EvidenceError> {
    let proposer = set.get(signed.header.proposer).filter(|_| signed.header.chain == context.chain);
    let message = signed.header.signing_hash(context);
    let sound = proposer.is_some_and(|proposer| keys::verify(&proposer.key, message.as_bytes(), &signed.signature));
    sound.then_some(()).ok_or(EvidenceError::Unsigned { what: "a header" })
}

fn certified(certificate: &Certificate, set: &ValidatorSet, context: &ChainContext) -> Result<Subject, EvidenceError> {
    certificate.verify(set, context).map_err(|_| EvidenceError::Unsigned { what: "a certificate" })?;
    Ok(Subject::of_certificate(certificate))
}

fn related(holds: bool, what: &'static str) -> Result<(), EvidenceError> {
    holds.then_some(()).ok_or(EvidenceError::Unrelated { what })
}

fn contradiction(holds: bool, what: &'static str) -> Result<(), EvidenceError> {
    holds.then_some(()).ok_or(EvidenceError::NoContradiction { what })
}

/// What a proposer may propose once only.
pub(super) fn header_key(header: &Header) -> HeaderKey {
    (header.height, header.epoch, header.round, header.term, header.proposer)
}
