//! Blocks and state that come from a file. They are written as they come, and count from one last write on; until then a mark says
//! that they are to be taken back.

use mesh30k_consensus::finality::FinalTip;
use mesh30k_consensus::storage::{ScanLimit, StoreError, Table, WriteBatch};
use mesh30k_ledger::handover::Handover;
use mesh30k_ledger::range_audit::RANGE_PREFIX;
use mesh30k_ledger::state::ChangeSet;
use mesh30k_ledger::types::{Height, TxId};

use super::{BLOCK_PREFIX, LedgerStore, STATE_PAGE, StoredBlock, put_block, put_changes, put_handover, put_tip};

/// There while an import is not finished.
const IMPORT_KEY: &[u8] = b"ledger/import";
/// Blocks looked at a time.
const BLOCK_PAGE: usize = 1_024;

impl LedgerStore {
    /// The first of the blocks that are kept without a gap up to `last`; none if that one is not kept.
    ///
    /// # Errors
    /// Storage that fails.
    pub(crate) fn kept_from(&self, last: Height) -> Result<Option<Height>, StoreError> {
        let (mut from, mut first, mut expected) = (vec![BLOCK_PREFIX], None, None);
        loop {
            let page = self.kv.scan_prefix(Table::Blocks, &[BLOCK_PREFIX], &from, ScanLimit::entries(BLOCK_PAGE))?;
            let Some((end, _)) = page.last() else { break };
            from = [end.as_slice(), &[0]].concat();
            for (key, _) in &page {
                let height = key.get(1..).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes).map(Height);
                if height != expected {
                    first = height;
                }
                expected = height.map(Height::next);
            }
        }
        Ok(first.filter(|_| expected == Some(last.next())))
    }

    /// Marks that an import begins, on a ledger that has only its genesis.
    ///
    /// # Errors
    /// Storage that fails.
    pub(crate) fn begin_import(&self) -> Result<(), StoreError> {
        self.take_back_import()?;
        let mut batch = WriteBatch::new();
        batch.put(Table::Misc, IMPORT_KEY.to_vec(), Vec::new());
        self.kv.write(&batch)
    }

    /// Writes a block that was checked, with its indexes.
    ///
    /// # Errors
    /// Storage that fails.
    pub(crate) fn put_imported(&self, stored: &StoredBlock, transactions: &[TxId]) -> Result<(), StoreError> {
        let mut batch = WriteBatch::new();
        put_block(&mut batch, stored, transactions);
        self.kv.write(&batch)
    }

    /// Writes a node of the range of blocks.
    ///
    /// # Errors
    /// Storage that fails.
    pub(crate) fn put_imported_node(&self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        let mut batch = WriteBatch::new();
        batch.put(Table::State, key, value);
        self.kv.write(&batch)
    }

    /// Reads back what [`Self::put_imported_node`] wrote.
    ///
    /// # Errors
    /// Storage that fails.
    pub(crate) fn imported_node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.kv.get(Table::State, key)
    }

    /// Puts the rest of the state in the place of the genesis, and lets all that was imported count.
    ///
    /// # Errors
    /// Storage that fails.
    pub(crate) fn finish_import(
        &self,
        changes: &ChangeSet,
        tip: &FinalTip,
        handovers: &[Handover],
    ) -> Result<(), StoreError> {
        let mut batch = WriteBatch::new();
        self.delete_state(&mut batch, |key| !key.starts_with(RANGE_PREFIX))?;
        put_changes(&mut batch, changes);
        put_tip(&mut batch, tip);
        handovers.iter().for_each(|handover| put_handover(&mut batch, handover));
        batch.delete(Table::Misc, IMPORT_KEY.to_vec());
        let _writing = self.commit.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.resident.replace(changes, || self.kv.write(&batch))
    }

    /// Takes back what an import wrote that was not finished: true if there was one. A genesis has neither blocks nor their range.
    ///
    /// # Errors
    /// Storage that fails; the next call goes on.
    pub fn take_back_import(&self) -> Result<bool, StoreError> {
        if self.kv.get(Table::Misc, IMPORT_KEY)?.is_none() {
            return Ok(false);
        }
        for (table, prefix) in [(Table::Blocks, &[][..]), (Table::State, RANGE_PREFIX)] {
            loop {
                let page = self.kv.scan_prefix(table, prefix, prefix, ScanLimit::entries(STATE_PAGE))?;
                if page.is_empty() {
                    break;
                }
                let mut batch = WriteBatch::new();
                for (key, _) in page {
                    batch.delete(table, key);
                }
                self.kv.write(&batch)?;
            }
        }
        let mut batch = WriteBatch::new();
        batch.delete(Table::Misc, IMPORT_KEY.to_vec());
        self.kv.write(&batch)?;
        Ok(true)
    }
}
