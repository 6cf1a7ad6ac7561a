//! Reading an export line by line.

use super::{FORMAT, Head, ImportError, NOT_AS_WRITTEN, entry, text};
use crate::codec::encode;
use crate::records::Tip;
use crate::smt;
use crate::state::{ChangeSet, Entry, MemoryState, keyspace};

/// Takes the lines of an export in order. The history of blocks, which grows with the chain, is handed on and not kept.
#[derive(Debug)]
pub struct Importer {
    tip: Tip,
    records: ChangeSet,
    beside: ChangeSet,
    last: Vec<u8>,
    line: u64,
}

impl Importer {
    /// Begins with the first line of the export; `number` is how errors are to count it.
    ///
    /// # Errors
    /// Another format.
    pub fn begin(number: u64, first: &str) -> Result<Self, ImportError> {
        let refused = |reason: String| ImportError::Head { line: number, reason };
        let head: Head = serde_json::from_str(first).map_err(|error| refused(error.to_string()))?;
        if head.format != FORMAT {
            return Err(refused(head.format.chars().take(60).collect()));
        }
        if text(&head).as_deref() != Ok(first) {
            return Err(refused(NOT_AS_WRITTEN.into()));
        }
        let (records, beside) = (ChangeSet::new(), ChangeSet::new());
        Ok(Self { tip: head.tip, records, beside, last: Vec::new(), line: number })
    }

    /// The block the state is after, by its own word.
    #[must_use]
    pub const fn tip(&self) -> &Tip {
        &self.tip
    }

    /// Takes the next line; gives it back where it is a node of the range of blocks.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn take(&mut self, line: &str) -> Result<Option<Entry>, ImportError> {
        self.line = self.line.saturating_add(1);
        let (key, value) = entry(line).map_err(|reason| ImportError::Line { line: self.line, reason })?;
        if key <= self.last {
            return Err(ImportError::Order { line: self.line });
        }
        self.last.clone_from(&key);
        match key.first() {
            Some(&keyspace::BLOCKS) => return Ok(Some((key, value))),
            Some(domain) if keyspace::COMMITTED.contains(domain) => drop(self.records.insert(key, Some(value))),
            _ => drop(self.beside.insert(key, Some(value))),
        }
        Ok(None)
    }

    /// Everything there is to write but the range of blocks: trees and tip are made anew.
    ///
    /// # Errors
    /// Another root than the first line says.
    pub fn finish(self) -> Result<ChangeSet, ImportError> {
        let Self { tip, mut records, mut beside, .. } = self;
        let found = smt::update(&MemoryState::new(), &mut records)?;
        if found != tip.state_root {
            return Err(ImportError::Root { found, expected: tip.state_root });
        }
        records.append(&mut beside);
        records.insert(keyspace::TIP.to_vec(), Some(encode(&tip)));
        Ok(records)
    }
}
