//! What goes into a tracker and what comes out.

use mesh30k_ledger::finality::{Certificate, SignedVote, ValidatorSet, Vote};
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{Epoch, Hash, Height, NodeId, Round};

use super::MAX_UNFINAL;
use crate::finality::evidence::Evidence;
use crate::finality::halt::HaltReport;

/// What the caller has to do. In order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainAction {
    /// Record the vote in the sign-log, sign it, give it back by `on_signed`, send it to all
    /// validators. If the sign-log refuses: `stop_voting`.
    SignAndSendVote {
        /// The vote.
        vote: Vote,
    },
    /// Write the block of this height to final state, with its certificate. Heights come in order.
    Finalize {
        /// Height that is final now.
        height: Height,
        /// Raft log index of its entry.
        position: u64,
        /// Proof.
        certificate: Certificate,
    },
    /// Ask the other validators for their votes, or the certificate, of this height.
    RequestVotes {
        /// The height.
        height: Height,
        /// Counts from 0, for choosing peers.
        attempt: u32,
    },
    /// A valid vote of this validator's own key came from outside: compare it with the sign-log
    /// (`SignLog::witness`); if that fails, `stop_voting`.
    OwnVoteSeen {
        /// The vote.
        vote: Vote,
    },
    /// Keep and spread. The chain goes on.
    Report {
        /// Verified evidence.
        evidence: Box<Evidence>,
    },
    /// Stop signing and serving, keep the state, write the report. Nothing follows.
    Halt {
        /// What to write.
        report: Box<HaltReport>,
    },
}

/// Why an ordered block could not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The chain is halted.
    #[error("the chain is halted on this node")]
    Halted,
    /// Too many blocks wait for finality: apply no further entry before the next `Finalize`.
    #[error("{depth} executed blocks are not final yet, the limit is {MAX_UNFINAL}")]
    TooDeep {
        /// Blocks waiting.
        depth: usize,
    },
    /// The block is not the next one; the application should have made it a no-op.
    #[error("block {height} on parent {parent} does not extend block {tip_height} with id {tip}")]
    NotExtending {
        /// Height of the block.
        height: Height,
        /// Parent it names.
        parent: Hash,
        /// Height of the last executed block.
        tip_height: Height,
        /// Its id.
        tip: Hash,
    },
    /// The block belongs to another validator set or round.
    #[error("block {height} is of epoch {epoch}, round {round}, which is not the current one")]
    OtherRound {
        /// Height of the block.
        height: Height,
        /// Its epoch.
        epoch: Epoch,
        /// Its round.
        round: Round,
    },
}

/// What a tracker is made for.
#[derive(Clone, Debug)]
pub struct TrackerConfig {
    /// The chain.
    pub context: ChainContext,
    /// Who votes in this epoch.
    pub validators: ValidatorSet,
    /// The epoch.
    pub epoch: Epoch,
    /// The round.
    pub round: Round,
    /// This node's validator number; `None` follows and never votes.
    pub own: Option<NodeId>,
}

/// What a peer gets that asks for the votes of a height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VoteAnswer {
    /// The height is final.
    Certificate(Box<Certificate>),
    /// The votes known so far; none if the height is out of the window. For an older height the
    /// caller answers with the stored certificate.
    Votes(Vec<SignedVote>),
}
