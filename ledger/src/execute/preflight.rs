//! Looking ahead: one transaction at the door, or those a proposer puts into its block.

use std::collections::BTreeMap;
use std::iter;

use super::{SignatureOracle, Stop, Working, envelope};
use crate::block::{MAX_BLOCK_BYTES, MAX_TRANSACTIONS};
use crate::keys::{PublicKey, Signature};
use crate::rejection::Rejection;
use crate::state::{StateError, StateRead};
use crate::transaction::{Digester, Digests, SignedTransaction};
use crate::types::{AccountId, Hash, TimeMs};

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
    let working = open(state, now)?;
    let digests = signed.digests();
    let verdict = admit(&working, signed, &digests)?;
    Ok(verdict.and_then(|()| check_signatures(signed, &digests.message, oracle)))
}

/// As [`check`] for many, on one look at the state and without the signatures: those are [`invalid_signatures`]'s, which needs no
/// state.
///
/// # Errors
/// State that cannot be read.
pub fn check_unsigned(
    state: &dyn StateRead,
    now: TimeMs,
    all: &[SignedTransaction],
) -> Result<Vec<Result<(), Rejection>>, StateError> {
    let mut working = open(state, now)?;
    // Receivers are looked at by nobody yet.
    working.fetch(all.iter().flat_map(|signed| iter::once(signed.tx.account).chain(signed.tx.sponsor)))?;
    let mut digester = Digester::new();
    all.iter().map(|signed| admit(&working, signed, &digester.digests(signed))).collect()
}

/// For each transaction the first key whose signature does not hold. All are verified together; only where that fails, one by one.
#[must_use]
pub fn invalid_signatures(all: &[&SignedTransaction], oracle: &dyn SignatureOracle) -> Vec<Option<PublicKey>> {
    let items: Vec<_> = all.iter().flat_map(|signed| keyed(signed, signed.tx.signing_hash())).collect();
    if oracle.first_invalid(&items).is_none() {
        return vec![None; all.len()];
    }
    let invalid = |signed: &&SignedTransaction| {
        let mut own = keyed(signed, signed.tx.signing_hash());
        own.find(|(key, message, signature)| !oracle.verify(key, message, signature)).map(|(key, ..)| key)
    };
    all.iter().map(invalid).collect()
}

fn open(state: &dyn StateRead, now: TimeMs) -> Result<Working<'_>, StateError> {
    let tip: crate::records::Tip = crate::state::read_or_corrupt(state, crate::state::keyspace::TIP)?;
    Working::open(state, tip.height.next(), now)
}

fn keyed(signed: &SignedTransaction, message: Hash) -> impl Iterator<Item = (PublicKey, Hash, Signature)> {
    signed.keyed().map(move |keyed| (keyed.key, message, keyed.signature))
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
    let mut working = open(state, now)?;
    working.fetch(candidates.iter().flat_map(|signed| signed.tx.accounts()))?;
    let (mut selection, mut digester) = (Selection::default(), Digester::new());
    let mut room = MAX_BLOCK_BYTES.saturating_sub(HEADER_ROOM);
    let mut waiting: BTreeMap<AccountId, BTreeMap<u64, (SignedTransaction, Rejection)>> = BTreeMap::new();
    for candidate in candidates {
        let mut next = Some(candidate);
        while let Some(signed) = next.take() {
            let account = signed.tx.account;
            let digests = digester.digests(&signed);
            let verdict = admit(&working, &signed, &digests)?;
            match verdict.and_then(|()| check_signatures(&signed, &digests.message, oracle)) {
                Ok(()) => {
                    let Digests { bytes, id, .. } = digests;
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

/// All but the signatures.
fn admit(
    working: &Working<'_>,
    signed: &SignedTransaction,
    digests: &Digests,
) -> Result<Result<(), Rejection>, StateError> {
    if let Err(rejection) = envelope::check_size(signed, digests.bytes) {
        return Ok(Err(rejection));
    }
    match envelope::authorize(working, signed).and_then(|()| envelope::not_frozen(working, &signed.tx.op)) {
        Ok(()) => {}
        Err(Stop::State(error)) => return Err(error),
        Err(Stop::Rejected(rejection)) => return Ok(Err(rejection)),
    }
    // A block charges what there is for such a transaction; an honest proposer leaves it out.
    envelope::check_fee(working, signed)
}

fn check_signatures(signed: &SignedTransaction, message: &Hash, oracle: &dyn SignatureOracle) -> Result<(), Rejection> {
    let bad = keyed(signed, *message).find(|(key, message, signature)| !oracle.verify(key, message, signature));
    bad.map_or(Ok(()), |(key, ..)| Err(Rejection::BadSignature(key)))
}
