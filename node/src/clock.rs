//! The one place of the node that reads the machine's clocks.
//!
//! Everything else takes the time as an argument, so that it can be tested and simulated.
#![expect(clippy::disallowed_methods, reason = "the one place that reads the clocks")]

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The moment the first reading was taken; monotonic time counts from it.
static START: OnceLock<Instant> = OnceLock::new();

/// Wall clock: microseconds since the Unix epoch. May jump when the machine's clock is set; negative before 1970.
#[must_use]
pub fn wall_us() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
    }
}

/// Wall clock: milliseconds since the Unix epoch, the unit of block time; 0 before 1970.
#[must_use]
pub fn wall_ms() -> u64 {
    u64::try_from(wall_us() / 1_000).unwrap_or(0)
}

/// Microseconds since this process first asked; never goes back and never jumps. Not comparable between processes.
#[must_use]
pub fn monotonic_us() -> u64 {
    let start = *START.get_or_init(Instant::now);
    u64::try_from(Instant::now().saturating_duration_since(start).as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_agree_with_each_other_and_never_go_back() {
        let (wall, first) = (wall_us(), monotonic_us());
        let second = monotonic_us();
        assert!(second >= first);
        assert!(wall > 1_700_000_000_000_000, "this machine's clock stands before 2023");
        assert!(wall_ms().abs_diff(u64::try_from(wall / 1_000).unwrap()) < 60_000);
    }
}
