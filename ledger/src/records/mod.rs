//! What the state holds, record by record.

mod account;
mod auction;
mod bond;
mod carbon;
mod claim;
mod due;
mod emergency;
mod escrow;
mod freeze;
mod globals;
mod office;
mod proposal;
mod regions;
mod reputation;
mod schedule;
mod tip;
mod topology;

pub use account::{Account, Checkpoint};
pub use auction::{AuctionRecord, BidRecord, OpenedBid};
pub use bond::{BondRecord, Duty, DutyError, Unbonding};
pub use carbon::{CreditRecord, CreditTotals, IntensityRecord, IntensityWord, SavingRecord};
pub use claim::{ClaimRecord, ClaimStatus, PurposeRecord};
pub use due::Due;
pub use emergency::{EmergencyRecord, EmergencySignal};
pub use escrow::{Escrow, EscrowStatus};
pub use freeze::FreezeRecord;
pub use globals::{Counters, Globals, OpenVote, Totals};
pub use office::{MAX_HOLDERS, Office, OfficeError, OfficeRecord, TERM_MS};
pub use proposal::{Proposal, ProposalStatus, Tally, VoteRecord};
pub use regions::{Regions, TableSource};
pub use reputation::{HALF_LIFE_MS, REPUTATION_MAX, REPUTATION_START, ReputationRecord};
pub use schedule::ScheduleRecord;
pub use tip::Tip;
pub(crate) use topology::hex_bytes;
pub use topology::{AgentRange, AgentRecord, ClusterRecord, NodeRecord, SectorRecord, Sponsorship};
