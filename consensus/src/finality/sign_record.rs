//! Bytes of a sign-log: a header and records of 128 bytes each, chained by checksum.
//!
//! 128 divides every sector size, so that no record straddles two sectors, and the chain notices a
//! record that was removed or swapped. Layout of both: magic (8), fields, zeros, checksum (32) of
//! the previous checksum and the 96 bytes before.

use mesh30k_ledger::finality::Phase;
use mesh30k_ledger::keys::PublicKey;
use mesh30k_ledger::types::{Epoch, Hash, Height, Round};

use super::sign_log::{SignLogError, VoteKey};

/// Size of the header and of each record.
pub(super) const RECORD_BYTES: usize = 128;
const BODY_BYTES: usize = 96;
const HEADER_MAGIC: [u8; 8] = *b"M30KSIGN";
const RECORD_MAGIC: [u8; 8] = *b"M30KVOTE";
const KIND_VOTE: u8 = 1;
const KIND_REFUSAL: u8 = 2;

/// Phases a vote can have.
pub(super) const PHASES: [Phase; 2] = [Phase::First, Phase::Second];

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A vote that may have left the process.
    Vote {
        /// What it is for.
        key: VoteKey,
        /// Hash of the vote.
        vote: Hash,
    },
    /// No signing in this epoch and those before.
    Refusal {
        /// Last epoch refused.
        epoch: Epoch,
    },
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) key: PublicKey,
    pub(super) first_epoch: Epoch,
    pub(super) rotated: bool,
    pub(super) entries: Vec<Entry>,
    /// Checksum the next record is chained to.
    pub(super) chain: Hash,
    /// Bytes up to the end of the last whole record; a torn one behind it is to be cut off.
    pub(super) valid_bytes: usize,
}

/// Encodes the header; also returns its checksum.
pub(super) fn header(key: &PublicKey, first_epoch: Epoch, rotated: bool) -> (Vec<u8>, Hash) {
    let mut body = HEADER_MAGIC.to_vec();
    body.extend_from_slice(&key.0);
    body.extend_from_slice(&first_epoch.0.to_le_bytes());
    body.push(u8::from(rotated));
    seal(body, &Hash::ZERO)
}

/// Encodes a record chained to `previous`; also returns its checksum.
pub(super) fn record(entry: &Entry, previous: &Hash) -> (Vec<u8>, Hash) {
    let mut body = RECORD_MAGIC.to_vec();
    match entry {
        Entry::Vote { key, vote } => {
            body.extend_from_slice(&[KIND_VOTE, phase_byte(key.phase)]);
            body.extend_from_slice(&key.epoch.0.to_le_bytes());
            body.extend_from_slice(&key.round.0.to_le_bytes());
            body.extend_from_slice(&key.height.0.to_le_bytes());
            body.extend_from_slice(&vote.0);
        }
        Entry::Refusal { epoch } => {
            body.extend_from_slice(&[KIND_REFUSAL, 0]);
            body.extend_from_slice(&epoch.0.to_le_bytes());
        }
    }
    seal(body, previous)
}

/// Checks a whole file.
pub(super) fn parse(bytes: &[u8]) -> Result<Image, SignLogError> {
    let (head, rest) = bytes.split_at_checked(RECORD_BYTES).ok_or(SignLogError::CorruptHeader)?;
    let (key, first_epoch, rotated) = read_header(head).ok_or(SignLogError::CorruptHeader)?;
    let mut chain = checksum_of(head);
    let mut entries = Vec::new();
    let records = rest.len().div_ceil(RECORD_BYTES);
    for (record, bytes) in rest.chunks(RECORD_BYTES).enumerate() {
        match read_record(bytes, &chain) {
            Some(entry) => {
                entries.push(entry);
                chain = checksum_of(bytes);
            }
            None if record + 1 == records && is_torn(bytes, &chain) => break,
            None => return Err(SignLogError::Corrupt { record, records }),
        }
    }
    let valid_bytes = RECORD_BYTES * (entries.len() + 1);
    Ok(Image { key, first_epoch, rotated, entries, chain, valid_bytes })
}

/// A write that a power cut interrupted is short, or has zeros where its pages never arrived. Any
/// other damage happened to a record that may have been synced and its vote released.
fn is_torn(record: &[u8], previous: &Hash) -> bool {
    if record.len() < RECORD_BYTES || record.starts_with(&[0; RECORD_MAGIC.len()]) {
        return true;
    }
    let written = record.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    // Either nothing of the checksum arrived, or a beginning of the right one.
    let (body, found) = record.split_at(BODY_BYTES);
    let arrived = &found[..written.saturating_sub(BODY_BYTES)];
    arrived.len() < found.len() && checksum(previous, body).0.starts_with(arrived)
}

fn seal(mut body: Vec<u8>, previous: &Hash) -> (Vec<u8>, Hash) {
    body.resize(BODY_BYTES, 0);
    let checksum = checksum(previous, &body);
    body.extend_from_slice(&checksum.0);
    (body, checksum)
}

fn checksum(previous: &Hash, body: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&previous.0);
    hasher.update(body);
    Hash(*hasher.finalize().as_bytes())
}

fn checksum_of(sealed: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(&sealed[BODY_BYTES..RECORD_BYTES]);
    Hash(hash)
}

fn phase_byte(phase: Phase) -> u8 {
    match phase {
        Phase::First => 1,
        Phase::Second => 2,
    }
}

fn unseal<'a>(bytes: &'a [u8], magic: &[u8; 8], previous: &Hash) -> Option<&'a [u8]> {
    let (body, found) = bytes.split_at_checked(BODY_BYTES)?;
    let sound = found == checksum(previous, body).0 && body.starts_with(magic);
    sound.then(|| &body[magic.len()..])
}

fn read_header(bytes: &[u8]) -> Option<(PublicKey, Epoch, bool)> {
    let mut fields = Fields(unseal(bytes, &HEADER_MAGIC, &Hash::ZERO)?);
    Some((PublicKey(fields.take()?), Epoch(u32::from_le_bytes(fields.take()?)), fields.take::<1>()? == [1]))
}

fn read_record(bytes: &[u8], previous: &Hash) -> Option<Entry> {
    let mut fields = Fields(unseal(bytes, &RECORD_MAGIC, previous)?);
    let [kind, phase] = fields.take()?;
    let epoch = Epoch(u32::from_le_bytes(fields.take()?));
    match kind {
        KIND_VOTE => {
            let round = Round(u32::from_le_bytes(fields.take()?));
            let height = Height(u64::from_le_bytes(fields.take()?));
            let vote = Hash(fields.take()?);
            let phase = PHASES.into_iter().find(|known| phase_byte(*known) == phase)?;
            Some(Entry::Vote { key: VoteKey { phase, epoch, round, height }, vote })
        }
        KIND_REFUSAL => Some(Entry::Refusal { epoch }),
        _ => None,
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }
}
