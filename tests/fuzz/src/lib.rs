//! What each fuzz target asks of a decoder, beyond that it does not panic: what is read writes itself as the same bytes, everything
//! else is refused, and nothing that was not signed or certified passes for it.
//!
//! Decoders that are private to heavy crates are taken by their source file, so that neither libp2p nor RocksDB is built here and no
//! crate has to open a door (ADR 0026).

#[path = "../../../ledger/tests/common/mod.rs"]
pub mod common;
#[path = "../../../ledger/tests/bad_input/scene.rs"]
pub mod scene;

pub mod api;
pub mod duties;
pub mod execution;
pub mod files;
pub mod grid;
pub mod group;
pub mod lanes;
pub mod objects;
pub mod operations;
pub mod raft;
pub mod sign_log;
pub mod snapshot;
pub mod strict;
pub mod wire;
pub mod world;
