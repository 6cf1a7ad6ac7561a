//! What a tracker lets in, and what it does when it finds misbehaviour.

use mesh30k_ledger::finality::{Certificate, Phase, SignedVote};
use mesh30k_ledger::types::{Epoch, Height, NodeId, Round, TimeMs};

use super::{ChainAction, ChainTracker, Final, VOTE_WINDOW};
use crate::finality::evidence::{self, Evidence, SignedHeader};
use crate::finality::halt::{HaltCause, HaltContext, HaltReport};
use crate::finality::refusals::Refusal;
use crate::finality::suspects::Offence;
use crate::finality::vote_book::{Added, Subject};

impl ChainTracker {
    /// Cheap checks first, the signature last. `Some` is the earlier vote that this one contradicts.
    pub(super) fn admit_vote(&self, signed: &SignedVote) -> Result<Option<Box<SignedVote>>, Refusal> {
        let vote = &signed.vote;
        self.admit_place(vote.phase, vote.epoch, vote.round, vote.height)?;
        if self.config.validators.get(vote.validator).is_none() {
            return Err(Refusal::UnknownValidator);
        }
        let outcome = self.book.compare(vote);
        if outcome == Added::Duplicate {
            return Err(Refusal::Duplicate);
        }
        evidence::signed_vote(signed, &self.config.validators, &self.config.context)
            .map_err(|_| Refusal::BadSignature)?;
        Ok(match outcome {
            Added::Conflict(first) => Some(first),
            Added::New | Added::Duplicate => None,
        })
    }

    /// `Some` is the earlier certificate that this one contradicts.
    pub(super) fn admit_certificate(
        &self,
        certificate: &Certificate,
        known: Option<&Certificate>,
    ) -> Result<Option<Certificate>, Refusal> {
        let subject = Subject::of_certificate(certificate);
        let key = subject.key();
        self.admit_place(key.phase, key.epoch, key.round, key.height)?;
        let earlier = known.map(Subject::of_certificate);
        if earlier.as_ref() == Some(&subject) {
            return Err(Refusal::Duplicate);
        }
        certificate.verify(&self.config.validators, &self.config.context).map_err(|_| Refusal::BadCertificate)?;
        Ok(known.cloned())
    }

    fn admit_place(&self, phase: Phase, epoch: Epoch, round: Round, height: Height) -> Result<(), Refusal> {
        if phase != Phase::First || (epoch, round) != (self.config.epoch, self.config.round) {
            return Err(Refusal::OtherRound);
        }
        let oldest = self.recent.front().map_or(self.tip.height.next(), |oldest| oldest.height);
        if height < oldest {
            return Err(Refusal::Stale);
        }
        if height.0 > self.tip.height.0.saturating_add(VOTE_WINDOW) {
            return Err(Refusal::TooFarAhead);
        }
        Ok(())
    }

    /// The certificate known for a height.
    pub(super) fn certificate_at(&self, height: Height) -> Option<&Certificate> {
        let recent = self.recent.iter().find(|one| one.height == height).map(|one| &one.certificate);
        recent.or_else(|| self.certificates.get(&height))
    }

    /// The certificate known for a height, or the one its votes make.
    pub(super) fn certificate_for(&self, height: Height) -> Option<Certificate> {
        let assembled = || {
            let votes = self.book.quorum(height, self.quorum)?;
            Certificate::assemble(&votes).ok()
        };
        self.certificates.get(&height).cloned().or_else(assembled)
    }

    pub(super) fn on_double_vote(&mut self, now: TimeMs, first: SignedVote, second: SignedVote) -> Vec<ChainAction> {
        let (validator, vote) = (second.vote.validator, second.vote);
        let mut actions = Vec::new();
        if Some(validator) == self.config.own {
            actions.push(ChainAction::OwnVoteSeen { vote });
        }
        let evidence = Evidence::DoubleVote { first, second };
        actions.extend(self.convict(now, validator, Offence::DoubleVote, evidence));
        actions
    }

    /// Notices a second header of one proposer. `verified`: the application has checked the
    /// signature already, as it does for every block it executes.
    pub(super) fn watch_header(&mut self, now: TimeMs, signed: SignedHeader, verified: bool) -> Vec<ChainAction> {
        let (proposer, height) = (signed.header.proposer, signed.header.height);
        let near = height.0.abs_diff(self.tip.height.0) <= VOTE_WINDOW;
        let sound = || evidence::signed_header(&signed, &self.config.validators, &self.config.context).is_ok();
        if !near || !(verified || sound()) {
            return Vec::new();
        }
        match self.suspects.watch(signed) {
            Some(first) => {
                let evidence = Evidence::DoubleHeader { first, second: signed };
                self.convict(now, proposer, Offence::DoubleHeader, evidence)
            }
            None => Vec::new(),
        }
    }

    /// Votes at a final height that name the certified block with another result (E5).
    pub(super) fn report_refuted(&mut self, height: Height) -> Vec<ChainAction> {
        let Some(known) = self.recent.iter().find(|one| one.height == height) else { return Vec::new() };
        let Final { block, commitment, .. } = known;
        let expected = commitment.hash();
        let mut actions = Vec::new();
        for vote in self.book.at(height) {
            let refuted = vote.vote.block == *block && vote.vote.commitment != expected;
            if refuted && self.suspects.note(vote.vote.validator, Offence::RefutedVote) {
                let evidence = Evidence::RefutedVote { vote: *vote, own: *commitment };
                actions.push(ChainAction::Report { evidence: Box::new(evidence) });
            }
        }
        actions
    }

    /// One offender is reported and the chain goes on; so many as could fork it halt it.
    fn convict(&mut self, now: TimeMs, node: NodeId, offence: Offence, evidence: Evidence) -> Vec<ChainAction> {
        let height = evidence.height();
        if !self.suspects.convict(node, offence, evidence.clone()) {
            return Vec::new();
        }
        let mut actions = vec![ChainAction::Report { evidence: Box::new(evidence) }];
        if self.suspects.too_many() {
            let proofs = self.suspects.proofs().to_vec();
            actions.extend(self.halt(now, HaltCause::TooManyOffenders, height, proofs));
        }
        actions
    }

    pub(super) fn halt(
        &mut self,
        now: TimeMs,
        cause: HaltCause,
        height: Height,
        evidence: Vec<Evidence>,
    ) -> Option<ChainAction> {
        let (set, context) = (&self.config.validators, &self.config.context);
        let mut culprits: Vec<NodeId> = Vec::new();
        for finding in evidence.iter().filter_map(|one| one.verify(set, context).ok()) {
            culprits.extend(finding.culprits);
        }
        culprits.sort_unstable();
        culprits.dedup();
        let at = HaltContext { context, last_final: (self.tip.height, self.tip.block), reporter: self.config.own, now };
        let report = HaltReport::new(cause, height, culprits, &evidence, &at);
        self.halt.latch(report.clone()).then(|| ChainAction::Halt { report: Box::new(report) })
    }
}
