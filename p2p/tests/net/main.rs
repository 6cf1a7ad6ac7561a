//! Whole nodes talking to each other, over memory and over loopback TCP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod connections;
mod gossip;
mod hostile;
mod lanes;
mod support;
