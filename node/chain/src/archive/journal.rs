//! The movements of money since genesis, out of the blocks.

use mesh30k_ledger::execute::execute;
use mesh30k_ledger::handover::Handover;
use mesh30k_ledger::restart::restart;
use mesh30k_ledger::state::{ChangeSet, MemoryState};
use mesh30k_ledger::types::Height;
use mesh30k_ledger::{journal, query};

use super::ArchiveError;
use crate::store::LedgerStore;

impl LedgerStore {
    /// Carries every final block out again, from `genesis`, and hands out the journal's entries. What comes out is compared with what
    /// was certified, block by block.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn journal(&self, genesis: ChangeSet, mut each: impl FnMut(String)) -> Result<Height, ArchiveError> {
        let last = query::tip(self)?.height;
        let mut state = MemoryState::new();
        state.apply(genesis);
        each(journal::opening(&state)?);
        let handovers = self.handovers()?;
        for height in (1..=last.0).map(Height) {
            let stored = self.block(height)?.ok_or(ArchiveError::NoBlock(height))?;
            // What a vote changes, the block itself carries out.
            let ordered = handovers.iter().filter(|handover| matches!(handover, Handover::Restart(_)));
            for handover in ordered.filter(|handover| handover.last().height.next() == height) {
                let (epoch, round) = handover.leads_to();
                let changes = restart(&state, epoch, round, handover.validators())?;
                state.apply(changes);
            }
            let done = execute(&state, &stored.block).map_err(|source| ArchiveError::Block { height, source })?;
            if done.commitment != stored.commitment {
                return Err(ArchiveError::Differs(height));
            }
            if let Some(entry) = journal::block(&state, &done.changes)? {
                each(entry);
            }
            state.apply(done.changes);
        }
        Ok(last)
    }
}
