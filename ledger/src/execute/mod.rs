//! Carrying out blocks.

mod accounts;
mod dividends;
mod due;
pub use due::MAX_DUE_PER_BLOCK;
pub(crate) use due::parse as parse_due;
mod envelope;
mod epochs;
pub use epochs::MAX_EPOCHS;
mod funds;
mod oracle;
mod preflight;
mod working;

pub use oracle::{SignatureOracle, Zip215};
pub use preflight::{Selection, check, check_unsigned, invalid_signatures, select};
pub(crate) use working::{Stop, Working};

use crate::block::{Block, MAX_TRANSACTIONS};
use crate::finality::Commitment;
use crate::invariants::Breach;
use crate::merkle;
use crate::mmr;
use crate::outcome::{DueEvent, Outcome};
use crate::receipt::outcomes_root;
use crate::records::Tip;
use crate::rejection::{Rejection, Severity};
use crate::seats;
use crate::smt;
use crate::state::{ChangeSet, StateError, StateRead};
use crate::transaction::{Digester, Digests};
use crate::types::{BlockId, Epoch, Hash, Height, NodeId, Round, TimeMs, TxId};

/// What a block did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// Everything there is to write.
    pub changes: ChangeSet,
    /// One for each transaction, in order.
    pub outcomes: Vec<Outcome>,
    /// What fell due in it, in order.
    pub due: Vec<DueEvent>,
    /// What votes on the block vouch for.
    pub commitment: Commitment,
    /// The block's name.
    pub block: BlockId,
    /// Its transactions' names, in order.
    pub transactions: Vec<TxId>,
}

/// Why a block is not carried out at all. All but [`BlockError::State`] and [`BlockError::Broken`] are the same on every machine: the
/// entry is a recorded no-op.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant says in its sentence what its fields are")]
pub enum BlockError {
    #[error("block is for another chain")]
    WrongChain,
    #[error("block has height {found}, the next is {expected}")]
    WrongHeight { found: Height, expected: Height },
    #[error("block extends {found}, the tip is {expected}")]
    WrongParent { found: BlockId, expected: BlockId },
    #[error("block was made on state {found}, the state is {expected}")]
    WrongStateRoot { found: Hash, expected: Hash },
    #[error("block is of epoch {found}, this is epoch {expected}")]
    WrongEpoch { found: Epoch, expected: Epoch },
    #[error("block is of round {found}, this is round {expected}")]
    WrongRound { found: Round, expected: Round },
    #[error("block carries a reset certificate, which level 1 knows nothing of")]
    UnexpectedReset,
    #[error("block time {found} ms is not after its parent's {parent} ms")]
    TimeNotRising { found: TimeMs, parent: TimeMs },
    #[error("block names validators {found}, the next are {expected}")]
    WrongValidators { found: Hash, expected: Hash },
    #[error("node {0} proposed the block and is no validator")]
    UnknownProposer(NodeId),
    #[error("the proposer's signature is not valid")]
    BadProposerSignature,
    #[error("block holds {found} transactions, at most {max} are taken")]
    TooManyTransactions { found: usize, max: usize },
    #[error("header names transactions {found}, the block holds {expected}")]
    WrongTransactions { found: Hash, expected: Hash },
    #[error("transaction {index} may not stand in a block")]
    VoidTransaction {
        index: usize,
        #[source]
        rejection: Rejection,
    },
    #[error("state cannot be used")]
    State(#[from] StateError),
    #[error("the block does not keep the books")]
    Broken(#[from] Box<Breach>),
}

impl From<Breach> for BlockError {
    fn from(breach: Breach) -> Self {
        match breach {
            Breach::State(error) => Self::State(error),
            breach => Self::Broken(Box::new(breach)),
        }
    }
}

impl BlockError {
    /// Whether every machine refuses the block alike, and it passes without effect. If not, this machine must stop instead of going
    /// on: state that cannot be read is its own fault, and what does not keep the books is a defect of the program or of its state.
    #[must_use]
    pub const fn is_deterministic(&self) -> bool {
        !matches!(self, Self::State(_) | Self::Broken(_))
    }
}

/// Carries out a block on the state of its parent, checking every signature.
///
/// # Errors
/// A block that may not follow, or state that cannot be read.
pub fn execute<S: StateRead>(state: &S, block: &Block) -> Result<Execution, BlockError> {
    execute_with(state, block, &Zip215)
}

/// As [`execute`], asking an oracle about signatures (which may remember verdicts).
///
/// # Errors
/// A block that may not follow, or state that cannot be read.
pub fn execute_with(
    state: &dyn StateRead,
    block: &Block,
    oracle: &dyn SignatureOracle,
) -> Result<Execution, BlockError> {
    let Applied { mut changes, outcomes, due, transactions } = apply(state, block, oracle)?;
    let block_id = block.id();
    let state_root = smt::update(state, &mut changes)?;
    let blocks_root = mmr::append(state, &mut changes, &block_id)?;
    let outcomes_root = outcomes_root(&outcomes, &transactions, &due);
    let commitment = Commitment { state_root, outcomes_root, blocks_root };
    let header = &block.header;
    let tip = Tip { height: header.height, block: block_id, time: header.time, state_root, round: header.round };
    changes.insert(crate::state::keyspace::TIP.to_vec(), Some(crate::codec::encode(&tip)));
    Ok(Execution { changes, outcomes, due, commitment, block: block_id, transactions })
}

/// What a block does to the records, before anything commits to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Changed records, without tree and tip.
    pub changes: ChangeSet,
    /// One for each transaction, in order.
    pub outcomes: Vec<Outcome>,
    /// What fell due in it, in order.
    pub due: Vec<DueEvent>,
    /// Its transactions' names, in order.
    pub transactions: Vec<TxId>,
}

/// The first half of [`execute_with`]: checks the block and carries out what it holds. Only [`execute_with`] gives roots; this is
/// for measuring, and for whoever wants to know what a block would do.
///
/// # Errors
/// A block that may not follow, or state that cannot be read.
pub fn apply(state: &dyn StateRead, block: &Block, oracle: &dyn SignatureOracle) -> Result<Applied, BlockError> {
    let mut working = Working::open(state, block.header.height, block.header.time)?;
    let fee_account = check_header(&working, block, oracle)?;
    let mut digester = Digester::new();
    let digests: Vec<Digests> = block.transactions.iter().map(|signed| digester.digests(signed)).collect();
    check_transactions(block, &digests, oracle)?;
    epochs::note(&mut working)?;
    working.commit();
    let mut due = due::run(&mut working)?;
    working.fetch(block.transactions.iter().flat_map(|signed| signed.tx.accounts()))?;
    let mut outcomes = Vec::with_capacity(block.transactions.len());
    let mut transactions = Vec::with_capacity(block.transactions.len());
    for (index, (signed, Digests { id, .. })) in block.transactions.iter().zip(digests).enumerate() {
        let outcome = envelope::run(&mut working, signed, id)?;
        if let Some(rejection) = outcome.rejection().filter(|rejection| rejection.severity() == Severity::Void) {
            return Err(BlockError::VoidTransaction { index, rejection: rejection.clone() });
        }
        outcomes.push(outcome);
        transactions.push(id);
    }
    let weights = block.transactions.iter().map(|signed| signed.tx.weight());
    working.move_base_fee(weights.fold(0, u64::saturating_add));
    working.pay_proposer(fee_account)?;
    working.commit();
    let dividends = dividends::settle(&mut working);
    due.extend(dividends.map_err(|stop| stop.into_damage(crate::state::keyspace::DIVIDENDS))?);
    seats::turn(&mut working);
    Ok(Applied { changes: working.finish()?, outcomes, due, transactions })
}

/// Checks what can be checked before any transaction; gives the account of the proposer.
fn check_header(
    working: &Working<'_>,
    block: &Block,
    oracle: &dyn SignatureOracle,
) -> Result<crate::types::AccountId, BlockError> {
    let (header, tip, chain) = (&block.header, working.tip, &working.chain);
    if header.chain != chain.context.chain {
        return Err(BlockError::WrongChain);
    }
    if header.height != tip.height.next() {
        return Err(BlockError::WrongHeight { found: header.height, expected: tip.height.next() });
    }
    if header.parent != tip.block {
        return Err(BlockError::WrongParent { found: header.parent, expected: tip.block });
    }
    if header.parent_state_root != tip.state_root {
        return Err(BlockError::WrongStateRoot { found: header.parent_state_root, expected: tip.state_root });
    }
    if header.epoch != chain.epoch {
        return Err(BlockError::WrongEpoch { found: header.epoch, expected: chain.epoch });
    }
    if header.round != tip.round {
        return Err(BlockError::WrongRound { found: header.round, expected: tip.round });
    }
    if header.reset.is_some() {
        return Err(BlockError::UnexpectedReset);
    }
    if header.time <= tip.time {
        return Err(BlockError::TimeNotRising { found: header.time, parent: tip.time });
    }
    let validators = chain.next_validators.as_ref().unwrap_or(&chain.validators).hash();
    if header.next_validators_hash != validators {
        return Err(BlockError::WrongValidators { found: header.next_validators_hash, expected: validators });
    }
    let proposer = chain.validators.get(header.proposer).ok_or(BlockError::UnknownProposer(header.proposer))?;
    let message = header.signing_hash(&chain.context);
    if !oracle.verify(&proposer.key, &message, &block.proposer_signature) {
        return Err(BlockError::BadProposerSignature);
    }
    let found = block.transactions.len();
    if found > MAX_TRANSACTIONS {
        return Err(BlockError::TooManyTransactions { found, max: MAX_TRANSACTIONS });
    }
    Ok(proposer.account)
}

/// Checks that the header names these transactions, and the signatures of all of them at once. Whose keys they must be is checked
/// where each is carried out.
fn check_transactions(block: &Block, digests: &[Digests], oracle: &dyn SignatureOracle) -> Result<(), BlockError> {
    let leaves: Vec<Hash> = digests.iter().map(|digests| digests.leaf).collect();
    let (found, expected) = (block.header.tx_root, merkle::root(&leaves));
    if found != expected {
        return Err(BlockError::WrongTransactions { found, expected });
    }
    let mut items = Vec::with_capacity(block.transactions.len());
    for (index, (signed, digests)) in block.transactions.iter().zip(digests).enumerate() {
        envelope::check_size(signed, digests.bytes)
            .map_err(|rejection| BlockError::VoidTransaction { index, rejection })?;
        items.extend(signed.keyed().map(|keyed| (keyed.key, digests.message, keyed.signature)));
    }
    let Some(invalid) = oracle.first_invalid(&items) else { return Ok(()) };
    let all = block.transactions.iter().enumerate();
    let mut owners = all.flat_map(|(index, signed)| signed.keyed().map(move |keyed| (index, keyed.key)));
    match owners.nth(invalid) {
        Some((index, key)) => Err(BlockError::VoidTransaction { index, rejection: Rejection::BadSignature(key) }),
        None => Ok(()),
    }
}
