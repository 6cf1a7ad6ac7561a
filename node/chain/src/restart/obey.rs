//! Carrying an order out, on a node that does not run.

use mesh30k_consensus::finality::{FinalTip, HaltCause};
use mesh30k_consensus::storage::StoreError;
use mesh30k_ledger::execute::{BlockError, execute};
use mesh30k_ledger::query;
use mesh30k_ledger::restart::restart;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::types::{Hash, Height, TimeMs};

use super::{RestartRefused, Restartable, SignedRestart};
use crate::store::{FinalBlock, LedgerStore, StoredBlock};

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ObeyError {
    /// It is not to be obeyed.
    #[error(transparent)]
    Refused(#[from] RestartRefused),
    /// A block that stays has another result here.
    #[error(
        "block {height} has another result here ({own}) than its voters vouch for ({voted}): this node's state or build is \
         faulty; move its data directory away and join as a new node"
    )]
    Diverged {
        /// Its height.
        height: Height,
        /// Hash of the commitment here.
        own: Hash,
        /// Hash of the commitment voted for.
        voted: Hash,
    },
    /// A block that stays cannot be executed here.
    #[error("block {height}, which stays, cannot be executed here")]
    Unfit {
        /// Its height.
        height: Height,
        /// Why.
        #[source]
        source: BlockError,
    },
    /// A new chain needs a new genesis.
    #[error(
        "after two finals the chain cannot go on under its own genesis: export the state after block {base} \
         (`mesh30k ledger export`) and begin a network with it"
    )]
    NewChain {
        /// Where it would begin.
        base: Height,
    },
    /// Storage failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
    /// State cannot be read.
    #[error("the ledger's state cannot be read")]
    State(#[from] StateError),
}

/// Checks the order against what is on this node's disk and carries it out: the blocks that stay become final, then the new
/// validators and the new round are written. Broken off in between, it goes on when it is given again; given once more after it
/// was carried out, it changes nothing.
///
/// # Errors
/// [`ObeyError`]; where the order was refused, nothing has changed.
pub fn obey(
    store: &LedgerStore,
    signed: &SignedRestart,
    halted: Option<HaltCause>,
    now: TimeMs,
) -> Result<FinalTip, ObeyError> {
    let (context, validators) = (query::context(store)?, query::validator_set(store)?);
    let (operators, at) = (query::operators(store)?, (query::epoch(store)?, query::tip(store)?.round));
    let here = query::tip(store)?;
    let genesis = FinalTip { height: here.height, block: here.block, commitment: Hash::ZERO, time: here.time };
    let tip = store.final_tip()?.unwrap_or(genesis);
    if store.obeyed()?.as_ref() == Some(signed) {
        return Ok(tip);
    }
    // Of an epoch nobody here has heard of: nobody's certificate.
    let certifiers = query::validators_of(store, signed.order.base.epoch)?.unwrap_or_default();
    let node = Restartable {
        context: &context,
        tip,
        validators: &validators,
        certifiers: &certifiers,
        at,
        operators: &operators,
        halted,
        now,
    };
    let kept = signed.check(&node)?;
    if signed.order.new_chain.is_some() {
        return Err(ObeyError::NewChain { base: signed.order.base.height });
    }
    for (block, certificate) in kept.into_iter().filter(|(block, _)| block.header.height > tip.height) {
        let height = block.header.height;
        let execution = execute(store, &block).map_err(|source| ObeyError::Unfit { height, source })?;
        let (own, voted) = (execution.commitment.hash(), certificate.commitment);
        if own != voted {
            return Err(ObeyError::Diverged { height, own, voted });
        }
        let stored = StoredBlock {
            block,
            certificate,
            outcomes: execution.outcomes,
            due: execution.due,
            commitment: execution.commitment,
        };
        let (changes, transactions) = (&execution.changes, &execution.transactions);
        store.commit(&FinalBlock { stored: &stored, changes, transactions, position: None })?;
    }
    let order = &signed.order;
    let changes = restart(store, order.epoch, order.round, &order.validators)?;
    store.hand_over(&changes, &signed.handover(&operators), Some(signed))?;
    Ok(store.final_tip()?.unwrap_or(tip))
}
