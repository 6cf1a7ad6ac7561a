//! What a node says about itself: logs and metrics.

mod duties;
mod logs;
mod metrics;

pub use duties::DutyMetrics;
pub use logs::{LogError, init};
pub use metrics::{CONTENT_TYPE, MetricError, Metrics, TaskOutcome};
