//! Room on the disk: a node stops writing before its disk is full, and goes on by itself once there is room.

mod handle;
mod task;
mod watch;

pub use handle::DiskHandle;
pub(crate) use task::{DiskTask, read, run};
pub use watch::{DiskLimits, DiskReading, DiskState, DiskWatch};
