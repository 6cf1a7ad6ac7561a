//! Where a passphrase comes from.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::KeystoreError;

/// Variable that holds a passphrase. The CLI asks at the terminal when neither it nor a file is given.
pub const PASSPHRASE_VARIABLE: &str = "MESH30K_PASSPHRASE";
/// Longest passphrase, bytes.
const MAX_BYTES: usize = 1_024;

/// A passphrase, wiped from memory when dropped and never printed.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes a text over.
    ///
    /// # Errors
    /// [`KeystoreError::Passphrase`] when it is empty or longer than 1,024 bytes.
    pub fn new(text: impl Into<String>) -> Result<Self, KeystoreError> {
        let text = Zeroizing::new(text.into());
        match text.len() {
            0 => refused("it is empty"),
            1..=MAX_BYTES => Ok(Self(text)),
            _ => refused(format!("it is longer than {MAX_BYTES} bytes")),
        }
    }

    /// Reads the first line of a file.
    ///
    /// # Errors
    /// [`KeystoreError::Io`] or [`KeystoreError::Passphrase`].
    pub fn from_file(path: &Path) -> Result<Self, KeystoreError> {
        let io = |source| KeystoreError::Io { action: "reading passphrase file", path: path.to_owned(), source };
        let mut text = Zeroizing::new(String::with_capacity(2 * MAX_BYTES));
        let file = File::open(path).map_err(io)?;
        file.take(2 * MAX_BYTES as u64).read_to_string(&mut text).map_err(io)?;
        Self::new(text.lines().next().unwrap_or_default())
    }

    /// The first source that is there: the file, else the variable's value (the caller reads the environment).
    ///
    /// # Errors
    /// As [`Self::from_file`]; none is no error.
    pub fn find(file: Option<&Path>, variable: Option<String>) -> Result<Option<Self>, KeystoreError> {
        match (file, variable) {
            (Some(path), _) => Self::from_file(path).map(Some),
            (None, Some(text)) => Self::new(text).map(Some),
            (None, None) => Ok(None),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

fn refused<T>(reason: impl Into<String>) -> Result<T, KeystoreError> {
    Err(KeystoreError::Passphrase { reason: reason.into() })
}
