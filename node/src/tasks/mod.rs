//! Tasks: placed on an agent, run in its host's sandbox, receipted by host and agent.
//!
//! The requester's node chooses the agent and sends one part to its host; the host looks at its own ledger before it
//! works, and answers a repeated request with the first receipt. Payment is the requester's next step, on the ledger.

mod admission;
mod agent_keys;
mod assignments;
mod book;
mod dispatch;
mod handle;
mod host;
mod meter;
mod refusal;
mod running;
mod wire;

pub use dispatch::{Attempt, DispatchError};
pub use handle::{Dispatch, Dispatched, TaskHandle, TaskParts, start};
pub use refusal::TaskRefusal;
pub use wire::{REQUEST_BYTES_MAX, TaskAnswer, TaskModule, TaskRequest};
