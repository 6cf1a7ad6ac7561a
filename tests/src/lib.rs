//! What whole-system tests stand on: a mesh of real node processes, payments with a memory, the command line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a fixture that fails is a failed test")]

pub mod chain;
pub mod cli;
pub mod history;
pub mod load;
pub mod mesh;
pub mod program;
pub mod wait;
