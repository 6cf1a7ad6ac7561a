//! Offers of tasks and what came of them.

#[allow(dead_code, unreachable_pub, clippy::all)]
#[path = "../../../../node/src/tasks/refusal.rs"]
mod refusal;
#[allow(dead_code, unreachable_pub, clippy::all)]
#[path = "../../../../node/src/tasks/wire.rs"]
mod wire;

pub use wire::{REQUEST_BYTES_MAX, TaskAnswer, TaskModule, TaskRequest};

use crate::strict::{choose, strict};

/// A request or an answer on the task lane.
pub fn task_wire(bytes: &[u8]) {
    let Some((kind, bytes)) = choose(bytes, 2) else { return };
    if kind == 0 {
        drop(strict::<TaskRequest>(bytes, REQUEST_BYTES_MAX));
    } else {
        drop(strict::<TaskAnswer>(bytes, REQUEST_BYTES_MAX));
    }
}
