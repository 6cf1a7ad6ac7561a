//! Raft groups against openraft's own storage suite and in a seeded simulation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod decay;
mod frames;
mod handover;
mod paused;
mod read_only;
#[cfg(feature = "rocksdb")]
mod real;
mod recorder;
mod room;
mod sim;
mod suite;
mod wire;
