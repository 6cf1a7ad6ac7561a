//! Payments.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

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
