//! A node's duties as the API shows them: its types name them.

#[path = "../../../node/src/duties/row.rs"]
mod row;

pub use row::{Duty, DutyRow, DutyState};
