//! Measurements that anybody can repeat: `mesh30k testnet bench`.

pub mod messages;
pub mod registry;
pub mod tools;
