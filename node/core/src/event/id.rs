//! Names of events, sortable by time.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::time::MeshTimeUs;

/// Six bytes of unix milliseconds, ten of a hash over the origin's nonce; shown in hex.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct EventId(pub [u8; 16]);

/// A text that names no event.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("event id {text:?} is not 32 hex digits")]
pub struct EventIdError {
    /// The refused text, shortened to 40 characters.
    pub text: String,
}

impl EventId {
    /// The id of the event made at `at` with `nonce` (random, from outside).
    #[must_use]
    pub fn new(at: MeshTimeUs, nonce: &[u8; 32]) -> Self {
        let millis = u64::try_from(at.0.checked_div(1_000).unwrap_or(0)).unwrap_or(0).to_be_bytes();
        let hash = blake3::hash(nonce);
        let mut id = [0_u8; 16];
        for (slot, byte) in id.iter_mut().zip(millis.iter().skip(2).chain(hash.as_bytes())) {
            *slot = *byte;
        }
        Self(id)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({self})")
    }
}

impl FromStr for EventId {
    type Err = EventIdError;

    fn from_str(text: &str) -> Result<Self, EventIdError> {
        let refuse = || EventIdError { text: text.chars().take(40).collect() };
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(refuse());
        }
        let value = u128::from_str_radix(text, 16).map_err(|_| refuse())?;
        Ok(Self(value.to_be_bytes()))
    }
}

impl TryFrom<String> for EventId {
    type Error = EventIdError;

    fn try_from(text: String) -> Result<Self, EventIdError> {
        text.parse()
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> Self {
        id.to_string()
    }
}
