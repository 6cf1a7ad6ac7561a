//! The whole state as lines of JSON, and back: a state that is read from an export has the same root, byte for byte.
//!
//! The first line names the format and the block the state is after. Each further line is one entry: its key in hexadecimal, and its
//! record as JSON, or its bytes in hexadecimal where a record has no JSON form that gives exactly its bytes. Trees are not written:
//! they follow from the records and are made anew.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::codec::encode;
use crate::fees::BaseFee;
use crate::finality::ValidatorSet;
use crate::operators::Operators;
use crate::parameters::Parameters;
use crate::query;
use crate::records::*;
use crate::signing::ChainContext;
use crate::state::{ChangeSet, Entry, StateError, StateRead, decode_record, keyspace};
use crate::types::{AccountId, Epoch, Hash};

mod importer;

pub use importer::Importer;

/// What the first line says.
const FORMAT: &str = "mesh30k ledger export v1";
/// Why a line is refused that can be read.
const NOT_AS_WRITTEN: &str = "it is not written as an export writes it";
/// Entries read at once.
const PAGE: usize = 1_024;
/// Bytes of one line, at most: twice the largest record in hexadecimal.
const MAX_LINE_BYTES: usize = 1 << 24;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    tip: Tip,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
}

/// Lines that are no export of a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant says in its sentence what its fields are")]
pub enum ImportError {
    #[error("line {line} is no first line of a `{FORMAT}`: {reason}")]
    Head { line: u64, reason: String },
    #[error("line {line} cannot be read: {reason}")]
    Line { line: u64, reason: String },
    #[error("line {line} does not come after the one before it; keys stand in ascending order, each once")]
    Order { line: u64 },
    #[error("the records give state root {found}, the first line of the state says {expected}")]
    Root { found: Hash, expected: Hash },
    #[error("state cannot be rebuilt")]
    State(#[from] StateError),
}

/// What is written of a state, in order: what is committed to, and the history of blocks that follows from the headers.
const DOMAINS: [&[u8]; 7] = [
    &[keyspace::BLOCKS],
    &[keyspace::ACCOUNTS],
    &[keyspace::CHAIN],
    &[keyspace::ESCROWS],
    &[keyspace::GOVERNANCE],
    keyspace::BLOCK_PEAKS,
    &[keyspace::TOPOLOGY],
];

/// Hands out the lines of a state, without line ends.
///
/// # Errors
/// State that cannot be read.
pub fn export(state: &dyn StateRead, mut each: impl FnMut(String)) -> Result<(), StateError> {
    each(text(&Head { format: FORMAT.into(), tip: query::tip(state)? })?);
    for domain in DOMAINS {
        let mut from = Vec::new();
        loop {
            let page = state.scan(domain, &from, PAGE)?;
            for (key, value) in &page {
                each(text(&line(key, value))?);
            }
            match page.into_iter().next_back() {
                Some((last, _)) => {
                    from = last;
                    from.push(0);
                }
                None => break,
            }
        }
    }
    Ok(())
}

/// Rebuilds the state of an export: everything there is to write. Its root is what its first line says, else it is refused; whether
/// that root is to be trusted is for a certificate to say.
///
/// # Errors
/// Lines that are no export, or whose records have another root.
pub fn import<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<ChangeSet, ImportError> {
    let mut lines = lines.into_iter();
    let mut importer = Importer::begin(1, lines.next().unwrap_or_default())?;
    let mut range = ChangeSet::new();
    for line in lines {
        range.extend(importer.take(line)?.map(|(key, value)| (key, Some(value))));
    }
    let mut changes = importer.finish()?;
    changes.append(&mut range);
    Ok(changes)
}

fn text<T: Serialize>(value: &T) -> Result<String, StateError> {
    serde_json::to_string(value).map_err(|error| StateError::Storage(format!("a line cannot be written: {error}")))
}

/// The kind of the record under a key, and the record as JSON; nothing where it has no JSON form.
#[must_use]
pub fn record(key: &[u8], value: &[u8]) -> Option<(&'static str, Value)> {
    let form = form_of(key)?;
    Some((form.kind, (form.to_json)(key, value)?))
}

fn line(key: &[u8], value: &[u8]) -> Line {
    let name = hex::encode(key);
    let bytes = || Line { key: name.clone(), kind: None, record: None, bytes: Some(hex::encode(value)) };
    let Some(form) = form_of(key) else { return bytes() };
    // Only what reads back as exactly these bytes is written as a record.
    match (form.to_json)(key, value).filter(|record| (form.to_bytes)(record.clone()).as_deref() == Ok(value)) {
        Some(record) => Line { key: name, kind: Some(form.kind.into()), record: Some(record), bytes: None },
        None => bytes(),
    }
}

fn entry(line: &str) -> Result<Entry, String> {
    if line.len() > MAX_LINE_BYTES {
        return Err(format!("it has {} bytes, at most {MAX_LINE_BYTES} are taken", line.len()));
    }
    let read: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let key = hex::decode(&read.key).map_err(|error| format!("its key: {error}"))?;
    let is_beside = key.starts_with(keyspace::BLOCK_PEAKS) && key != keyspace::BLOCK_PEAKS;
    if is_beside || !DOMAINS.iter().any(|domain| key.starts_with(domain)) {
        return Err("its key names nothing an export holds".into());
    }
    let value = match (read.record, read.bytes) {
        (None, Some(bytes)) => hex::decode(bytes).map_err(|error| format!("its bytes: {error}"))?,
        (record, None) => {
            let form = form_of(&key).ok_or("records of its key have no JSON form")?;
            if read.kind.as_deref() != Some(form.kind) {
                return Err(format!("its key is that of a record of kind {}", form.kind));
            }
            (form.to_bytes)(record.unwrap_or(Value::Null))?
        }
        _ => return Err("it has a record and bytes".into()),
    };
    // One state is one file: what says the same in other words is refused as well.
    if text(&self::line(&key, &value)).as_deref() != Ok(line) {
        return Err(NOT_AS_WRITTEN.into());
    }
    Ok((key, value))
}

/// How records under a prefix are written.
struct Form {
    prefix: &'static [u8],
    kind: &'static str,
    to_json: fn(&[u8], &[u8]) -> Option<Value>,
    to_bytes: fn(Value) -> Result<Vec<u8>, String>,
}

fn to_json<T: BorshDeserialize + Serialize>(key: &[u8], value: &[u8]) -> Option<Value> {
    serde_json::to_value(decode_record::<T>(key, value).ok()?).ok()
}

fn to_bytes<T: BorshSerialize + DeserializeOwned>(record: Value) -> Result<Vec<u8>, String> {
    let record: T = serde_json::from_value(record).map_err(|error| format!("its record: {error}"))?;
    Ok(encode(&record))
}

macro_rules! forms {
    ($($prefix:expr => $kind:literal: $record:ty,)*) => {
        const FORMS: &[Form] = &[$(
            Form { prefix: $prefix, kind: $kind, to_json: to_json::<$record>, to_bytes: to_bytes::<$record> },
        )*];
    };
}

forms! {
    &[keyspace::ACCOUNTS] => "account": Account,
    &[keyspace::ESCROWS] => "escrow": Escrow,
    keyspace::GLOBALS => "globals": Globals,
    keyspace::VALIDATORS => "validators": ValidatorSet,
    keyspace::EPOCH => "epoch": Epoch,
    keyspace::NEXT_VALIDATORS => "next_validators": ValidatorSet,
    keyspace::CONTEXT => "context": ChainContext,
    keyspace::REGIONS => "regions": Regions,
    keyspace::BASE_FEE => "base_fee": BaseFee,
    keyspace::SCHEDULES => "schedule": ScheduleRecord,
    keyspace::CLAIMS => "claim": ClaimRecord,
    b"cm" => "contribution": ContributionRecord,
    keyspace::EMISSION => "emission": EmissionRecord,
    keyspace::CONTENTS => "content": ContentRecord,
    b"cU" => "purchase": PurchaseRecord,
    keyspace::ANCHORS => "anchor": AnchorRecord,
    keyspace::AUCTIONS => "auction": AuctionRecord,
    b"cR" => "reputation": ReputationRecord,
    b"cP" => "calibration": CalibrationRecord,
    b"cu" => "purpose": PurposeRecord,
    keyspace::EMERGENCIES => "emergency": EmergencyRecord,
    keyspace::BONDS => "bond": BondRecord,
    keyspace::EPOCHS => "epoch_validators": EpochRecord,
    keyspace::JAILS => "jail": JailRecord,
    b"cG" => "declaration": DeclarationRecord,
    keyspace::INTENSITIES => "intensity": IntensityRecord,
    keyspace::CREDITS => "credits": CreditRecord,
    keyspace::CREDIT_TOTALS => "credit_totals": CreditTotals,
    b"ce" => "saving": SavingRecord,
    b"cC" => "retirement": RetirementRecord,
    keyspace::DUE => "due": (),
    b"cs" => "sponsorship": Sponsorship,
    keyspace::DIVIDENDS => "dividend": DividendRecord,
    b"cA" => "capability": CapabilityRecord,
    b"cV" => "volume": VolumeRecord,
    keyspace::QUOTAS => "quota": QuotaRecord,
    keyspace::QUOTA_OFFERS => "quota_offer": QuotaOffer,
    keyspace::QUOTA_DRAWS => "quota_draw": QuotaDraw,
    b"cJ" => "yielding_task": AccountId,
    keyspace::LISTINGS => "listing": ListingRecord,
    keyspace::ORDERS => "order": OrderRecord,
    b"cS" => "standing_listings": u32,
    keyspace::PARAMETERS => "parameters": Parameters,
    keyspace::OPERATORS => "operators": Operators,
    keyspace::PROPOSALS => "proposal": Proposal,
    b"gv" => "vote": VoteRecord,
    b"go" => "office": OfficeRecord,
    keyspace::FREEZES => "freeze": FreezeRecord,
    keyspace::NODES => "node": NodeRecord,
    b"th" => "hardware": HardwareRecord,
    keyspace::AGENTS => "agent": AgentRecord,
    keyspace::SECTORS => "sector": SectorRecord,
    b"tc" => "cluster": ClusterRecord,
}

/// The first bytes of a key tell its kind: one byte for accounts and escrows, two for everything else.
fn form_of(key: &[u8]) -> Option<&'static Form> {
    FORMS.iter().find(|form| key.starts_with(form.prefix))
}
