//! For the source of Raft's frames, which names its neighbours.

pub use mesh30k_consensus::group::{MemberId, StoreId};
