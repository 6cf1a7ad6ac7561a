//! Operations on top of events: gathers, cascades in steps, pipelines, delegation. What they decide is decided by the pure machines of
//! `node/core`; here the events are signed, started and waited for.

mod cascade;
mod delegate;
mod find;
mod gather;
mod pipeline;

pub use cascade::{CascadeResult, StepRow, cascade};
pub use delegate::delegate;
pub use find::{FindOrder, find};
pub use gather::{GatherOrder, gather};
pub use pipeline::{PipelineResult, StageOrder, StageRow, pipeline};

use mesh30k_core::event::PipelineError;
use mesh30k_node::api::types::NOBODY;

use crate::client::ClientError;
use crate::events::EventsError;
use crate::work::WorkError;

/// Why an operation did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// One of its events.
    #[error(transparent)]
    Event(#[from] EventsError),
    /// The node could not be asked, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A task of it.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// Nobody to delegate to.
    #[error("no agent that can run tasks is as wanted; see `mesh30k mesh find --capability compute --state any`")]
    Nobody,
    /// No such pipeline.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
}

/// Whether the node said that an event means nobody.
fn means_nobody(error: &EventsError) -> bool {
    matches!(error, EventsError::Client(ClientError::Refused(problem)) if problem.kind == NOBODY)
}
