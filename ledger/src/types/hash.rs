//! 32 bytes of BLAKE3.

use blake3::hazmat::HasherExt;
use borsh::{BorshDeserialize, BorshSerialize};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use super::serde_as_text;

/// A purpose of hashing whose context is hashed once, for what is hashed thousands of times a second.
pub(crate) struct HashContext(LazyLock<[u8; 32]>);

/// Hashes many things of one purpose, one after the other; gives the same as [`Hash::derive`].
pub(crate) struct PurposeHasher(blake3::Hasher);

impl HashContext {
    pub(crate) const fn new(context: fn() -> [u8; 32]) -> Self {
        Self(LazyLock::new(context))
    }

    pub(crate) fn hasher(&self) -> PurposeHasher {
        PurposeHasher(blake3::Hasher::new_from_context_key(&self.0))
    }
}

impl PurposeHasher {
    pub(crate) fn hash(&mut self, parts: &[&[u8]]) -> Hash {
        self.0.reset();
        for part in parts {
            self.0.update(part);
        }
        Hash(*self.0.finalize().as_bytes())
    }
}

/// A BLAKE3 hash; hexadecimal in text.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash, BorshSerialize, BorshDeserialize)]
pub struct Hash(pub [u8; 32]);

/// Text that is not the hexadecimal form of so many bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {bytes} bytes in hexadecimal")]
pub struct HexError {
    /// What was read.
    pub text: String,
    /// How many bytes were wanted.
    pub bytes: usize,
}

impl Hash {
    /// Stands for "nothing": an empty tree.
    pub const ZERO: Self = Self([0; 32]);

    /// Plain hash of content, for things that are named by what they hold (modules, task inputs).
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(*blake3::hash(content).as_bytes())
    }

    /// Hash of the joined parts under a context of its own, so that no value hashed for one purpose can pass for another.
    #[must_use]
    pub fn derive(context: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        for part in parts {
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight hexadecimal digits, for lines people read.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = hex::encode(self.0);
        text.truncate(8);
        text
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({})", self.short())
    }
}

impl FromStr for Hash {
    type Err = HexError;
    fn from_str(text: &str) -> Result<Self, HexError> {
        parse_hex(text).map(Self)
    }
}

serde_as_text!(Hash);

/// Reads exactly `N` bytes of hexadecimal.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| HexError { text: text.chars().take(160).collect(), bytes: N })?;
    Ok(bytes)
}
