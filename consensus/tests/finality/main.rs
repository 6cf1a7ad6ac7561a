//! Level 1 finality, in pure code: no Raft, no network, no clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;
mod network;
mod observer;
mod proposer;
mod sign_log;
mod simulation;
mod snapshot;
mod tracker;
