//! Who may certify: the validators of the genesis, and those whom hand-overs lead to from there.

use crate::codec::encode;
use crate::finality::{Certificate, CertificateError, ValidatorSet};
use crate::genesis::Genesis;
use crate::handover::{
    BlockResult, Handover, HandoverError, MAX_HANDOVER_BYTES, MAX_HANDOVERS, RestartTerms, SignedRestartTerms,
    VotedHandover,
};
use crate::keys::verify;
use crate::operators::Operators;
use crate::signing::ChainContext;
use crate::types::{Epoch, Height, Round};

/// What a reader knows who began with the genesis and followed hand-overs.
#[derive(Debug, Clone)]
pub struct Authority {
    context: ChainContext,
    operators: Operators,
    epoch: Epoch,
    round: Round,
    validators: ValidatorSet,
    last: Option<Last>,
}

/// The last hand-over.
#[derive(Debug, Clone)]
struct Last {
    /// The last block before it.
    block: BlockResult,
    /// Who certified until then: theirs are the votes for that block, and for those that an order kept.
    before: ValidatorSet,
    /// Where an order led to it.
    order: Option<RestartTerms>,
}

/// Why a certificate does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant says in its sentence what its fields are")]
pub enum AuthorityError {
    #[error("hand-over {number} does not hold")]
    Handover {
        number: usize,
        #[source]
        source: HandoverError,
    },
    #[error(
        "the certificate is of epoch {epoch}, round {round}; from the genesis, the hand-overs lead to epoch {known_epoch}, \
         round {known_round}"
    )]
    OtherEpoch { epoch: Epoch, round: Round, known_epoch: Epoch, known_round: Round },
    #[error("the certificate is for block {height}, but its validators began after block {last}")]
    BeforeHandover { height: Height, last: Height },
    #[error("the certificate is not valid")]
    Certificate(#[from] CertificateError),
}

impl Authority {
    /// Before any hand-over.
    #[must_use]
    pub fn of(genesis: &Genesis) -> Self {
        Self {
            context: genesis.context(),
            operators: genesis.operators.clone(),
            epoch: Epoch(0),
            round: Round(0),
            validators: genesis.validators.clone(),
            last: None,
        }
    }

    /// After these hand-overs, in order.
    ///
    /// # Errors
    /// The first one that does not hold.
    pub fn led_by(genesis: &Genesis, handovers: &[Handover]) -> Result<Self, AuthorityError> {
        let mut authority = Self::of(genesis);
        if handovers.len() > MAX_HANDOVERS {
            let source = HandoverError::TooMany { found: handovers.len() };
            return Err(AuthorityError::Handover { number: MAX_HANDOVERS, source });
        }
        for (number, handover) in (1..).zip(handovers) {
            authority.pass(handover).map_err(|source| AuthorityError::Handover { number, source })?;
        }
        Ok(authority)
    }

    /// Of which chain.
    #[must_use]
    pub const fn context(&self) -> &ChainContext {
        &self.context
    }

    /// Who certifies now.
    #[must_use]
    pub const fn validators(&self) -> &ValidatorSet {
        &self.validators
    }

    /// Whose votes count now.
    #[must_use]
    pub const fn place(&self) -> (Epoch, Round) {
        (self.epoch, self.round)
    }

    /// Follows one hand-over.
    ///
    /// # Errors
    /// What is wrong with it; nothing has changed then.
    pub fn pass(&mut self, handover: &Handover) -> Result<(), HandoverError> {
        let bytes = encode(handover).len();
        if bytes > MAX_HANDOVER_BYTES {
            return Err(HandoverError::TooLarge { bytes });
        }
        match handover {
            Handover::Restart(signed) => self.pass_restart(signed),
            Handover::Voted(voted) => self.pass_voted(voted),
        }
    }

    /// Whether a certificate counts: it is by the validators of now for a block after the hand-over, or the votes it carries are
    /// for a result that the last order of the operators vouches for by name.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, certificate: &Certificate) -> Result<(), AuthorityError> {
        if let Some(Last { order: Some(terms), before, .. }) = &self.last
            && terms.vouches_for(&BlockResult::of(certificate))
            && (certificate.epoch, certificate.round) != self.place()
        {
            return Ok(certificate.check_signatures(before, &self.context)?);
        }
        let (epoch, round) = (certificate.epoch, certificate.round);
        if (epoch, round) != self.place() {
            let (known_epoch, known_round) = self.place();
            return Err(AuthorityError::OtherEpoch { epoch, round, known_epoch, known_round });
        }
        let last = self.last.as_ref().map_or(Height(0), |last| last.block.height);
        if certificate.height <= last {
            return Err(AuthorityError::BeforeHandover { height: certificate.height, last });
        }
        Ok(certificate.verify(&self.validators, &self.context)?)
    }

    fn pass_restart(&mut self, signed: &SignedRestartTerms) -> Result<(), HandoverError> {
        let terms = &signed.terms;
        if terms.context != self.context {
            return Err(HandoverError::OtherChain { found: terms.context.chain, expected: self.context.chain });
        }
        if let Some(name) = terms.new_chain {
            return Err(HandoverError::NewChain(name));
        }
        if terms.validators.is_empty() || !terms.validators.is_well_formed() {
            return Err(HandoverError::Validators);
        }
        let expected_epoch = if terms.validators == self.validators { self.epoch } else { self.epoch.next() };
        let expected_round = self.round.next();
        if (terms.epoch, terms.round) != (expected_epoch, expected_round) {
            let (epoch, round) = (terms.epoch, terms.round);
            return Err(HandoverError::Sequence { epoch, round, expected_epoch, expected_round });
        }
        self.check_operators(signed)?;
        let base = terms.base.height;
        self.check_base(&terms.base).map_err(|_| HandoverError::Base(base))?;
        // Nothing that an earlier order let stay is undone by a later one.
        if self.last.as_ref().is_some_and(|last| base < last.block.height) {
            return Err(HandoverError::Base(base));
        }
        let mut height = base;
        for stays in &terms.stays {
            height = height.next();
            if stays.height != height {
                return Err(HandoverError::Stays(base));
            }
        }
        let before = std::mem::replace(&mut self.validators, terms.validators.clone());
        (self.epoch, self.round) = (terms.epoch, terms.round);
        self.last = Some(Last { block: terms.last(), before, order: Some(terms.clone()) });
        Ok(())
    }

    /// As [`Self::check`], where the last block of an epoch counts as well: nothing may have followed it yet.
    fn check_base(&self, base: &Certificate) -> Result<(), AuthorityError> {
        match &self.last {
            Some(Last { block, before, order: None }) if *block == BlockResult::of(base) => {
                Ok(base.verify(before, &self.context)?)
            }
            _ => self.check(base),
        }
    }

    fn pass_voted(&mut self, voted: &VotedHandover) -> Result<(), HandoverError> {
        let VotedHandover { header, certificate, validators } = voted;
        let height = header.height;
        if header.chain != self.context.chain {
            return Err(HandoverError::OtherChain { found: header.chain, expected: self.context.chain });
        }
        if validators.is_empty() || !validators.is_well_formed() || *validators == self.validators {
            return Err(HandoverError::Validators);
        }
        let said = (header.id(), header.epoch, header.round, height, header.parent);
        let certified =
            (certificate.block, certificate.epoch, certificate.round, certificate.height, certificate.parent);
        if said != certified || header.next_validators_hash != validators.hash() {
            return Err(HandoverError::NotNamed(height));
        }
        self.check(certificate).map_err(|_| HandoverError::Base(height))?;
        let before = std::mem::replace(&mut self.validators, validators.clone());
        self.epoch = self.epoch.next();
        self.last = Some(Last { block: BlockResult::of(certificate), before, order: None });
        Ok(())
    }

    /// Every signature has to hold, so that a proof has no part that may be changed unnoticed.
    fn check_operators(&self, signed: &SignedRestartTerms) -> Result<(), HandoverError> {
        let (found, threshold) = (signed.signatures.len(), self.operators.threshold);
        if found < usize::from(threshold.max(1)) {
            return Err(HandoverError::TooFewOperators { found, threshold });
        }
        let message = signed.terms.signing_hash();
        let mut last = None;
        for one in &signed.signatures {
            let ascends = last.is_none_or(|last| last < one.key);
            let known = self.operators.keys.contains(&one.key);
            if !ascends || !known || !verify(&one.key, message.as_bytes(), &one.signature) {
                return Err(HandoverError::Signature(one.key));
            }
            last = Some(one.key);
        }
        Ok(())
    }
}
