//! Faults by seed on the whole stack: see `sim`. A failing seed is named with its story; `cargo run -p mesh30k-chain
//! --example faults -- SEED` lives it again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod archive;
mod clocks;
mod epochs;
mod full_disk;
mod malice;
mod plants;
mod recovery;
mod seeds;
mod sim;
