//! The ledger as a file: its blocks and its state with the proof that they are final, which another node's ledger can begin with, and
//! the movements of money since genesis as a journal.

mod block_line;
mod error;
mod journal;
mod lineage;
mod reader;

use std::io;

use mesh30k_consensus::finality::FinalTip;
use mesh30k_ledger::block::Header;
use mesh30k_ledger::export::export;
use mesh30k_ledger::finality::{Certificate, Commitment};
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::handover::{Handover, up_to};
use mesh30k_ledger::query;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::types::Height;
use serde::{Deserialize, Serialize};

pub use error::ArchiveError;
pub use lineage::HistoryError;

use crate::store::LedgerStore;
use reader::Reader;

/// What the first line says.
const FORMAT: &str = "mesh30k ledger archive v2";
/// Bytes of one line, at most: those of the largest block as JSON, where a byte can take six letters.
pub const MAX_ARCHIVE_LINE_BYTES: usize = 128 * 1_024 * 1_024;

/// The first line: after which block the state is, and why to believe it. The blocks from `first_block` on follow, a line each, then the
/// export of the state.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    /// The first block in the file; none where it holds the state only.
    first_block: Option<Height>,
    header: Header,
    commitment: Commitment,
    certificate: Certificate,
    /// How the right to certify came from the validators of the genesis to those of this block.
    handovers: Vec<Handover>,
}

/// Which blocks go into an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// All that are kept in one run up to the last.
    Kept,
    /// None.
    Left,
}

/// What an archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Archived {
    /// The first block in it, if there are any.
    pub first: Option<Height>,
    /// The block its state is after.
    pub last: Height,
}

impl LedgerStore {
    /// Hands out the lines of an archive as of the last final block, without line ends. One block is held at a time.
    ///
    /// # Errors
    /// [`ArchiveError::NothingFinal`], [`ArchiveError::NoProof`] and [`ArchiveError::JustHandedOver`], or storage that fails.
    pub fn archive(&self, history: History, mut each: impl FnMut(String)) -> Result<Archived, ArchiveError> {
        // Commits wait meanwhile, so that all entries are of one height.
        let _reading = self.reading();
        let tip = query::tip(self)?;
        let last = tip.height;
        if last == Height(0) {
            return Err(ArchiveError::NothingFinal);
        }
        let stored = self.block(last)?.ok_or(ArchiveError::NoProof(last))?;
        // An order that keeps the validators changes the round only.
        if (stored.commitment.state_root, stored.block.header.round) != (tip.state_root, tip.round) {
            return Err(ArchiveError::JustHandedOver(last));
        }
        let first = match history {
            History::Kept => self.kept_from(last)?,
            History::Left => None,
        };
        let (header, commitment, certificate) = (stored.block.header, stored.commitment, stored.certificate);
        let handovers = up_to(&self.handovers()?, certificate.epoch, certificate.round).to_vec();
        let head = Head { format: FORMAT.into(), first_block: first, header, commitment, certificate, handovers };
        each(head.text()?);
        for height in (first.unwrap_or(last.next()).0..=last.0).map(Height) {
            let stored = self.block(height)?.ok_or(ArchiveError::NoBlock(height))?;
            each(block_line::write(stored).map_err(|error| unwritten(&error))?);
        }
        export(self, each)?;
        Ok(Archived { first, last })
    }

    /// Puts the ledger of an archive in the place of the genesis, if validators certified it to whom the genesis leads by itself or
    /// by the hand-overs in the archive. These are kept, and so are the blocks. One block and the state are held at a time.
    ///
    /// # Errors
    /// [`ArchiveError`]; then nothing is changed. Where the process ends meanwhile, [`Self::take_back_import`] takes back what
    /// was written.
    pub fn read_archive<L: AsRef<str>>(
        &self,
        genesis: &Genesis,
        lines: impl IntoIterator<Item = io::Result<L>>,
    ) -> Result<FinalTip, ArchiveError> {
        if let Some(tip) = self.final_tip()? {
            return Err(ArchiveError::NotNew(tip.height));
        }
        let read = self.read_lines(genesis, lines.into_iter());
        if read.is_err() {
            self.take_back_import()?;
        }
        read
    }

    fn read_lines<L: AsRef<str>>(
        &self,
        genesis: &Genesis,
        lines: impl Iterator<Item = io::Result<L>>,
    ) -> Result<FinalTip, ArchiveError> {
        let mut lines =
            (1_u64..).zip(lines).map(|(line, text)| text.map_err(|source| ArchiveError::Unread { line, source }));
        let Some(first) = lines.next() else { return Err(ArchiveError::Head("the file is empty".into())) };
        let mut reader = Reader::begin(self, genesis, first?.as_ref())?;
        for line in lines {
            reader.take(line?.as_ref())?;
        }
        reader.finish()
    }
}

impl Head {
    fn text(&self) -> Result<String, StateError> {
        serde_json::to_string(self).map_err(|error| unwritten(&error))
    }
}

fn unwritten(error: &serde_json::Error) -> StateError {
    StateError::Storage(format!("a line cannot be written: {error}"))
}
