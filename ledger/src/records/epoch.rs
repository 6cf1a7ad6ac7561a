//! The validators of epochs, kept for as long as what they signed can be held against them.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::finality::ValidatorSet;
use crate::types::TimeMs;

/// An epoch that runs, or that ended not long ago.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Who voted in it, with which keys.
    pub validators: ValidatorSet,
    /// Block time of the last block of it; nothing while it runs.
    pub ended: Option<TimeMs>,
}

impl EpochRecord {
    /// Whether what its validators signed still counts against them: while it runs, and as long after as bonds answer.
    #[must_use]
    pub fn is_answerable(&self, now: TimeMs, window_ms: u64) -> bool {
        self.ended.is_none_or(|ended| now <= ended.plus_ms(window_ms))
    }
}
