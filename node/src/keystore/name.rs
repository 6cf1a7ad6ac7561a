//! Names of keys.

use std::fmt;
use std::str::FromStr;

use super::KeystoreError;

/// Longest name, bytes.
const MAX_NAME_BYTES: usize = 64;

/// A key's name: safe as a file name on any system, and readable in a message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyName(String);

impl KeyName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = KeystoreError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let begins = text.bytes().next().is_some_and(plain);
        let rest = text.bytes().all(|byte| plain(byte) || byte == b'-' || byte == b'_');
        if begins && rest && text.len() <= MAX_NAME_BYTES {
            return Ok(Self(text.to_owned()));
        }
        Err(KeystoreError::BadName { name: text.chars().take(MAX_NAME_BYTES).collect() })
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
