//! The pure decisions of the mesh: no socket, clock, task or random source in here.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing
    )
)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

pub mod beat;
pub mod clock;
pub mod delay;
pub mod event;
pub mod freeze;
pub mod hosted;
pub mod lead;
pub mod placement;
pub mod quorum;
pub mod registry;
#[cfg(test)]
mod test_support;
pub mod time;
pub mod wire;
