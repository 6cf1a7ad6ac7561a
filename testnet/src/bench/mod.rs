//! Measurements that anybody can repeat: `mesh30k testnet bench`.

pub mod arrival;
pub mod ledger;
pub mod mesh;
pub mod messages;
pub mod registry;
mod rival;
pub mod tools;
