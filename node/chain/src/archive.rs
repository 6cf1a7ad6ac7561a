//! The ledger as a file: its state with the proof that it is final, which another node's ledger can begin with, and the movements of
//! money since genesis as a journal.

use mesh30k_consensus::finality::FinalTip;
use mesh30k_consensus::storage::StoreError;
use mesh30k_ledger::authority::{Authority, AuthorityError};
use mesh30k_ledger::block::Header;
use mesh30k_ledger::execute::{BlockError, execute};
use mesh30k_ledger::export::{ImportError, export, import};
use mesh30k_ledger::finality::{Certificate, Commitment};
use mesh30k_ledger::genesis::Genesis;
use mesh30k_ledger::handover::{Handover, up_to};
use mesh30k_ledger::restart::restart;
use mesh30k_ledger::state::{ChangeSet, MemoryState, StateError};
use mesh30k_ledger::types::Height;
use mesh30k_ledger::{journal, mmr, query};
use serde::{Deserialize, Serialize};

use crate::store::LedgerStore;

/// What the first line says.
const FORMAT: &str = "mesh30k ledger archive v1";

/// The first line: after which block the state is, and why to believe it. The export of the state follows.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    header: Header,
    commitment: Commitment,
    certificate: Certificate,
    /// How the right to certify came from the validators of the genesis to those of this block.
    #[serde(default)]
    handovers: Vec<Handover>,
}

/// Why the ledger was not written to a file or read from one.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Only genesis is there.
    #[error("no block is final here yet: there is nothing but the genesis, which is a file already")]
    NothingFinal,
    /// The state came from elsewhere, its proof did not stay.
    #[error(
        "block {0} is not kept here: this node began from a snapshot or an archive; write a file after its next block"
    )]
    NoProof(Height),
    /// The first line.
    #[error("the first line is no `{FORMAT}`: {0}")]
    Head(String),
    /// The state.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Another chain's.
    #[error("the archive is of chain {found}, this node is of {expected}; or the two have different genesis files")]
    OtherChain {
        /// The archive's.
        found: String,
        /// The node's.
        expected: String,
    },
    /// A certificate that proves nothing.
    #[error("the archive's block is not certified by validators that the genesis leads to")]
    Certificate(#[from] AuthorityError),
    /// A certificate for something else.
    #[error("the archive's {0} is not the certified one")]
    NotCertified(&'static str),
    /// There is a ledger already.
    #[error("this node's ledger is at block {0} already; an archive is read by a node that has only its genesis")]
    NotNew(Height),
    /// The history does not reach back.
    #[error(
        "block {0} is not kept here: this node began from a snapshot or an archive, and a journal needs every block"
    )]
    NoBlock(Height),
    /// A kept block that can't be carried out.
    #[error("block {height} can't be carried out again")]
    Block {
        /// Which.
        height: Height,
        /// Why.
        #[source]
        source: BlockError,
    },
    /// A kept block that leads elsewhere.
    #[error("block {0}, carried out again, leads to another state than the certified one")]
    Differs(Height),
    /// State that can't be read.
    #[error("state can't be read")]
    State(#[from] StateError),
    /// The database.
    #[error("the ledger's storage failed")]
    Storage(#[from] StoreError),
}

impl LedgerStore {
    /// Hands out the lines of an archive of the state after the last final block, without line ends.
    ///
    /// # Errors
    /// [`ArchiveError::NothingFinal`] and [`ArchiveError::NoProof`], or storage that fails.
    pub fn archive(&self, mut each: impl FnMut(String)) -> Result<Height, ArchiveError> {
        // Commits wait meanwhile, so that all entries are of one height.
        let _reading = self.reading();
        let height = query::tip(self)?.height;
        if height == Height(0) {
            return Err(ArchiveError::NothingFinal);
        }
        let stored = self.block(height)?.ok_or(ArchiveError::NoProof(height))?;
        let (header, commitment) = (stored.block.header, stored.commitment);
        let certificate = stored.certificate;
        let handovers = up_to(&self.handovers()?, certificate.epoch, certificate.round).to_vec();
        let head = Head { format: FORMAT.into(), header, commitment, certificate, handovers };
        each(serde_json::to_string(&head).map_err(|error| StateError::Storage(error.to_string()))?);
        export(self, each)?;
        Ok(height)
    }

    /// Puts the state of an archive in the place of the genesis, if validators certified it to whom the genesis leads by itself or
    /// by the hand-overs in the archive. These are kept.
    ///
    /// # Errors
    /// [`ArchiveError`]; then nothing is changed.
    pub fn read_archive<'a>(
        &self,
        genesis: &Genesis,
        lines: impl IntoIterator<Item = &'a str>,
    ) -> Result<FinalTip, ArchiveError> {
        if let Some(tip) = self.final_tip()? {
            return Err(ArchiveError::NotNew(tip.height));
        }
        let mut lines = lines.into_iter();
        let first = lines.next().unwrap_or_default();
        let head: Head = serde_json::from_str(first).map_err(|error| ArchiveError::Head(error.to_string()))?;
        if head.format != FORMAT {
            return Err(ArchiveError::Head(head.format.chars().take(60).collect()));
        }
        let changes = import(lines)?;
        let mut state = MemoryState::new();
        state.apply(changes.clone());
        head.check(&state, genesis)?;
        let tip = FinalTip::of(&head.header, &head.certificate);
        self.keep_handovers(&head.handovers)?;
        self.replace_state(&changes, Some(&tip))?;
        Ok(tip)
    }

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

impl Head {
    fn check(&self, state: &MemoryState, genesis: &Genesis) -> Result<(), ArchiveError> {
        let (context, own) = (query::context(state)?, genesis.context());
        if context != own {
            let (found, expected) = (context.chain.to_string(), own.chain.to_string());
            return Err(ArchiveError::OtherChain { found, expected });
        }
        Authority::led_by(genesis, &self.handovers)?.check(&self.certificate)?;
        let (tip, block) = (query::tip(state)?, self.header.id());
        let range = mmr::prove(state, tip.height)?.map(|proof| proof.peaks.root());
        let claims = [
            ("block", self.certificate.block == block && self.certificate.height == self.header.height),
            ("commitment", self.certificate.commitment == self.commitment.hash()),
            ("state", self.commitment.state_root == tip.state_root && tip.block == block),
            (
                "height",
                tip.height == self.header.height && tip.time == self.header.time && tip.round == self.header.round,
            ),
            ("range of blocks", range == Some(self.commitment.blocks_root)),
        ];
        match claims.into_iter().find(|(_, holds)| !holds) {
            Some((what, _)) => Err(ArchiveError::NotCertified(what)),
            None => Ok(()),
        }
    }
}
