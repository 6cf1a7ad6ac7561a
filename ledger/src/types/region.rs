//! Regions: ISO 3166 alpha-2.

use borsh::{BorshDeserialize, BorshSerialize, io};
use std::fmt;
use std::str::FromStr;

use super::serde_as_text;

/// A country by its two capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash, BorshSerialize)]
pub struct Region([u8; 2]);

/// Text that is not a region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("region `{0}` is not two capital letters (ISO 3166 alpha-2), such as KE")]
pub struct RegionError(pub String);

impl Region {
    /// Takes two capital letters.
    ///
    /// # Errors
    /// Anything else.
    pub fn new(letters: [u8; 2]) -> Result<Self, RegionError> {
        if letters.iter().all(u8::is_ascii_uppercase) {
            Ok(Self(letters))
        } else {
            Err(RegionError(String::from_utf8_lossy(&letters).into_owned()))
        }
    }

    /// Its letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Region {
    type Err = RegionError;
    fn from_str(text: &str) -> Result<Self, RegionError> {
        let letters = <[u8; 2]>::try_from(text.as_bytes()).map_err(|_| RegionError(text.chars().take(20).collect()))?;
        Self::new(letters)
    }
}

impl BorshDeserialize for Region {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let letters = <[u8; 2]>::deserialize_reader(reader)?;
        Self::new(letters).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
    }
}

serde_as_text!(Region);
