//! Reading an archive line by line: the head, the blocks, the state. What was checked is written at once, and counts only from the end on.

use std::sync::Arc;

use mesh30k_consensus::finality::FinalTip;
use mesh30k_consensus::storage::StoreError;
use mesh30k_ledger::authority::Authority;
use mesh30k_ledger::export::Importer;
use mesh30k_ledger::finality_proof::{FinalityProofError, check};
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::handover::{Handover, VotedHandover};
use mesh30k_ledger::query;
use mesh30k_ledger::range_audit::{RangeAudit, RangeError};
use mesh30k_ledger::state::{MemoryState, Overlay, StateError, StateRead};
use mesh30k_ledger::types::{Hash, Height};

use super::lineage::{HistoryError, Lineage};
use super::{ArchiveError, FORMAT, Head, block_line};
use crate::store::LedgerStore;

/// Takes the lines of one archive into a ledger that has only its genesis.
pub(super) struct Reader<'a> {
    store: &'a LedgerStore,
    head: Head,
    /// After all hand-overs of the head.
    authority: Authority,
    line: u64,
    lineage: Lineage,
    state: Option<Importer>,
    range: RangeAudit,
}

impl<'a> Reader<'a> {
    /// Begins with the first line, whose proof has to hold; from then on things are written.
    pub(super) fn begin(store: &'a LedgerStore, genesis: &Genesis, first: &str) -> Result<Self, ArchiveError> {
        let head: Head = serde_json::from_str(first).map_err(|error| ArchiveError::Head(error.to_string()))?;
        if head.format != FORMAT {
            return Err(ArchiveError::Head(head.format.chars().take(60).collect()));
        }
        let (found, expected) = (head.certificate.context, genesis.context());
        if found != expected {
            let (found, expected) = (found.chain.to_string(), expected.chain.to_string());
            return Err(ArchiveError::OtherChain { found, expected });
        }
        let authority = head.check(genesis)?;
        let last = head.header.height;
        if head.first_block.is_some_and(|first| first == Height(0) || first > last) {
            return Err(ArchiveError::Head("its history begins at no block it can hold".into()));
        }
        if head.text()? != first {
            return Err(ArchiveError::Head("it is not written as an export writes it".into()));
        }
        let from = head.first_block.unwrap_or(last.next());
        let begins = query::tip(store)?.block;
        let lineage = Lineage::new(genesis, &head.handovers, from, (from == Height(1)).then_some(begins));
        store.begin_import()?;
        Ok(Self { store, head, authority, line: 1, lineage, state: None, range: RangeAudit::default() })
    }

    /// Takes the next line.
    pub(super) fn take(&mut self, line: &str) -> Result<(), ArchiveError> {
        self.line += 1;
        if self.state.is_some() {
            return self.take_entry(line);
        }
        let height = self.lineage.next();
        if height <= self.head.header.height {
            let number = self.line;
            return self.take_block(line).map_err(|refused| match refused {
                Refused::Line(source) => ArchiveError::History { line: number, height, source },
                Refused::Storage(error) => error.into(),
            });
        }
        self.state = Some(Importer::begin(self.line, line)?);
        Ok(())
    }

    fn take_block(&mut self, line: &str) -> Result<(), Refused> {
        let stored = block_line::read(line)?;
        let is_last = self.lineage.next() == self.head.header.height;
        let transactions = self.lineage.take(&stored)?;
        let own = (&stored.block.header, &stored.commitment, &stored.certificate);
        if is_last && own != (&self.head.header, &self.head.commitment, &self.head.certificate) {
            return Err(HistoryError::OtherLast.into());
        }
        Ok(self.store.put_imported(&stored, &transactions)?)
    }

    fn take_entry(&mut self, line: &str) -> Result<(), ArchiveError> {
        let Some(state) = self.state.as_mut() else { return Ok(()) };
        let Some((key, value)) = state.take(line)? else { return Ok(()) };
        let below = |key: &[u8]| self.store.imported_node(key);
        self.range.take(&key, &value, below).map_err(|source| ArchiveError::Range { line: self.line, source })?;
        Ok(self.store.put_imported_node(key, value)?)
    }

    /// Lets all of it count, if the state is that after the last block.
    pub(super) fn finish(self) -> Result<FinalTip, ArchiveError> {
        let changes = Arc::new(self.state.ok_or(ArchiveError::CutShort(self.line))?.finish()?);
        let whole = self
            .range
            .finish()
            .map_err(|source: RangeError<StoreError>| ArchiveError::Range { line: self.line, source })?;
        let mut state = Overlay::new(MemoryState::new());
        state.push(Arc::clone(&changes));
        self.head.check_state(&state, whole)?;
        let mut handovers = self.head.handovers.clone();
        handovers.extend(self.head.ended_epoch(&state, self.authority)?);
        let tip = FinalTip::of(&self.head.header, &self.head.certificate);
        self.store.finish_import(&changes, &tip, &handovers)?;
        Ok(tip)
    }
}

impl Head {
    /// Who certifies at the end, if all of it holds together and its validators are those whom its hand-overs lead to.
    fn check(&self, genesis: &Genesis) -> Result<Authority, ArchiveError> {
        let authority = Authority::led_by(genesis, &self.handovers).map_err(FinalityProofError::from)?;
        check(&authority, &self.header, &self.commitment, &self.certificate)?;
        if authority.place() != (self.certificate.epoch, self.certificate.round) {
            return Err(ArchiveError::NotCertified("last hand-over"));
        }
        Ok(authority)
    }

    fn check_state(&self, state: &dyn StateRead, range: Hash) -> Result<(), ArchiveError> {
        let (tip, header) = (query::tip(state)?, &self.header);
        let peaks = mesh30k_ledger::mmr::root(state)?;
        let claims = [
            ("state", self.commitment.state_root == tip.state_root),
            ("block", tip.block == header.id() && tip.height == header.height),
            ("time", tip.time == header.time && tip.round == header.round),
            ("range of blocks", range == self.commitment.blocks_root && peaks == range),
        ];
        match claims.into_iter().find(|(_, holds)| !holds) {
            Some((what, _)) => Err(ArchiveError::NotCertified(what)),
            None => Ok(()),
        }
    }

    /// How the last block hands over, where it ends an epoch: whoever was there has kept that with the block.
    fn ended_epoch(&self, state: &dyn StateRead, mut authority: Authority) -> Result<Option<Handover>, StateError> {
        let (header, certificate) = (self.header, self.certificate.clone());
        if query::epoch(state)? == header.epoch {
            return Ok(None);
        }
        let handover = Handover::Voted(VotedHandover { header, certificate, validators: query::validator_set(state)? });
        Ok(authority.pass(&handover).is_ok().then_some(handover))
    }
}

/// Why a block was not taken.
enum Refused {
    Line(HistoryError),
    Storage(StoreError),
}

impl From<HistoryError> for Refused {
    fn from(error: HistoryError) -> Self {
        Self::Line(error)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Storage(error)
    }
}
