//! The only place of this crate that reads the clock; everything that decides takes `now`.

pub(crate) use std::time::Instant;

/// The monotonic time of this process.
#[allow(clippy::disallowed_methods, reason = "the one sanctioned read of the monotonic clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
