//! The ledger in a running node: ordered by Raft and certified where this node is a validator, followed and checked
//! where it is not.

mod admission;
mod driver;
mod epochs;
mod evidence;
mod halt;
mod handle;
mod observer;
pub(crate) mod own;
mod peers;
mod recent;
mod snapshot_sync;
mod start;
mod submission;
mod succession;
mod sync;
mod wire;

pub use mesh30k_chain::{LedgerStore, Mempool, PoolRefusal, StoredBlock, Verdicts};

pub use evidence::{EvidenceRow, EvidenceSort, EvidenceState};
pub(crate) use halt::read as halt_report;
pub(crate) use handle::halt_path;
pub use handle::{ChainStatus, FinalBlockTip, LedgerHandle, StateProofError, SubmitError, TxStatus};
pub use start::{Announcer, LedgerParts, LedgerService, LedgerStartError, start};
pub(crate) use start::{account_of, open_sign_log};
pub use wire::{Announcement, SponsorAnswer, SyncAnswer, SyncRequest, TxMessage};

/// Ends the process: state that can't be read or written must not be built upon. A restart resumes from what is final.
fn stop_process(error: &dyn std::fmt::Display) -> ! {
    tracing::error!(%error, "the node stops: its ledger can't be trusted any more; check the disk, then start it again");
    std::process::abort();
}
