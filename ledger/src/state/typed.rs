//! Records behind keys.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{StateError, StateRead};
use crate::codec::decode_trusted;

/// Bytes of one record, at most: far above what the limits of operations allow.
const MAX_RECORD_BYTES: usize = 1 << 22;

/// Reads a record.
pub(crate) fn read<T, S>(state: &S, key: &[u8]) -> Result<Option<T>, StateError>
where
    T: BorshDeserialize + BorshSerialize,
    S: StateRead + ?Sized,
{
    let mut record = None;
    state.view(key, &mut |bytes| record = Some(decode_record(key, bytes)))?;
    record.transpose()
}

/// Reads a record every state has.
pub(crate) fn read_or_corrupt<T, S>(state: &S, key: &[u8]) -> Result<T, StateError>
where
    T: BorshDeserialize + BorshSerialize,
    S: StateRead + ?Sized,
{
    read(state, key)?.ok_or_else(|| StateError::Corrupt { key: hex::encode(key), reason: "it is missing".into() })
}

/// Reads the bytes of a record. They are ours, and a tree commits to them: that they are canonical is not checked once more.
pub(crate) fn decode_record<T>(key: &[u8], bytes: &[u8]) -> Result<T, StateError>
where
    T: BorshDeserialize,
{
    decode_trusted(bytes, MAX_RECORD_BYTES)
        .map_err(|error| StateError::Corrupt { key: hex::encode(key), reason: error.to_string() })
}
