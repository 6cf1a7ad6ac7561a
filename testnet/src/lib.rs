//! A whole mesh of real node processes on this machine: laid out, started, shown at work, stopped.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod bench;
pub mod carbon;
pub mod client;
pub mod demo;
pub mod events;
pub mod genesis;
pub mod launcher;
pub mod layout;
pub mod operations;
pub mod ports;
pub mod process;
pub mod ready;
pub mod render;
pub mod replay;
pub mod report;
pub mod running;
pub mod sim;
pub mod size;
pub mod stop;
pub mod up;
pub mod wallet;
pub mod work;
