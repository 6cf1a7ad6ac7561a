//! The binary at its edges: what people and strangers do wrong. Decoders, ledger rules and limits are tested where they live.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod help;
mod offline;
mod running;
