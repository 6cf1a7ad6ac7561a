//! What is asked of every strict decoder.

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::codec::{decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// Reads bytes as a `T`. What is read writes itself as exactly these bytes; one byte less, one more or a lower limit is refused.
pub fn strict<T: BorshSerialize + BorshDeserialize + PartialEq + Debug>(bytes: &[u8], max: usize) -> Option<T> {
    let value: T = decode(bytes, max).ok()?;
    assert_eq!(encode(&value), bytes, "read and written again: {value:?}");
    if let Some((_, shorter)) = bytes.split_last() {
        assert!(decode::<T>(shorter, max).is_err(), "one byte less was taken too: {value:?}");
        assert!(decode::<T>(bytes, shorter.len()).is_err(), "more than the limit was taken: {value:?}");
    }
    let longer = [bytes, &[0]].concat();
    assert!(decode::<T>(&longer, longer.len()).is_err(), "a trailing byte was taken: {value:?}");
    Some(value)
}

/// A value that also travels as JSON comes back the same.
pub fn through_json<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let text = serde_json::to_string(value).expect("it can be written");
    assert_eq!(&serde_json::from_str::<T>(&text).expect("what was written can be read"), value);
}

/// A JSON text that is taken is the same when it is written and read again.
pub fn stable_json<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(bytes).ok()?;
    let text = serde_json::to_vec(&value).expect("it can be written");
    let again: T = serde_json::from_slice(&text).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&again).expect("it can be written"), text);
    Some(value)
}

/// The first byte chooses one of `kinds`, the rest is for it.
pub fn choose(bytes: &[u8], kinds: u8) -> Option<(u8, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    Some((first % kinds, rest))
}
