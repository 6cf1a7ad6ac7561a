//! What a surviving validator says when operators recover the chain: what is final there, what may be, and that it is its last word.

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_consensus::finality::chain::MAX_UNFINAL;
use mesh30k_consensus::finality::sign_file::SignFile;
use mesh30k_consensus::finality::{SignLog, SignLogError, VoteKey};
use mesh30k_consensus::raft::{LogError, RaftLog};
use mesh30k_consensus::storage::StoreError;
use mesh30k_ledger::block::{Block, Header, MAX_BLOCK_BYTES};
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::execute::{BlockError, execute};
use mesh30k_ledger::finality::{Certificate, Phase, SignedVote, ValidatorSet, Vote};
use mesh30k_ledger::keys::{SecretKey, Signature, verify};
use mesh30k_ledger::query;
use mesh30k_ledger::signing::{ChainContext, Domain, signing_hash};
use mesh30k_ledger::state::{Overlay, StateError};
use mesh30k_ledger::types::{Epoch, Hash, Height, NodeId, Round};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::store::LedgerStore;

/// A block above the last final one, and this validator's vote for it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct TailBlock {
    /// The block, as it stands in the log.
    pub block: Block,
    /// Given before, or with the statement.
    pub vote: SignedVote,
}

/// A validator's last word in a round.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Statement {
    /// The chain.
    pub context: ChainContext,
    /// Whose word.
    pub node: NodeId,
    /// The validator set it belongs to.
    pub epoch: Epoch,
    /// The round it leaves: it never votes in it again.
    pub round: Round,
    /// Its last final block.
    pub last_final: Certificate,
    /// Term and index of the last entry of its log. The greatest of enough of them holds everything that was ever ordered.
    pub log_end: (u64, u64),
    /// What its log holds above the last final block, in order.
    pub tail: Vec<TailBlock>,
}

/// A statement with the signature of the validator's key.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct SignedStatement {
    /// What is said.
    pub statement: Statement,
    /// By the validator's key.
    pub signature: Signature,
}

/// Why a validator cannot make a statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Nothing was ever final.
    #[error("no block is final here yet: there is nothing to recover; begin a new network instead")]
    NothingFinal,
    /// The sign-log does not allow it.
    #[error(
        "the sign-log does not allow a statement; a validator that cannot prove what it voted for must not take part"
    )]
    SignLog(#[from] SignLogError),
    /// The log cannot be trusted.
    #[error("the Raft log cannot be read")]
    Log(#[from] LogError),
    /// Storage failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
    /// State cannot be read.
    #[error("the ledger's state cannot be read")]
    State(#[from] StateError),
}

impl Statement {
    /// What the validator signs.
    #[must_use]
    pub fn signing_hash(&self) -> Hash {
        signing_hash(Domain::RestartStatement, &self.context, &encode(self))
    }
}

impl SignedStatement {
    /// Whether a validator of this set said so, and voted as it says.
    #[must_use]
    pub fn is_signed_in(&self, validators: &ValidatorSet) -> bool {
        let said = &self.statement;
        let Some(seat) = validators.get(said.node) else { return false };
        let own = |vote: &SignedVote, block: &Block| {
            let of = &vote.vote;
            let place = (of.phase, of.context, of.epoch, of.round, of.validator);
            place == (Phase::First, said.context, said.epoch, said.round, said.node)
                && (of.height, of.block, of.parent) == (block.header.height, block.id(), block.header.parent)
                && vote.is_signed_by(&seat.key)
        };
        verify(&seat.key, said.signing_hash().as_bytes(), &self.signature)
            && said.tail.len() <= MAX_UNFINAL
            && said.tail.iter().all(|one| own(&one.vote, &one.block))
    }
}

/// Makes this validator's statement, on a node that does not run. It votes for everything in its log that it had not voted for, and
/// writes into its sign-log that it votes no more in this round; once made, a statement stays the same.
///
/// # Errors
/// [`StatementError`]; nothing was promised then.
pub fn make_statement<F: SignFile>(
    store: &LedgerStore,
    log: &RaftLog,
    sign_log: &mut SignLog<F>,
    me: NodeId,
    key: &SecretKey,
) -> Result<SignedStatement, StatementError> {
    let (epoch, round) = (query::epoch(store)?, query::tip(store)?.round);
    // Greater than every height: whatever this key is asked to sign in this round later, the sign-log refuses.
    let last = VoteKey { phase: Phase::First, epoch, round, height: Height(u64::MAX) };
    if let Some(made) = store.statement()?.filter(|made| (made.statement.epoch, made.statement.round) == (epoch, round))
    {
        sign_log.record(last, made.statement.signing_hash())?;
        return Ok(made);
    }
    let context = query::context(store)?;
    let tip = store.final_tip()?.ok_or(StatementError::NothingFinal)?;
    let last_final = store.block(tip.height)?.ok_or(StatementError::NothingFinal)?.certificate;
    let votes = unfinal(store, log, me)?;
    let mut tail = Vec::with_capacity(votes.len());
    for (block, vote) in votes {
        sign_log.record(VoteKey::of(&vote), vote.signing_hash())?;
        tail.push(TailBlock { block, vote: vote.sign(key) });
    }
    let log_end = log.extent().1.map_or((0, 0), |end| (end.term, end.index));
    let statement = Statement { context, node: me, epoch, round, last_final, log_end, tail };
    let hash = statement.signing_hash();
    let signed = SignedStatement { signature: key.sign(hash.as_bytes()), statement };
    store.keep_statement(&signed)?;
    sign_log.record(last, hash)?;
    Ok(signed)
}

/// The blocks that the log holds above the last final one, executed, and what there is to vote on them.
fn unfinal(store: &LedgerStore, log: &RaftLog, me: NodeId) -> Result<Vec<(Block, Vote)>, StatementError> {
    let from = store.final_position()?.map_or(0, |at| at.index.saturating_add(1));
    let mut overlay = Overlay::new(store.clone());
    let mut found = Vec::new();
    for entry in log.entries_from(from)? {
        let Ok(block) = decode::<Block>(&entry, MAX_BLOCK_BYTES) else { continue };
        let execution = match execute(&overlay, &block) {
            Ok(execution) => execution,
            Err(BlockError::State(error)) => return Err(error.into()),
            // Passed over, as in a running validator: a second copy, or one that does not extend the chain.
            Err(_) => continue,
        };
        overlay.push(Arc::new(execution.changes));
        let Header { epoch, round, height, parent, .. } = block.header;
        let vote = Vote {
            phase: Phase::First,
            context: query::context(store)?,
            epoch,
            round,
            height,
            block: block.id(),
            parent,
            commitment: execution.commitment.hash(),
            lock: None,
            validator: me,
        };
        found.push((block, vote));
        if found.len() == MAX_UNFINAL {
            break;
        }
    }
    Ok(found)
}
