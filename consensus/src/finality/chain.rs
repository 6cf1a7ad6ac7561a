//! A validator's view of the chain: from ordered and executed to final.

mod action;
mod admission;

use std::collections::{BTreeMap, VecDeque};

use mesh30k_ledger::block::Header;
use mesh30k_ledger::finality::{Certificate, Commitment, Phase, SignedVote, Vote};
use mesh30k_ledger::types::{Hash, Height, NodeId, TimeMs};

pub use action::{ChainAction, ChainError, TrackerConfig, VoteAnswer};

use super::evidence::{Evidence, SignedHeader};
use super::halt::{HaltCause, HaltLatch, HaltReport};
use super::mistake::Mistake;
use super::refusals::Refusals;
use super::retry::Retry;
use super::suspects::Suspects;
use super::tip::FinalTip;
use super::vote_book::{Added, Subject, VoteBook, votes_of};

/// Most blocks that may be executed and not final (rule S3).
pub const MAX_UNFINAL: usize = 64;
/// Heights above the final tip for which votes and certificates are kept.
pub const VOTE_WINDOW: u64 = 64;
/// Final heights for which votes and certificates are kept, to answer peers and to notice late
/// double votes.
pub const RECENT_FINALS: usize = 64;
/// A vote waits while its block's time is further ahead of the local clock than this, ms.
pub const MAX_AHEAD_MS: u64 = 2_000;
/// Heights asked for at one time.
pub const REQUEST_HEIGHTS: usize = 32;

#[derive(Clone, Debug)]
struct Unfinal {
    position: u64,
    header: Header,
    block: Hash,
    commitment: Commitment,
    asked: bool,
}

#[derive(Clone, Debug)]
struct Final {
    height: Height,
    block: Hash,
    commitment: Commitment,
    certificate: Certificate,
}

/// Follows ordered blocks, votes for them in order, and finds out when they are final.
///
/// Signatures are verified *here*, after the cheap checks and never twice: callers hand in what came
/// from the network as it is. Level 1: safe with at most f liars; a divergence halts.
#[derive(Debug)]
pub struct ChainTracker {
    config: TrackerConfig,
    /// Equal votes that make a certificate.
    quorum: usize,
    tip: FinalTip,
    unfinal: VecDeque<Unfinal>,
    recent: VecDeque<Final>,
    book: VoteBook,
    certificates: BTreeMap<Height, Certificate>,
    suspects: Suspects,
    refusals: Refusals,
    retry: Retry,
    voting: bool,
    halt: HaltLatch,
    applied: u64,
    /// Ordered blocks that would extend the chain but which execution refused: if one is certified
    /// all the same, this node diverged. Unfinal heights only.
    refused: BTreeMap<Height, Header>,
}

impl ChainTracker {
    /// A tracker on the last final block. After a restart the Raft log brings the unfinal blocks
    /// again; their votes are asked for again and the sign-log allows the identical ones.
    pub fn new(config: TrackerConfig, tip: FinalTip) -> Self {
        let voting = config.own.is_some_and(|own| config.validators.get(own).is_some());
        let suspects = Suspects::new(config.validators.len());
        let quorum = config.validators.quorum();
        Self {
            config,
            quorum,
            tip,
            unfinal: VecDeque::new(),
            recent: VecDeque::new(),
            book: VoteBook::default(),
            certificates: BTreeMap::new(),
            suspects,
            refusals: Refusals::default(),
            retry: Retry::votes(),
            voting,
            halt: HaltLatch::default(),
            applied: 0,
            refused: BTreeMap::new(),
        }
    }

    /// Plants a mistake; for tests of the checks.
    pub fn plant(&mut self, mistake: Mistake) {
        if mistake == Mistake::SmallQuorum {
            self.quorum = self.config.validators.len().div_ceil(3);
        }
    }

    /// Resumes a halt that was written before a restart.
    pub fn resume_halt(&mut self, report: HaltReport) {
        self.halt.latch(report);
    }

    /// A block was ordered, re-verified and executed here: it extends the last executed one.
    pub fn on_executed(
        &mut self,
        now: TimeMs,
        position: u64,
        signed: SignedHeader,
        commitment: Commitment,
    ) -> Result<Vec<ChainAction>, ChainError> {
        if self.halt.is_halted() {
            return Err(ChainError::Halted);
        }
        if !self.has_room() {
            return Err(ChainError::TooDeep { depth: self.unfinal.len() });
        }
        let header = signed.header;
        let height = header.height;
        if (header.epoch, header.round) != (self.config.epoch, self.config.round) {
            return Err(ChainError::OtherRound { height, epoch: header.epoch, round: header.round });
        }
        let (tip_height, tip) = self.executed_tip();
        if height != tip_height.next() || header.parent != tip {
            return Err(ChainError::NotExtending { height, parent: header.parent, tip_height, tip });
        }
        self.applied = self.applied.max(position);
        if self.unfinal.is_empty() {
            self.retry.restart(now);
        }
        let block = header.id();
        self.unfinal.push_back(Unfinal { position, header, block, commitment, asked: false });
        let mut actions = self.watch_header(now, signed, true);
        actions.extend(self.advance(now));
        Ok(actions)
    }

    /// An ordered entry that changed nothing. Its header, if it has one, may be evidence.
    pub fn on_noop(&mut self, now: TimeMs, position: u64, signed: Option<SignedHeader>) -> Vec<ChainAction> {
        self.applied = self.applied.max(position);
        let Some(signed) = signed.filter(|_| !self.halt.is_halted()) else { return Vec::new() };
        let (height, tip) = self.executed_tip();
        if signed.header.parent == tip && signed.header.height == height.next() {
            self.refused.insert(signed.header.height, signed.header);
        }
        let mut actions = self.watch_header(now, signed, false);
        if !self.halt.is_halted() {
            actions.extend(self.advance(now));
        }
        actions
    }

    /// The caller recorded and signed a vote that `SignAndSendVote` asked for.
    pub fn on_signed(&mut self, now: TimeMs, vote: SignedVote) -> Vec<ChainAction> {
        let asked = self.unfinal.iter().find(|block| block.header.height == vote.vote.height);
        let ours = asked.is_some_and(|block| block.asked && self.vote_for(block).as_ref() == Some(&vote.vote));
        if self.halt.is_halted() || !ours {
            return Vec::new();
        }
        self.book.add(vote);
        self.advance(now)
    }

    /// The sign-log refused: this validator follows without voting until it is made anew.
    pub fn stop_voting(&mut self) {
        self.voting = false;
    }

    /// A vote arrived from peer `from`, whose it need not be.
    pub fn on_vote(&mut self, now: TimeMs, from: NodeId, signed: SignedVote) -> Vec<ChainAction> {
        if self.halt.is_halted() {
            return Vec::new();
        }
        match self.admit_vote(&signed) {
            Ok(None) => {}
            Ok(Some(first)) => return self.on_double_vote(now, *first, signed),
            Err(refusal) => {
                self.refusals.count(from, refusal);
                return Vec::new();
            }
        }
        let vote = signed.vote;
        let height = vote.height;
        let mut actions = Vec::new();
        if Some(vote.validator) == self.config.own {
            actions.push(ChainAction::OwnVoteSeen { vote });
        }
        self.book.add(signed);
        if height <= self.tip.height {
            actions.extend(self.report_refuted(height));
        }
        actions.extend(self.advance(now));
        actions
    }

    /// A certificate arrived from peer `from`.
    pub fn on_certificate(&mut self, now: TimeMs, from: NodeId, certificate: Certificate) -> Vec<ChainAction> {
        if self.halt.is_halted() {
            return Vec::new();
        }
        let subject = Subject::of_certificate(&certificate);
        let known = self.certificate_at(subject.height);
        let conflict = match self.admit_certificate(&certificate, known) {
            Ok(conflict) => conflict,
            Err(refusal) => {
                self.refusals.count(from, refusal);
                return Vec::new();
            }
        };
        let mut actions = Vec::new();
        if let Some(first) = conflict {
            let evidence = Evidence::ConflictingFinals { first, second: certificate };
            actions.extend(self.halt(now, HaltCause::ConflictingFinals, subject.height, vec![evidence]));
            return actions;
        }
        for signed in votes_of(&certificate) {
            match self.book.compare(&signed.vote) {
                Added::Duplicate => {}
                Added::New => {
                    if Some(signed.vote.validator) == self.config.own {
                        actions.push(ChainAction::OwnVoteSeen { vote: signed.vote });
                    }
                    self.book.add(signed);
                }
                Added::Conflict(first) => actions.extend(self.on_double_vote(now, *first, signed)),
            }
        }
        if !self.halt.is_halted() {
            self.certificates.insert(subject.height, certificate);
            actions.extend(self.advance(now));
        }
        actions
    }

    /// Time went on: releases votes that waited for their block's time, asks again for lost votes.
    pub fn tick(&mut self, now: TimeMs) -> Vec<ChainAction> {
        if self.halt.is_halted() {
            return Vec::new();
        }
        let mut actions = self.advance(now);
        if let Some(attempt) = (!self.unfinal.is_empty()).then(|| self.retry.due(now)).flatten() {
            let heights = self.unfinal.iter().take(REQUEST_HEIGHTS).map(|block| block.header.height);
            actions.extend(heights.map(|height| ChainAction::RequestVotes { height, attempt }));
        }
        actions
    }

    /// When `tick` has something to do by itself.
    pub fn next_wakeup(&self) -> Option<TimeMs> {
        if self.halt.is_halted() {
            return None;
        }
        let retry = (!self.unfinal.is_empty()).then(|| self.retry.next());
        let delayed = self.unfinal.iter().find(|block| self.voting && !block.asked);
        let delayed = delayed.map(|block| TimeMs(block.header.time.0.saturating_sub(MAX_AHEAD_MS)));
        retry.into_iter().chain(delayed).min()
    }

    /// What to answer a peer's request for votes.
    pub fn answer(&self, height: Height) -> VoteAnswer {
        match self.certificate_at(height) {
            Some(certificate) => VoteAnswer::Certificate(Box::new(certificate.clone())),
            None => VoteAnswer::Votes(self.book.at(height).copied().collect()),
        }
    }

    /// Last final block.
    pub fn tip(&self) -> &FinalTip {
        &self.tip
    }

    /// Height and id of the last executed block, final or not.
    pub fn executed_tip(&self) -> (Height, Hash) {
        self.unfinal.back().map_or((self.tip.height, self.tip.block), |last| (last.header.height, last.block))
    }

    /// Executed blocks that are not final.
    pub fn unfinal(&self) -> usize {
        self.unfinal.len()
    }

    /// Whether another block may be executed.
    pub fn has_room(&self) -> bool {
        self.unfinal.len() < MAX_UNFINAL
    }

    /// Highest Raft log index applied through this tracker.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// Whether this node votes.
    pub fn is_voting(&self) -> bool {
        self.voting && !self.halt.is_halted()
    }

    /// Whether a certificate for this height is known here.
    pub fn is_certified(&self, height: Height) -> bool {
        self.certificate_at(height).is_some()
    }

    /// The report, once halted.
    pub fn halted(&self) -> Option<&HaltReport> {
        self.halt.report()
    }

    /// What was refused, by peer and reason.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    fn advance(&mut self, now: TimeMs) -> Vec<ChainAction> {
        let mut actions = Vec::new();
        while let Some(front) = self.unfinal.front() {
            let Some(certificate) = self.certificate_for(front.header.height) else { break };
            let subject = Subject::of_certificate(&certificate);
            if subject.block != front.block || subject.commitment != front.commitment.hash() {
                let evidence =
                    Evidence::RefutedCertificate { certificate, header: front.header, own: Some(front.commitment) };
                actions.extend(self.halt(now, HaltCause::ExecutionDiverged, subject.height, vec![evidence]));
                return actions;
            }
            // Somebody else's certificate: this node is behind and asks on at once.
            if self.certificates.contains_key(&subject.height) {
                self.retry.follow_up(now);
            } else {
                self.retry.restart(now);
            }
            actions.extend(self.finalize(certificate));
        }
        if let Some(evidence) = self.refused_but_certified() {
            let height = evidence.height();
            actions.extend(self.halt(now, HaltCause::ExecutionDiverged, height, vec![evidence]));
            return actions;
        }
        if let Some(height) = self.unfinal.front().map(|front| front.header.height)
            && self.book.is_hopeless(height, &self.config.validators)
        {
            let mut evidence = vec![Evidence::NoQuorum { votes: self.book.at(height).copied().collect() }];
            evidence.extend_from_slice(self.suspects.proofs());
            actions.extend(self.halt(now, HaltCause::NoQuorum, height, evidence));
            return actions;
        }
        actions.extend(self.due_votes(now));
        actions
    }

    fn finalize(&mut self, certificate: Certificate) -> Vec<ChainAction> {
        let Some(front) = self.unfinal.pop_front() else { return Vec::new() };
        let height = front.header.height;
        self.tip = FinalTip::of(&front.header, &certificate);
        self.recent.push_back(Final {
            height,
            block: front.block,
            commitment: front.commitment,
            certificate: certificate.clone(),
        });
        if self.recent.len() > RECENT_FINALS {
            self.recent.pop_front();
        }
        self.certificates = self.certificates.split_off(&self.tip.height.next());
        self.refused = self.refused.split_off(&self.tip.height.next());
        let mut actions = vec![ChainAction::Finalize { height, position: front.position, certificate }];
        actions.extend(self.report_refuted(height));
        let oldest = self.recent.front().map_or(height, |oldest| oldest.height);
        self.book.prune_below(oldest);
        self.suspects.prune_below(oldest);
        actions
    }

    /// Only while nothing was executed at that height: otherwise `advance` compares.
    fn refused_but_certified(&self) -> Option<Evidence> {
        let height = self.tip.height.next();
        let header = self.refused.get(&height).filter(|_| self.unfinal.is_empty())?;
        let certificate = self.certificate_for(height)?;
        let same = Subject::of_certificate(&certificate).block == header.id();
        same.then_some(Evidence::RefutedCertificate { certificate, header: *header, own: None })
    }

    /// Votes go out strictly in order: for a block whose parent this validator voted for, or which
    /// became final without its vote.
    fn due_votes(&mut self, now: TimeMs) -> Vec<ChainAction> {
        let mut actions = Vec::new();
        if !self.voting {
            return actions;
        }
        for index in 0..self.unfinal.len() {
            let Some(block) = self.unfinal.get(index) else { break };
            if block.asked {
                continue;
            }
            if block.header.time > now.plus_ms(MAX_AHEAD_MS) {
                break;
            }
            actions.extend(self.vote_for(block).map(|vote| ChainAction::SignAndSendVote { vote }));
            if let Some(block) = self.unfinal.get_mut(index) {
                block.asked = true;
            }
        }
        actions
    }

    fn vote_for(&self, block: &Unfinal) -> Option<Vote> {
        Some(Vote {
            phase: Phase::First,
            context: self.config.context,
            epoch: block.header.epoch,
            round: block.header.round,
            height: block.header.height,
            block: block.block,
            parent: block.header.parent,
            commitment: block.commitment.hash(),
            lock: None,
            validator: self.config.own?,
        })
    }
}
