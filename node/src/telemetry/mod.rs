//! What a node says about itself: logs and metrics.

mod logs;
mod metrics;

pub use logs::{LogError, init};
pub use metrics::{CONTENT_TYPE, MetricError, Metrics, TaskOutcome};
