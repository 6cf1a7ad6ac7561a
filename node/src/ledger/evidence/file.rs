//! Evidence on disk: one small file, written anew with each new piece.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use mesh30k_consensus::finality::Evidence;
use mesh30k_ledger::types::TimeMs;
use serde::{Deserialize, Serialize};

use super::book::EvidenceBook;

#[derive(Serialize, Deserialize)]
struct Saved {
    seen_at: TimeMs,
    /// Canonical bytes.
    evidence_hex: String,
}

/// Writes the whole book; whoever crashes in between has the old one.
pub(super) fn write(path: &Path, book: &EvidenceBook) -> io::Result<()> {
    let saved: Vec<Saved> = book
        .iter()
        .map(|(_, kept)| Saved { seen_at: kept.seen_at, evidence_hex: hex::encode(kept.evidence.encode()) })
        .collect();
    let aside = path.with_extension("json.new");
    let mut file = File::create(&aside)?;
    file.write_all(&serde_json::to_vec_pretty(&saved)?)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Reads what was kept before; nothing when there is no file. What is not readable in it is left out and told of.
pub(super) fn read(path: &Path) -> io::Result<Vec<(TimeMs, Evidence)>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let saved: Vec<Saved> = serde_json::from_slice(&bytes)?;
    let piece = |saved: Saved| {
        let decoded = hex::decode(&saved.evidence_hex).ok().and_then(|bytes| Evidence::decode(&bytes).ok());
        if decoded.is_none() {
            tracing::warn!(path = %path.display(), "a piece of evidence can't be read and is left out");
        }
        Some((saved.seen_at, decoded?))
    };
    Ok(saved.into_iter().filter_map(piece).collect())
}
