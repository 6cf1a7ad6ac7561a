//! What every transaction goes through before and after its operation.

use std::borrow::Cow;

use super::{Stop, Working};
use crate::block::MAX_TRANSACTIONS;
use crate::key_policy::KeyPolicy;
use crate::operators::Operators;
use crate::ops::{Call, Operation};
use crate::outcome::Outcome;
use crate::records::Account;
use crate::rejection::{Rejection, Severity};
use crate::signing::ChainContext;
use crate::state::{StateError, keyspace};
use crate::transaction::{KeyedSignature, MAX_SIGNATURES, MAX_TRANSACTION_BYTES, SignedTransaction};
use crate::types::{AccountId, Scope, TxId, Uftns};

const _: () = assert!(MAX_TRANSACTIONS <= u32::MAX as usize, "positions fit their proofs");

/// Carries out one transaction, keeping or forgetting what its operation did.
pub(crate) fn run(working: &mut Working<'_>, signed: &SignedTransaction, id: TxId) -> Result<Outcome, StateError> {
    let rejected = |fee, rejection| Outcome::Rejected { fee, rejection };
    working.begin(&signed.tx.account)?;
    match authorize(working, signed) {
        Ok(()) => {}
        Err(Stop::State(error)) => return Err(error),
        Err(Stop::Rejected(rejection)) => return Ok(rejected(Uftns::ZERO, rejection)),
    }
    let (fee, refused) = match charge(working, signed) {
        Ok(charged) => charged,
        Err(Stop::State(error)) => return Err(error),
        Err(Stop::Rejected(rejection)) => (Uftns::ZERO, Some(rejection)),
    };
    working.commit();
    if let Some(rejection) = refused {
        return Ok(rejected(fee, rejection));
    }
    let call = Call { account: signed.tx.account, id, signed };
    let result = not_frozen(working, &signed.tx.op).and_then(|()| signed.tx.op.apply(working, &call));
    match result {
        Ok(effect) => {
            working.commit();
            Ok(Outcome::Executed { fee, effect })
        }
        Err(Stop::Rejected(rejection)) => {
            working.abort();
            // Only the checks before the charge may give a milder verdict.
            debug_assert_eq!(rejection.severity(), Severity::Charged);
            Ok(rejected(fee, rejection))
        }
        Err(Stop::State(error)) => Err(error),
    }
}

/// Limits that hold whatever the state is, for a transaction of so many bytes.
pub(crate) fn check_size(signed: &SignedTransaction, bytes: usize) -> Result<(), Rejection> {
    for list in [&signed.signatures, &signed.sponsor_signatures] {
        if list.len() > MAX_SIGNATURES {
            return Err(Rejection::TooManySignatures { found: list.len() as u64, max: MAX_SIGNATURES as u64 });
        }
    }
    if bytes > MAX_TRANSACTION_BYTES {
        return Err(Rejection::TooLarge { bytes: bytes as u64, max: MAX_TRANSACTION_BYTES as u64 });
    }
    Ok(())
}

/// What needs no state but the chain's name; the size was checked before.
fn check_stateless(signed: &SignedTransaction, context: &ChainContext) -> Result<(), Rejection> {
    let tx = &signed.tx;
    if tx.context() != *context {
        return Err(Rejection::WrongChain { found: tx.chain, expected: context.chain });
    }
    for list in [&signed.signatures, &signed.sponsor_signatures] {
        for (before, after) in list.iter().zip(list.iter().skip(1)) {
            if before.key >= after.key {
                return Err(Rejection::SignatureOrder(after.key));
            }
        }
    }
    let sponsorable = matches!(tx.op, Operation::RegisterHost(_));
    if (tx.sponsor.is_some() && !sponsorable) || (tx.sponsor.is_none() && !signed.sponsor_signatures.is_empty()) {
        return Err(Rejection::SponsorNotAllowed(tx.op.name().into()));
    }
    Ok(())
}

/// Whether the right keys signed and the transaction is next in line. The signatures themselves were checked before.
pub(crate) fn authorize(working: &Working<'_>, signed: &SignedTransaction) -> Result<(), Stop> {
    check_stateless(signed, &working.chain.context)?;
    let tx = &signed.tx;
    let account = working.look(&tx.account)?;
    let operators = tx.op.needs_operators().then_some(&working.chain.operators);
    check_keys(&tx.account, account.as_deref(), signed.policy.as_ref(), &signed.signatures, operators)?;
    let mut payer_exists = account.is_some();
    if let Some(sponsor) = &tx.sponsor {
        let record = working.look(sponsor)?;
        payer_exists = record.is_some();
        check_keys(sponsor, record.as_deref(), None, &signed.sponsor_signatures, None)?;
    }
    if working.now > tx.valid_until {
        return Err(Rejection::Expired { valid_until: tx.valid_until, time: working.now }.into());
    }
    if !payer_exists {
        return Err(tx.sponsor.map_or(Rejection::UnknownAccount(tx.account), Rejection::UnknownSponsor).into());
    }
    let (found, expected) = (tx.nonce, account.map_or(0, |account| account.nonce));
    match found.cmp(&expected) {
        std::cmp::Ordering::Less => Err(Rejection::Replayed { found, expected }.into()),
        std::cmp::Ordering::Greater => Err(Rejection::NonceAhead { found, expected }.into()),
        std::cmp::Ordering::Equal => Ok(()),
    }
}

/// The policy of an account: as known, as revealed, or that of the one key its identifier follows from.
fn policy_of<'a>(
    id: &AccountId,
    account: Option<&'a Account>,
    revealed: Option<&'a KeyPolicy>,
    signatures: &[KeyedSignature],
) -> Option<Cow<'a, KeyPolicy>> {
    if let Some(policy) = account.and_then(|account| account.policy.as_ref()) {
        return Some(Cow::Borrowed(policy));
    }
    if let Some(policy) = revealed {
        return (policy.is_well_formed() && policy.account() == *id).then_some(Cow::Borrowed(policy));
    }
    let mut single = signatures.iter().map(|keyed| KeyPolicy::single(keyed.key));
    single.find(|policy| policy.account() == *id).map(Cow::Owned)
}

fn check_keys(
    id: &AccountId,
    account: Option<&Account>,
    revealed: Option<&KeyPolicy>,
    signatures: &[KeyedSignature],
    operators: Option<&Operators>,
) -> Result<(), Rejection> {
    let policy = policy_of(id, account, revealed, signatures).ok_or(Rejection::UnknownPolicy(*id))?;
    // Keys stand in strictly ascending order, so that none counts twice.
    let mut own = 0_u64;
    for keyed in signatures {
        if policy.contains(&keyed.key) {
            own = own.saturating_add(1);
        } else if !operators.is_some_and(|operators| operators.keys.contains(&keyed.key)) {
            return Err(Rejection::StrangerKey { key: keyed.key, account: *id });
        }
    }
    let threshold = u64::from(policy.threshold);
    if own < threshold {
        return Err(Rejection::BelowThreshold { account: *id, found: own, threshold });
    }
    Ok(())
}

/// Takes nonce and fee; tells what was paid and whether the operation may go on.
fn charge(working: &mut Working<'_>, signed: &SignedTransaction) -> Result<(Uftns, Option<Rejection>), Stop> {
    let tx = &signed.tx;
    let account = working.account_for_good(&tx.account)?;
    if account.policy.is_none() {
        account.policy = policy_of(&tx.account, None, signed.policy.as_ref(), &signed.signatures).map(Cow::into_owned);
    }
    account.nonce = account.nonce.saturating_add(1);

    let own = account.balance;
    let (payer, balance) = match tx.sponsor {
        Some(sponsor) => (sponsor, balance_of(working, &sponsor)?),
        None => (tx.account, own),
    };
    let fee = fee_of(working, signed);
    let refused = refuse_fee(fee, tx.fee_limit, balance).err();
    // Whoever sets the limit too low or owns too little pays what there is: work was done to find out.
    let paid = fee.min(tx.fee_limit).min(balance);
    working.take_fee(&payer, paid)?;
    Ok((paid, refused))
}

fn fee_of(working: &Working<'_>, signed: &SignedTransaction) -> Uftns {
    working.chain.base_fee.fee(signed.tx.weight())
}

fn balance_of(working: &Working<'_>, id: &AccountId) -> Result<Uftns, StateError> {
    Ok(working.look(id)?.map_or(Uftns::ZERO, |account| account.balance))
}

/// Whether the fee is within its limit and can be paid.
pub(crate) fn check_fee(
    working: &Working<'_>,
    signed: &SignedTransaction,
) -> Result<Result<(), Rejection>, StateError> {
    let tx = &signed.tx;
    let balance = balance_of(working, &tx.sponsor.unwrap_or(tx.account))?;
    Ok(refuse_fee(fee_of(working, signed), tx.fee_limit, balance))
}

fn refuse_fee(fee: Uftns, limit: Uftns, balance: Uftns) -> Result<(), Rejection> {
    if fee > limit {
        return Err(Rejection::FeeLimit { fee, limit });
    }
    if fee > balance { Err(Rejection::FeeUnaffordable { fee, balance }) } else { Ok(()) }
}

/// Whether it passes although everything may be frozen.
pub(crate) fn not_frozen(working: &Working<'_>, op: &Operation) -> Result<(), Stop> {
    if op.passes_global_freeze() || working.globals().frozen_since.is_none() {
        return Ok(());
    }
    let freeze: crate::records::FreezeRecord = working.must_read(&keyspace::freeze(&Scope::Global))?;
    Err(Rejection::Frozen { scope: Scope::Global, until: freeze.until }.into())
}
