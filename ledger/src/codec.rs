//! Strict canonical bytes: one encoding a value (borsh), nothing left over, nothing oversized.

use borsh::{BorshDeserialize, BorshSerialize};

/// Bytes that are not the canonical encoding of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// More bytes than this kind of object may have; nothing was read.
    #[error("{bytes} bytes, at most {max} are taken")]
    TooLong {
        /// How many came.
        bytes: usize,
        /// How many may come.
        max: usize,
    },
    /// Cut short, or a field is not what it must be.
    #[error("malformed or truncated at byte {at} of {bytes}: {reason}")]
    Malformed {
        /// Where reading stopped.
        at: usize,
        /// How many there were.
        bytes: usize,
        /// What the field says.
        reason: String,
    },
    /// Bytes after the end of the value.
    #[error("{extra} bytes are left over after the value")]
    Trailing {
        /// How many.
        extra: usize,
    },
    /// Reads as a value whose canonical bytes are others.
    #[error("not the canonical encoding of its value")]
    NonCanonical,
}

/// The canonical bytes of a value.
#[must_use]
pub fn encode<T: BorshSerialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    encode_into(value, &mut bytes);
    bytes
}

/// As [`encode`], after what is in `bytes` already.
pub(crate) fn encode_into<T: BorshSerialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) {
    // Writing to memory fails only for a collection of 2^32 items, which the limits of every object exclude.
    let written = value.serialize(bytes);
    debug_assert!(written.is_ok(), "encoding in memory cannot fail");
}

/// Reads exactly one value from at most `max` bytes.
///
/// # Errors
/// Too many bytes, too few, some left over, or another encoding than the canonical one.
pub fn decode<T: BorshDeserialize + BorshSerialize>(bytes: &[u8], max: usize) -> Result<T, CodecError> {
    let value = decode_trusted(bytes, max)?;
    if encode(&value) != bytes {
        return Err(CodecError::NonCanonical);
    }
    Ok(value)
}

/// As [`decode`], for bytes this machine wrote itself: does not write them again to compare.
pub(crate) fn decode_trusted<T: BorshDeserialize>(bytes: &[u8], max: usize) -> Result<T, CodecError> {
    if bytes.len() > max {
        return Err(CodecError::TooLong { bytes: bytes.len(), max });
    }
    let mut rest = bytes;
    let value = T::deserialize(&mut rest).map_err(|error| CodecError::Malformed {
        at: bytes.len().saturating_sub(rest.len()),
        bytes: bytes.len(),
        reason: error.to_string(),
    })?;
    if !rest.is_empty() {
        return Err(CodecError::Trailing { extra: rest.len() });
    }
    Ok(value)
}
