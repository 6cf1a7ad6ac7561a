//! Account identifiers: 20 bytes of the hash of the first key policy, shown in bech32m.

use bech32::{Bech32m, Hrp};
use borsh::{BorshDeserialize, BorshSerialize};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::{Hash, serde_as_text};

const PREFIX: Hrp = Hrp::parse_unchecked("ftns");

/// Who owns a balance. The checksum of its text form catches typing errors.
#[derive(Clone, Copy, PartialEq, Eq, std::hash::Hash, BorshSerialize, BorshDeserialize)]
pub struct AccountId(pub [u8; 20]);

impl AccountId {
    /// The bytes as two numbers, which are in the order of the bytes and compared in two steps.
    const fn ordered(&self) -> (u128, u32) {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, rest @ ..] = self.0;
        (u128::from_be_bytes([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]), u32::from_be_bytes(rest))
    }
}

impl Ord for AccountId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.ordered().cmp(&other.ordered())
    }
}

impl PartialOrd for AccountId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Text that is not an account identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not bech32m, or a letter is wrong.
    #[error("account `{0}` is not a bech32m address (a letter may be mistyped)")]
    Malformed(String),
    /// Another network's address.
    #[error("account `{text}` begins with `{prefix}`, accounts here begin with `ftns`")]
    Prefix {
        /// What was read.
        text: String,
        /// Its prefix.
        prefix: String,
    },
    /// Right prefix, wrong size.
    #[error("account `{text}` holds {bytes} bytes, accounts hold 20")]
    Length {
        /// What was read.
        text: String,
        /// How many bytes it holds.
        bytes: usize,
    },
}

impl AccountId {
    /// The identifier of whatever this hash stands for.
    #[must_use]
    pub fn from_hash(hash: &Hash) -> Self {
        let mut bytes = [0; 20];
        for (to, from) in bytes.iter_mut().zip(hash.0) {
            *to = from;
        }
        Self(bytes)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_lower_to_fmt::<Bech32m, _>(f, PREFIX, &self.0).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AccountId {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let shown = || text.chars().take(100).collect::<String>();
        let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32m>(text)
            .map_err(|_| AddressError::Malformed(shown()))?;
        if checked.hrp() != PREFIX {
            return Err(AddressError::Prefix { text: shown(), prefix: checked.hrp().to_string() });
        }
        let data: Vec<u8> = checked.byte_iter().collect();
        let bytes = data.len();
        let bytes = <[u8; 20]>::try_from(data).map_err(|_| AddressError::Length { text: shown(), bytes })?;
        Ok(Self(bytes))
    }
}

serde_as_text!(AccountId);
