//! What the state holds, record by record.

mod account;
mod due;
mod escrow;
mod freeze;
mod globals;
mod proposal;
mod regions;
mod tip;
mod topology;

pub use account::{Account, Checkpoint};
pub use due::Due;
pub use escrow::{Escrow, EscrowStatus};
pub use freeze::FreezeRecord;
pub use globals::{Counters, Globals, OpenVote, Totals};
pub use proposal::{Proposal, ProposalStatus, Tally, VoteRecord};
pub use regions::Regions;
pub use tip::Tip;
pub(crate) use topology::hex_bytes;
pub use topology::{AgentRange, AgentRecord, ClusterRecord, NodeRecord, SectorRecord, Sponsorship};
