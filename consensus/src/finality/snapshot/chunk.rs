//! Cutting sorted pairs into chunks, and reading a chunk back.

use borsh::{BorshDeserialize, BorshSerialize};
use mesh30k_ledger::codec;
use mesh30k_ledger::types::Hash;

use super::{MAX_CHUNK_BYTES, MAX_CHUNKS, SnapshotError};

/// One key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Length prefixes of borsh: of the list, and of a key and a value.
const LIST_PREFIX_BYTES: usize = 4;
const PAIR_PREFIX_BYTES: usize = 8;

/// A chunk as the manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChunkInfo {
    /// BLAKE3 of its bytes.
    pub hash: Hash,
    /// Its size.
    pub bytes: u32,
}

/// A chunk to store or to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its line in the manifest.
    pub info: ChunkInfo,
    /// Strict borsh of its pairs.
    pub bytes: Vec<u8>,
}

impl Chunk {
    fn of(pairs: &[Pair]) -> Result<Self, SnapshotError> {
        let bytes = codec::encode(&pairs);
        let size = u32::try_from(bytes.len()).map_err(|_| too_large(bytes.len()))?;
        Ok(Self { info: ChunkInfo { hash: hash(&bytes), bytes: size }, bytes })
    }
}

/// Makes chunks of pairs that come in key order, from one consistent view of the state. Holds at
/// most one chunk.
#[derive(Debug, Default)]
pub struct Chunker {
    pairs: Vec<Pair>,
    size: usize,
    last_key: Option<Vec<u8>>,
    pushed: u64,
    infos: Vec<ChunkInfo>,
}

impl Chunker {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pair; returns a chunk when the pair no longer fits into it.
    pub fn push(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<Option<Chunk>, SnapshotError> {
        if self.last_key.as_ref().is_some_and(|last| *last >= key) {
            return Err(SnapshotError::NotSorted { index: self.pushed });
        }
        let size = key.len().saturating_add(value.len()).saturating_add(PAIR_PREFIX_BYTES);
        if size.saturating_add(LIST_PREFIX_BYTES) > MAX_CHUNK_BYTES {
            return Err(too_large(size));
        }
        let full = self.size.saturating_add(size).saturating_add(LIST_PREFIX_BYTES) > MAX_CHUNK_BYTES;
        let chunk = if full { Some(self.cut()?) } else { None };
        self.last_key = Some(key.clone());
        self.pairs.push((key, value));
        self.size += size;
        self.pushed += 1;
        Ok(chunk)
    }

    /// The last chunk, if there is a rest, and the lines of all chunks for the manifest.
    pub fn finish(mut self) -> Result<(Option<Chunk>, Vec<ChunkInfo>), SnapshotError> {
        let last = if self.pairs.is_empty() { None } else { Some(self.cut()?) };
        Ok((last, self.infos))
    }

    fn cut(&mut self) -> Result<Chunk, SnapshotError> {
        super::at_most("number of chunks", self.infos.len() + 1, MAX_CHUNKS)?;
        let chunk = Chunk::of(&std::mem::take(&mut self.pairs))?;
        self.size = 0;
        self.infos.push(chunk.info.clone());
        Ok(chunk)
    }
}

/// Checks a chunk against its line and decodes it.
pub(super) fn open(index: usize, info: &ChunkInfo, bytes: &[u8]) -> Result<Vec<Pair>, SnapshotError> {
    super::at_most("size of a chunk", bytes.len(), MAX_CHUNK_BYTES)?;
    let found = hash(bytes);
    if found != info.hash {
        return Err(SnapshotError::ChunkHash { index, found, expected: info.hash });
    }
    let wrong = |what| SnapshotError::ChunkContent { index, what };
    if usize::try_from(info.bytes).ok() != Some(bytes.len()) {
        return Err(wrong("its size is not the one in the manifest"));
    }
    let pairs: Vec<Pair> =
        codec::decode(bytes, MAX_CHUNK_BYTES).map_err(|_| wrong("its bytes are not a list of pairs"))?;
    if pairs.is_empty() {
        return Err(wrong("it is empty"));
    }
    if pairs.windows(2).any(|two| matches!(two, [a, b] if a.0 >= b.0)) {
        return Err(wrong("its keys do not rise"));
    }
    Ok(pairs)
}

fn hash(bytes: &[u8]) -> Hash {
    Hash(*blake3::hash(bytes).as_bytes())
}

fn too_large(found: usize) -> SnapshotError {
    SnapshotError::TooLarge { what: "size of a pair", found: found as u64, limit: MAX_CHUNK_BYTES as u64 }
}
