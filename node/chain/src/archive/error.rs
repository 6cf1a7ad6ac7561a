//! Why the ledger is no file, or a file no ledger.

use std::io;

use mesh30k_consensus::storage::StoreError;
use mesh30k_ledger::execute::BlockError;
use mesh30k_ledger::export::ImportError;
use mesh30k_ledger::finality_proof::FinalityProofError;
use mesh30k_ledger::range_audit::RangeError;
use mesh30k_ledger::state::StateError;
use mesh30k_ledger::types::Height;

use super::FORMAT;
use super::lineage::HistoryError;

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
    /// The state is not the certified one yet.
    #[error(
        "the chain was handed over after block {0} and has no block since: write a file after the next one, whose certificate \
         vouches for the state"
    )]
    JustHandedOver(Height),
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
    /// A proof that proves nothing.
    #[error("the archive's last block is not certified by validators that the genesis leads to")]
    NotFinal(#[from] FinalityProofError),
    /// A line of the history.
    #[error("line {line}, block {height}, is refused")]
    History {
        /// Which line of the file, from 1.
        line: u64,
        /// The block it should hold.
        height: Height,
        /// Why.
        #[source]
        source: HistoryError,
    },
    /// A line of the state that belongs to the range of blocks.
    #[error("line {line} is refused")]
    Range {
        /// Which line of the file, from 1.
        line: u64,
        /// Why.
        #[source]
        source: RangeError<StoreError>,
    },
    /// The end is missing.
    #[error("the archive ends after line {0}, before its state begins")]
    CutShort(u64),
    /// The file.
    #[error("line {line} can't be read")]
    Unread {
        /// Which line of the file, from 1.
        line: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
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
