//! Names of chains.

use borsh::{BorshDeserialize, BorshSerialize, io};
use std::fmt;
use std::str::FromStr;

use super::serde_as_text;

const MAX: usize = 32;

/// The name of a chain: 1 to 32 of `a-z`, `0-9` and `-`. Kept inline, so that contexts copy freely.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash)]
pub struct ChainId {
    bytes: [u8; MAX],
    length: u8,
}

/// Text that cannot name a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("chain name `{0}` is not 1 to 32 of a-z, 0-9 and -")]
pub struct ChainIdError(pub String);

impl ChainId {
    /// Takes a name.
    ///
    /// # Errors
    /// Wrong length or letters.
    pub fn new(name: &str) -> Result<Self, ChainIdError> {
        let refused = || ChainIdError(name.chars().take(64).collect());
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > MAX || !name.bytes().all(allowed) {
            return Err(refused());
        }
        let mut bytes = [0; MAX];
        for (to, from) in bytes.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        let length = u8::try_from(name.len()).map_err(|_| refused())?;
        Ok(Self { bytes, length })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ChainId {
    type Err = ChainIdError;
    fn from_str(text: &str) -> Result<Self, ChainIdError> {
        Self::new(text)
    }
}

impl BorshSerialize for ChainId {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        self.length.serialize(writer)?;
        writer.write_all(self.as_str().as_bytes())
    }
}

impl BorshDeserialize for ChainId {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let length = usize::from(u8::deserialize_reader(reader)?);
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut bytes = [0; MAX];
        let name =
            bytes.get_mut(..length).ok_or_else(|| invalid(format!("chain name of {length} bytes, at most {MAX}")))?;
        reader.read_exact(name)?;
        let text = std::str::from_utf8(name).map_err(|error| invalid(error.to_string()))?;
        Self::new(text).map_err(|error| invalid(error.to_string()))
    }
}

serde_as_text!(ChainId);
