//! Who may sign for an account.

use borsh::{BorshDeserialize, BorshSerialize, io};
use serde::{Deserialize, Serialize};
use smallvec::{SmallVec, smallvec};

use crate::codec::encode;
use crate::keys::PublicKey;
use crate::types::{AccountId, Hash};

/// Keys in one policy, at most.
pub const MAX_KEYS: usize = 16;

/// The keys of a policy. Mostly there is one, which is kept in place: blocks read and write thousands of them.
pub type Keys = SmallVec<[PublicKey; 1]>;

/// `threshold` of these keys sign together.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct KeyPolicy {
    /// How many must sign, at least 1.
    pub threshold: u8,
    /// Strictly ascending, at most [`MAX_KEYS`].
    #[borsh(serialize_with = "write_keys", deserialize_with = "read_keys")]
    pub keys: Keys,
}

impl KeyPolicy {
    /// One key alone.
    #[must_use]
    pub fn single(key: PublicKey) -> Self {
        Self { threshold: 1, keys: smallvec![key] }
    }

    /// `threshold` of `keys`, which are put in order.
    #[must_use]
    pub fn new(threshold: u8, mut keys: Vec<PublicKey>) -> Self {
        keys.sort();
        keys.dedup();
        Self { threshold, keys: keys.into() }
    }

    /// Whether it can be satisfied and is in its one canonical form.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let ascending = self.keys.iter().zip(self.keys.iter().skip(1)).all(|(a, b)| a < b);
        let threshold = usize::from(self.threshold);
        ascending && threshold >= 1 && threshold <= self.keys.len() && self.keys.len() <= MAX_KEYS
    }

    /// The account whose first policy this is.
    #[must_use]
    pub fn account(&self) -> AccountId {
        AccountId::from_hash(&Hash::derive("mesh30k account v1", &[&encode(self)]))
    }

    /// Whether this key belongs to it.
    #[must_use]
    pub fn contains(&self, key: &PublicKey) -> bool {
        self.keys.binary_search(key).is_ok()
    }
}

/// As a `Vec` is written.
fn write_keys<W: io::Write>(keys: &Keys, writer: &mut W) -> io::Result<()> {
    BorshSerialize::serialize(keys.as_slice(), writer)
}

/// As a `Vec` is read; takes no more memory than there are bytes, whatever they say.
fn read_keys<R: io::Read>(reader: &mut R) -> io::Result<Keys> {
    let mut keys = Keys::new();
    for _ in 0..u32::deserialize_reader(reader)? {
        keys.push(PublicKey::deserialize_reader(reader)?);
    }
    Ok(keys)
}
