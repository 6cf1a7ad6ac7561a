//! What a group keeps beside its log, each record with a hash of its own.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::group::GroupId;
use crate::raft::LogError;
use crate::storage::{KvStore, Table, WriteBatch};

/// Version of the records; another one is refused.
const FORMAT: u8 = 2;
/// Domain of the records' hashes.
const CONTEXT: &str = "mesh30k 2026 raft meta record v2";
/// Bytes before a record's body: format and hash.
const HEAD_BYTES: usize = 1 + blake3::OUT_LEN;

/// Records of one group in the column family `raft_meta`: head of the log, vote, committed position, memberships, snapshot.
///
/// openraft believes what it is handed and panics on a membership or a vote that never was, so that a record with a changed bit
/// must not get that far: a record is a format byte, a hash over group, tag and body, and the body.
pub(crate) struct MetaTable {
    kv: Arc<dyn KvStore>,
    group: GroupId,
}

impl MetaTable {
    pub(crate) fn new(kv: Arc<dyn KvStore>, group: GroupId) -> Self {
        Self { kv, group }
    }

    /// The key of a record.
    pub(crate) fn key(&self, tag: &[u8]) -> Vec<u8> {
        [&self.group.key()[..], tag].concat()
    }

    /// A record, if there is one. `what` it is, for the error.
    pub(crate) fn read<T: DeserializeOwned>(&self, tag: &[u8], what: &'static str) -> Result<Option<T>, LogError> {
        let key = self.key(tag);
        let Some(record) = self.kv.get(Table::RaftMeta, &key)? else { return Ok(None) };
        let damaged = |reason: String| self.damaged(what, reason);
        let (format, rest) = record.split_first().ok_or_else(|| damaged("it is empty".to_owned()))?;
        if *format != FORMAT {
            return Err(damaged(format!("format {format} is unknown")));
        }
        let (stored, body) = rest
            .split_first_chunk::<{ blake3::OUT_LEN }>()
            .ok_or_else(|| damaged(format!("{} bytes are no record", record.len())))?;
        if hash(&key, body) != *stored {
            return Err(damaged("it does not match its hash".to_owned()));
        }
        let (value, rest) = postcard::take_from_bytes(body).map_err(|e| damaged(e.to_string()))?;
        if rest.is_empty() { Ok(Some(value)) } else { Err(damaged(format!("{} bytes too many", rest.len()))) }
    }

    pub(crate) fn put<T: Serialize>(
        &self,
        batch: &mut WriteBatch,
        tag: &[u8],
        what: &'static str,
        value: &T,
    ) -> Result<(), LogError> {
        let key = self.key(tag);
        let body = postcard::to_stdvec(value).map_err(|e| self.damaged(what, e.to_string()))?;
        let mut record = Vec::with_capacity(HEAD_BYTES + body.len());
        record.push(FORMAT);
        record.extend_from_slice(hash(&key, &body).as_bytes());
        record.extend_from_slice(&body);
        batch.put(Table::RaftMeta, key, record);
        Ok(())
    }

    /// What is said of a record that cannot be trusted.
    pub(crate) const fn damaged(&self, what: &'static str, reason: String) -> LogError {
        LogError::DamagedMeta { group: self.group, table: Table::RaftMeta.name(), what, reason }
    }
}

fn hash(key: &[u8], body: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(&(key.len() as u64).to_be_bytes()).update(key).update(body);
    hasher.finalize()
}
