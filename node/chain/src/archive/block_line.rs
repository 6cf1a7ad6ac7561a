//! A final block as a line of JSON, and back, byte for byte.

use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::finality::{Certificate, Commitment};
use mesh30k_ledger::keys::Signature;
use mesh30k_ledger::outcome::{DueEvent, Outcome};
use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_ledger::types::{BlockId, Height, TxId};
use serde::{Deserialize, Serialize};

use super::MAX_ARCHIVE_LINE_BYTES;
use super::lineage::HistoryError;
use crate::store::{STORED_BLOCK_BYTES_MAX, StoredBlock};

/// The line: the block as a record, or its bytes in hexadecimal where the record would not give back exactly these.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    block: Height,
    id: BlockId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<Record>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
}

/// Each transaction beside what became of it, as in a receipt.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    header: Header,
    proposer_signature: Signature,
    transactions: Vec<Done>,
    due: Vec<DueEvent>,
    commitment: Commitment,
    certificate: Certificate,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Done {
    id: TxId,
    transaction: SignedTransaction,
    outcome: Outcome,
}

/// The one line of a block.
pub(super) fn write(stored: StoredBlock) -> Result<String, serde_json::Error> {
    let (block, id, bytes) = (stored.block.header.height, stored.block.id(), encode(&stored));
    let text = as_record(stored)?;
    let back = serde_json::from_str::<Line>(&text).ok().and_then(|line| line.record).map(StoredBlock::from);
    if back.is_some_and(|back| encode(&back) == bytes) {
        return Ok(text);
    }
    serde_json::to_string(&Line { block, id, record: None, bytes: Some(hex::encode(bytes)) })
}

/// The block of a line, if this is its line.
pub(super) fn read(text: &str) -> Result<StoredBlock, HistoryError> {
    if text.len() > MAX_ARCHIVE_LINE_BYTES {
        return Err(HistoryError::TooLong { bytes: text.len() });
    }
    let unreadable = |reason: String| HistoryError::Unreadable(reason);
    let line: Line = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
    let (stored, own) = match (line.record, line.bytes) {
        (Some(record), None) => {
            let stored = StoredBlock::from(record);
            (stored.clone(), as_record(stored))
        }
        (None, Some(bytes)) => {
            let bytes = hex::decode(bytes).map_err(|error| unreadable(format!("its bytes: {error}")))?;
            let stored: StoredBlock =
                decode(&bytes, STORED_BLOCK_BYTES_MAX).map_err(|error| unreadable(format!("its bytes: {error}")))?;
            (stored.clone(), write(stored))
        }
        _ => return Err(unreadable("it has to have either a record or bytes".into())),
    };
    let bytes = encode(&stored).len();
    if bytes > STORED_BLOCK_BYTES_MAX {
        return Err(HistoryError::TooLarge { bytes });
    }
    // One block is one line: what says the same in other words is refused, and so is a name that is not its own.
    if own.is_ok_and(|own| own == text) { Ok(stored) } else { Err(HistoryError::NotAsWritten) }
}

fn as_record(stored: StoredBlock) -> Result<String, serde_json::Error> {
    let (block, id) = (stored.block.header.height, stored.block.id());
    serde_json::to_string(&Line { block, id, record: Some(Record::of(stored)), bytes: None })
}

impl Record {
    fn of(stored: StoredBlock) -> Self {
        let StoredBlock { block, certificate, outcomes, due, commitment } = stored;
        let Block { header, transactions, proposer_signature } = block;
        let done =
            |(transaction, outcome): (SignedTransaction, Outcome)| Done { id: transaction.id(), transaction, outcome };
        let transactions = transactions.into_iter().zip(outcomes).map(done).collect();
        Self { header, proposer_signature, transactions, due, commitment, certificate }
    }
}

impl From<Record> for StoredBlock {
    fn from(record: Record) -> Self {
        let Record { header, proposer_signature, transactions, due, commitment, certificate } = record;
        let (transactions, outcomes) = transactions.into_iter().map(|done| (done.transaction, done.outcome)).unzip();
        let block = Block { header, transactions, proposer_signature };
        Self { block, certificate, outcomes, due, commitment }
    }
}

#[cfg(test)]
#[path = "block_line_tests.rs"]
mod tests;
