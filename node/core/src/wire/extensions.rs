//! The only part of a mesh message with room to grow.

use borsh::{BorshDeserialize, BorshSerialize};
use std::io;

/// Most extensions one message may carry.
pub const MAX_EXTENSIONS: usize = 16;
/// Most bytes one extension may hold.
pub const MAX_EXTENSION_BYTES: usize = 4_096;

/// Extensions of a message by tag, in rising order; those a reader does not know are kept and passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize)]
pub struct Extensions(Vec<(u16, Vec<u8>)>);

/// Why an extension was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionsError {
    /// Tags must rise strictly, so that there is one encoding of a set.
    #[error("extension tag {tag} follows tag {previous}, tags must rise strictly")]
    Unsorted {
        /// The tag at fault.
        tag: u16,
        /// The one before it.
        previous: u16,
    },
    /// Too many extensions.
    #[error("message has {count} extensions, limit is {limit}")]
    TooMany {
        /// How many there are.
        count: usize,
        /// The bound, [`MAX_EXTENSIONS`].
        limit: usize,
    },
    /// One extension is too large.
    #[error("extension {tag} has {bytes} bytes, limit is {limit}")]
    TooLarge {
        /// The tag at fault.
        tag: u16,
        /// Its size.
        bytes: usize,
        /// The bound, [`MAX_EXTENSION_BYTES`].
        limit: usize,
    },
}

impl Extensions {
    /// No extensions.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets one extension, replacing the one with the same tag.
    ///
    /// # Errors
    /// [`ExtensionsError::TooLarge`] and [`ExtensionsError::TooMany`].
    pub fn set(&mut self, tag: u16, bytes: Vec<u8>) -> Result<(), ExtensionsError> {
        check_size(tag, &bytes)?;
        match self.0.binary_search_by_key(&tag, |(t, _)| *t) {
            Ok(at) => {
                if let Some(slot) = self.0.get_mut(at) {
                    slot.1 = bytes;
                }
            }
            Err(_) if self.0.len() >= MAX_EXTENSIONS => {
                return Err(ExtensionsError::TooMany { count: self.0.len().saturating_add(1), limit: MAX_EXTENSIONS });
            }
            Err(at) => self.0.insert(at, (tag, bytes)),
        }
        Ok(())
    }

    /// The bytes under `tag`.
    #[must_use]
    pub fn get(&self, tag: u16) -> Option<&[u8]> {
        let at = self.0.binary_search_by_key(&tag, |(t, _)| *t).ok()?;
        self.0.get(at).map(|(_, bytes)| bytes.as_slice())
    }

    /// All extensions in rising order of their tags.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.0.iter().map(|(tag, bytes)| (*tag, bytes.as_slice()))
    }

    fn check(&self) -> Result<(), ExtensionsError> {
        if self.0.len() > MAX_EXTENSIONS {
            return Err(ExtensionsError::TooMany { count: self.0.len(), limit: MAX_EXTENSIONS });
        }
        let mut previous = None;
        for (tag, bytes) in &self.0 {
            if let Some(previous) = previous.filter(|p| p >= tag) {
                return Err(ExtensionsError::Unsorted { tag: *tag, previous });
            }
            check_size(*tag, bytes)?;
            previous = Some(*tag);
        }
        Ok(())
    }
}

const fn check_size(tag: u16, bytes: &[u8]) -> Result<(), ExtensionsError> {
    if bytes.len() > MAX_EXTENSION_BYTES {
        return Err(ExtensionsError::TooLarge { tag, bytes: bytes.len(), limit: MAX_EXTENSION_BYTES });
    }
    Ok(())
}

impl BorshDeserialize for Extensions {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let extensions = Self(Vec::deserialize_reader(reader)?);
        extensions.check().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        Ok(extensions)
    }
}
