//! Looking ahead: one transaction at the door, or those a proposer puts into its block.

use std::collections::BTreeMap;

use super::{SignatureOracle, Stop, Working, envelope};
use crate::block::{MAX_BLOCK_BYTES, MAX_TRANSACTIONS};
use crate::rejection::Rejection;
use crate::state::{StateError, StateRead};
use crate::transaction::{Digests, SignedTransaction};
use crate::types::{AccountId, TimeMs};

/// What a proposer takes and what it leaves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// For the block, in order.
    pub included: Vec<SignedTransaction>,
    /// Not for this block. [`Rejection::is_premature`] tells those that may pass later from those to drop.
    pub refused: Vec<(SignedTransaction, Rejection)>,
    /// Fit for a block, but this one is full.
    pub left: Vec<SignedTransaction>,
}

/// Room kept for the header and the list's own bytes.
const HEADER_ROOM: usize = 4_096;

/// Whether a transaction would be taken into the next block at this time: chain, size, signatures, expiry, account, nonce, global freeze, fee.
/// `Ok(Err(..))` is the reason why not.
///
/// # Errors
/// State that cannot be read.
pub fn check(
    state: &dyn StateRead,
    now: TimeMs,
    signed: &SignedTransaction,
    oracle: &dyn SignatureOracle,
) -> Result<Result<(), Rejection>, StateError> {
    let tip: crate::records::Tip = crate::state::read_or_corrupt(state, crate::state::keyspace::TIP)?;
    let working = Working::open(state, tip.height.next(), now)?;
    admit(&working, signed, oracle)
}

/// Picks transactions for a block at this time: signed, unexpired, each account's in order of nonce without gaps, within the
/// limits of a block. Candidates are taken in the order given, but a nonce that is ahead waits for those before it.
///
/// # Errors
/// State that cannot be read.
pub fn select(
    state: &dyn StateRead,
    now: TimeMs,
    candidates: Vec<SignedTransaction>,
    oracle: &dyn SignatureOracle,
) -> Result<Selection, StateError> {
    let tip: crate::records::Tip = crate::state::read_or_corrupt(state, crate::state::keyspace::TIP)?;
    let mut working = Working::open(state, tip.height.next(), now)?;
    let mut selection = Selection::default();
    let mut room = MAX_BLOCK_BYTES.saturating_sub(HEADER_ROOM);
    let mut waiting: BTreeMap<AccountId, BTreeMap<u64, (SignedTransaction, Rejection)>> = BTreeMap::new();
    for candidate in candidates {
        let mut next = Some(candidate);
        while let Some(signed) = next.take() {
            let account = signed.tx.account;
            match admit(&working, &signed, oracle)? {
                Ok(()) => {
                    let Digests { bytes, id, .. } = signed.digests();
                    if selection.included.len() >= MAX_TRANSACTIONS || bytes > room {
                        selection.left.push(signed);
                        continue;
                    }
                    room = room.saturating_sub(bytes);
                    // Runs it, so that later candidates meet the nonces, balances and accounts they will meet in the block.
                    envelope::run(&mut working, &signed, id)?;
                    selection.included.push(signed);
                    let nonce = working.look(&account)?.map_or(0, |record| record.nonce);
                    next = waiting.get_mut(&account).and_then(|later| later.remove(&nonce)).map(|(signed, _)| signed);
                }
                Err(rejection @ Rejection::NonceAhead { .. }) => {
                    let later = waiting.entry(account).or_default();
                    if let Some(replaced) = later.insert(signed.tx.nonce, (signed, rejection)) {
                        selection.refused.push(replaced);
                    }
                }
                Err(rejection) => selection.refused.push((signed, rejection)),
            }
        }
    }
    selection.refused.extend(waiting.into_values().flat_map(BTreeMap::into_values));
    Ok(selection)
}

fn admit(
    working: &Working<'_>,
    signed: &SignedTransaction,
    oracle: &dyn SignatureOracle,
) -> Result<Result<(), Rejection>, StateError> {
    let digests = signed.digests();
    if let Err(rejection) = envelope::check_size(signed, digests.bytes) {
        return Ok(Err(rejection));
    }
    match envelope::authorize(working, signed).and_then(|()| envelope::not_frozen(working, &signed.tx.op)) {
        Ok(()) => {}
        Err(Stop::State(error)) => return Err(error),
        Err(Stop::Rejected(rejection)) => return Ok(Err(rejection)),
    }
    // A block charges what there is for such a transaction; an honest proposer leaves it out.
    if let Err(rejection) = envelope::check_fee(working, signed)? {
        return Ok(Err(rejection));
    }
    let message = digests.message;
    let mut signatures = signed.signatures.iter().chain(&signed.sponsor_signatures);
    let bad = signatures.find(|keyed| !oracle.verify(&keyed.key, &message, &keyed.signature));
    Ok(bad.map_or(Ok(()), |keyed| Err(Rejection::BadSignature(keyed.key))))
}
