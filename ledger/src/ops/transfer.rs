//! Payments.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, within};
use crate::execute::{Stop, Working};
use crate::outcome::Effect;
use crate::rejection::Rejection;
use crate::types::{AccountId, Uftns};

/// Bytes of a memo, at most.
pub const MAX_MEMO_BYTES: usize = 128;
/// Payments in one batch, at most.
pub const MAX_TRANSFERS: usize = 1_000;

/// Pays one account.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Transfer {
    /// Who receives; created when it does not exist.
    pub to: AccountId,
    /// More than nothing.
    pub amount: Uftns,
    /// At most [`MAX_MEMO_BYTES`].
    pub memo: String,
}

/// One payment of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct TransferItem {
    /// Who receives.
    pub to: AccountId,
    /// More than nothing.
    pub amount: Uftns,
}

/// Pays several accounts, all or nothing.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct BatchTransfer {
    /// 1 to [`MAX_TRANSFERS`], in order.
    pub transfers: Vec<TransferItem>,
}

impl Transfer {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        within("memo (bytes)", self.memo.len() as u64, 0, MAX_MEMO_BYTES as u64)?;
        pay(working, &call.account, &self.to, self.amount)?;
        Ok(Effect::Transferred { amount: self.amount, transfers: 1 })
    }
}

impl BatchTransfer {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        within("transfers", self.transfers.len() as u64, 1, MAX_TRANSFERS as u64)?;
        let mut amount = Uftns::ZERO;
        let mut transfers = 0_u32;
        for item in &self.transfers {
            pay(working, &call.account, &item.to, item.amount)?;
            amount = amount.checked_add(item.amount).ok_or(Rejection::AmountOverflow)?;
            transfers = transfers.saturating_add(1);
        }
        Ok(Effect::Transferred { amount, transfers })
    }
}

fn pay(working: &mut Working<'_>, from: &AccountId, to: &AccountId, amount: Uftns) -> Result<(), Stop> {
    if amount.is_zero() {
        return Err(Rejection::ZeroAmount.into());
    }
    working.debit(from, amount)?;
    working.credit(to, amount)
}
