//! The order by which operators let a chain go on after a halt, or after a majority of validators was lost.
//!
//! What is signed, by whom, and what a node checks before it obeys. It names the last final block with its certificate, so that
//! nobody has to take the operators' word for the state, only for the decision to go on; and it carries the last words of so many
//! validators that the old round can certify nothing any more, and that whatever it has certified is known to one of them.

mod obey;
mod statement;
mod tail;

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_consensus::finality::{FinalTip, HaltCause};
use mesh30k_ledger::block::Block;
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::finality::{Certificate, ValidatorSet};
use mesh30k_ledger::handover::{BlockResult, Handover, RestartTerms, SignedRestartTerms};
use mesh30k_ledger::keys::{SecretKey, verify};
use mesh30k_ledger::operators::Operators;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::transaction::KeyedSignature;
use mesh30k_ledger::types::{ChainId, Epoch, Hash, Height, Round, TimeMs};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub use obey::{ObeyError, obey};
pub use statement::{SignedStatement, Statement, StatementError, TailBlock, make_statement};

/// Signatures of one order, at most.
pub(crate) const MAX_SIGNATURES: usize = 16;

/// What the operators decide.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Restart {
    /// The chain that stands still.
    pub context: ChainContext,
    /// The final block to go on from, with its certificate.
    pub base: Certificate,
    /// The blocks above it that stay, by the statements; receipts of what is in them rest on this list.
    pub stays: Vec<BlockResult>,
    /// The validator set's number from now on: one more if the set changes, else the same.
    pub epoch: Epoch,
    /// The new round: one more than the last. Rounds never repeat.
    pub round: Round,
    /// A new name, after two conflicting finals or proof against as many as can fork; `None` keeps the old one.
    pub new_chain: Option<ChainId>,
    /// Who votes from now on.
    pub validators: ValidatorSet,
    /// The last words of validators of the old set.
    pub statements: Vec<SignedStatement>,
    /// Void later than this, by the clock of whoever obeys.
    pub valid_until: TimeMs,
}

/// An order with the operators' signatures.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct SignedRestart {
    /// What is ordered.
    pub order: Restart,
    /// By whom.
    pub signatures: Vec<KeyedSignature>,
}

/// What a node knows when it is handed an order.
#[derive(Clone, Copy, Debug)]
pub struct Restartable<'a> {
    /// Its chain.
    pub context: &'a ChainContext,
    /// Its last final block.
    pub tip: FinalTip,
    /// Who votes on the next one.
    pub validators: &'a ValidatorSet,
    /// Who certified the block the order names: others, if it was the last of its epoch.
    pub certifiers: &'a ValidatorSet,
    /// Its epoch and round.
    pub at: (Epoch, Round),
    /// Who may order.
    pub operators: &'a Operators,
    /// Why it stands still, if it halted.
    pub halted: Option<HaltCause>,
    /// Its clock.
    pub now: TimeMs,
}

/// Why an order is not obeyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestartRefused {
    /// For another chain.
    #[error("restart refused: it is for chain {found}, this node follows {own}")]
    OtherChain {
        /// Chain it names.
        found: ChainId,
        /// Chain here.
        own: ChainId,
    },
    /// Too late.
    #[error("restart refused: it was valid until {valid_until} (Unix ms), it is {now}")]
    Expired {
        /// Its end.
        valid_until: u64,
        /// The clock here.
        now: u64,
    },
    /// Too few operators signed.
    #[error("restart refused: {valid} operators signed validly, {threshold} are needed")]
    TooFewOperators {
        /// Distinct valid signatures.
        valid: usize,
        /// How many are needed.
        threshold: u8,
    },
    /// The certificate does not check.
    #[error("restart refused: the certificate of block {height} does not check in the validator set of this node")]
    BadCertificate {
        /// The height it is for.
        height: Height,
    },
    /// It would undo a final block.
    #[error(
        "restart refused: it begins at block {base}, but block {own} is final here; only a new chain may begin lower"
    )]
    Undoes {
        /// Height it names.
        base: Height,
        /// Final height here.
        own: Height,
    },
    /// This node is not there yet.
    #[error(
        "restart refused: it begins at block {base}, final here is only {own}, and its statements do not hold the blocks \
         between; fetch them first"
    )]
    NotReached {
        /// Height it names.
        base: Height,
        /// Final height here.
        own: Height,
    },
    /// It names another block than the final one.
    #[error("restart refused: block {base} of the order is {found}, final here is {own}")]
    OtherBlock {
        /// Height.
        base: Height,
        /// Block it names.
        found: Hash,
        /// Block here.
        own: Hash,
    },
    /// Epoch or round do not follow.
    #[error(
        "restart refused: it orders epoch {epoch}, round {round}; epoch {expected_epoch}, round {expected_round} would follow"
    )]
    Sequence {
        /// Epoch it orders.
        epoch: Epoch,
        /// Round it orders.
        round: Round,
        /// What follows here.
        expected_epoch: Epoch,
        /// What follows here.
        expected_round: Round,
    },
    /// A new chain id where none is due, or none where one is.
    #[error("restart refused: after this halt the chain {}", if *.needed { "needs a new id" } else { "keeps its id" })]
    ChainName {
        /// Whether a new one is due.
        needed: bool,
    },
    /// Too few validators said what they know.
    #[error(
        "restart refused: it carries valid last words of {found} validators of the old set, {needed} are needed; with fewer, a \
         block may be final of which nobody here knows"
    )]
    TooFewStatements {
        /// Valid ones of distinct validators.
        found: usize,
        /// How many it takes.
        needed: usize,
    },
    /// A statement knows of a later final block.
    #[error("restart refused: it begins at block {base}, but block {known} is final by its own statements")]
    NotHighest {
        /// Height it names.
        base: Height,
        /// The highest final one.
        known: Height,
    },
    /// Two things may be final at one height.
    #[error(
        "restart refused: by its statements two different results may be final at block {height}; one more validator's \
             statement would tell"
    )]
    Divided {
        /// The height.
        height: Height,
    },
    /// The list of blocks that stay is not what the statements say.
    #[error(
        "restart refused: it names {named} blocks above block {base} that stay; by its statements others do ({kept})"
    )]
    Stays {
        /// Height it begins at.
        base: Height,
        /// How many it names.
        named: usize,
        /// How many the statements keep.
        kept: usize,
    },
    /// The new validator set cannot be used.
    #[error("restart refused: its validator set is empty, not in order or repeats a key")]
    Validators,
}

impl Restart {
    /// Puts an order together: it goes on from the highest final block that the statements know of.
    ///
    /// # Errors
    /// Too few statements.
    pub fn compose(
        context: ChainContext,
        statements: Vec<SignedStatement>,
        old: &ValidatorSet,
        validators: ValidatorSet,
        at: (Epoch, Round),
        valid_until: TimeMs,
    ) -> Result<Self, RestartRefused> {
        let finals = statements.iter().map(|one| &one.statement.last_final);
        let needed = statements_needed(old);
        let Some(base) = finals.max_by_key(|certificate| certificate.height).cloned() else {
            return Err(RestartRefused::TooFewStatements { found: 0, needed });
        };
        let changes = u32::from(validators != *old);
        let (epoch, round) = (Epoch(at.0.0.saturating_add(changes)), Round(at.1.0.saturating_add(1)));
        let kept = tail::kept(&statements, base.height, old.len(), old.quorum());
        let stays = results(&kept.map_err(|height| RestartRefused::Divided { height })?);
        Ok(Self { context, base, stays, epoch, round, new_chain: None, validators, statements, valid_until })
    }

    /// What the order comes to, without the last words it rests on: short enough to be part of every proof.
    #[must_use]
    pub fn terms(&self) -> RestartTerms {
        RestartTerms {
            context: self.context,
            base: self.base.clone(),
            stays: self.stays.clone(),
            epoch: self.epoch,
            round: self.round,
            new_chain: self.new_chain,
            validators: self.validators.clone(),
            statements: Hash::derive("mesh30k restart statements v1", &[&encode(&self.statements)]),
            valid_until: self.valid_until,
        }
    }

    /// What operators sign: the terms, which name the statements by their hash.
    #[must_use]
    pub fn signing_hash(&self) -> Hash {
        self.terms().signing_hash()
    }

    /// One operator's signature; the operators sign apart from each other, offline.
    #[must_use]
    pub fn sign(&self, key: &SecretKey) -> KeyedSignature {
        KeyedSignature { key: key.public(), signature: key.sign(self.signing_hash().as_bytes()) }
    }
}

impl SignedRestart {
    /// Whether this node may obey; if so, the blocks that become final by it: those it lacks up to the base, and those above it
    /// that stay.
    ///
    /// # Errors
    /// The first thing that is wrong; nothing has changed then.
    pub fn check(&self, node: &Restartable<'_>) -> Result<Vec<(Block, Certificate)>, RestartRefused> {
        let order = &self.order;
        if order.context != *node.context {
            return Err(RestartRefused::OtherChain { found: order.context.chain, own: node.context.chain });
        }
        if order.valid_until < node.now {
            return Err(RestartRefused::Expired { valid_until: order.valid_until.0, now: node.now.0 });
        }
        let (valid, threshold) = (self.count_valid(node.operators), node.operators.threshold);
        if valid < usize::from(threshold.max(1)) {
            return Err(RestartRefused::TooFewOperators { valid, threshold });
        }
        let height = order.base.height;
        order.base.verify(node.certifiers, node.context).map_err(|_| RestartRefused::BadCertificate { height })?;
        self.check_sequence(node)?;
        let kept = self.kept(node)?;
        if results(&kept) != order.stays {
            let (base, named) = (height, order.stays.len());
            return Err(RestartRefused::Stays { base, named, kept: kept.len() });
        }
        self.check_base(node, &kept)?;
        let mut blocks = self.lacking(node)?;
        blocks.extend(kept);
        Ok(blocks)
    }

    /// The blocks that stay above the base. A new chain begins at its base and keeps none: its operators chose a branch.
    fn kept(&self, node: &Restartable<'_>) -> Result<Vec<(Block, Certificate)>, RestartRefused> {
        if needs_new_chain(node.halted) {
            return Ok(Vec::new());
        }
        let in_place = |one: &&SignedStatement| {
            let said = &one.statement;
            (said.context, said.epoch, said.round) == (*node.context, node.at.0, node.at.1)
        };
        let valid = self.order.statements.iter().filter(in_place).filter(|one| one.is_signed_in(node.validators));
        let found = valid.map(|one| one.statement.node).collect::<BTreeSet<_>>().len();
        let needed = statements_needed(node.validators);
        if found < needed || found < self.order.statements.len() {
            return Err(RestartRefused::TooFewStatements { found, needed });
        }
        let base = self.order.base.height;
        let finals = self.order.statements.iter().map(|one| one.statement.last_final.height);
        if let Some(known) = finals.max().filter(|known| *known > base) {
            return Err(RestartRefused::NotHighest { base, known });
        }
        let (voters, quorum) = (node.validators.len(), node.validators.quorum());
        tail::kept(&self.order.statements, base, voters, quorum).map_err(|height| RestartRefused::Divided { height })
    }

    /// The blocks up to the base that are not final here yet.
    fn lacking(&self, node: &Restartable<'_>) -> Result<Vec<(Block, Certificate)>, RestartRefused> {
        let (base, own) = (&self.order.base, node.tip.height);
        if base.height <= own {
            return Ok(Vec::new());
        }
        let blocks = tail::lacking(&self.order.statements, (own, node.tip.block), base);
        blocks.ok_or(RestartRefused::NotReached { base: base.height, own })
    }

    fn count_valid(&self, operators: &Operators) -> usize {
        self.valid(operators).len()
    }

    /// Signatures of distinct operators that hold, in order of key.
    fn valid(&self, operators: &Operators) -> Vec<KeyedSignature> {
        let message = self.order.signing_hash();
        let known = self.signatures.iter().take(MAX_SIGNATURES).filter(|one| operators.keys.contains(&one.key));
        let valid = known.filter(|one| verify(&one.key, message.as_bytes(), &one.signature));
        valid.map(|one| (one.key, *one)).collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// What others are shown of it, to be believed with nothing but the genesis.
    #[must_use]
    pub fn handover(&self, operators: &Operators) -> Handover {
        Handover::Restart(SignedRestartTerms { terms: self.order.terms(), signatures: self.valid(operators) })
    }

    fn check_base(&self, node: &Restartable<'_>, kept: &[(Block, Certificate)]) -> Result<(), RestartRefused> {
        let (base, own) = (self.order.base.height, node.tip.height);
        let forked = needs_new_chain(node.halted);
        // This node may have gone some way already, or have had the certificate of a block that stays.
        let here = kept.iter().find(|(block, _)| block.header.height == own).map(|(block, _)| block.id());
        if base < own && !forked && here != Some(node.tip.block) {
            return Err(RestartRefused::Undoes { base, own });
        }
        if base == own && !forked && self.order.base.block != node.tip.block {
            return Err(RestartRefused::OtherBlock { base, found: self.order.base.block, own: node.tip.block });
        }
        Ok(())
    }

    fn check_sequence(&self, node: &Restartable<'_>) -> Result<(), RestartRefused> {
        let order = &self.order;
        let needed = needs_new_chain(node.halted);
        let renamed = order.new_chain.is_some_and(|name| name != node.context.chain);
        if needed != renamed || (order.new_chain.is_some() && !renamed) {
            return Err(RestartRefused::ChainName { needed });
        }
        if order.validators.is_empty() || !order.validators.is_well_formed() {
            return Err(RestartRefused::Validators);
        }
        let (epoch, round) = node.at;
        let changes = u32::from(order.validators != *node.validators);
        let expected_epoch = Epoch(epoch.0.saturating_add(changes));
        let expected_round = Round(round.0.saturating_add(1));
        if (order.epoch, order.round) != (expected_epoch, expected_round) {
            let (epoch, round) = (order.epoch, order.round);
            return Err(RestartRefused::Sequence { epoch, round, expected_epoch, expected_round });
        }
        Ok(())
    }
}

fn results(kept: &[(Block, Certificate)]) -> Vec<BlockResult> {
    kept.iter().map(|(_, certificate)| BlockResult::of(certificate)).collect()
}

/// So many last words that every certificate has one of their validators among its voters, and the rest can certify nothing.
fn statements_needed(validators: &ValidatorSet) -> usize {
    (validators.len() + 1).saturating_sub(validators.quorum())
}

const fn needs_new_chain(halted: Option<HaltCause>) -> bool {
    matches!(halted, Some(HaltCause::ConflictingFinals | HaltCause::TooManyOffenders))
}

#[cfg(test)]
#[path = "restart_tests.rs"]
mod tests;
