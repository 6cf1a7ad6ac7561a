//! The local HTTP API.

pub mod types;
