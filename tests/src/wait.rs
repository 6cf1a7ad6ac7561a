//! Waiting for a condition, with a deadline: the only place where tests sleep.

use std::thread;
use std::time::Duration;

use mesh30k_node::clock::monotonic_us;

/// Pace at which a condition is looked at.
const POLL: Duration = Duration::from_millis(25);

/// Time since a moment.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(u64);

impl Stopwatch {
    /// Begins now.
    #[must_use]
    pub fn start() -> Self {
        Self(monotonic_us())
    }

    /// Since then.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Duration::from_micros(monotonic_us().saturating_sub(self.0))
    }
}

/// Looks until `look` finds what is wanted; `look` says what it found instead.
///
/// # Panics
/// When `within` is over: with `what` and what was found last.
#[track_caller]
pub fn wait_until<T>(what: &str, within: Duration, look: impl FnMut() -> Result<T, String>) -> T {
    wait_since(Stopwatch::start(), what, within, look)
}

/// As [`wait_until`], the time counted from a moment that lies back.
///
/// # Panics
/// When `within` is over since then: with `what` and what was found last.
#[track_caller]
pub fn wait_since<T>(begin: Stopwatch, what: &str, within: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    loop {
        let found = look();
        let elapsed = begin.elapsed();
        match found {
            // Found too late is not found: the look itself may have taken long.
            Ok(found) if elapsed <= within => return found,
            Ok(_) => panic!("{what}: only after {} ms, wanted within {} ms", elapsed.as_millis(), within.as_millis()),
            Err(instead) if elapsed > within => {
                panic!("{what}: not within {} ms; instead: {instead}", within.as_millis())
            }
            Err(_) => thread::sleep(POLL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_is_returned_and_what_does_not_is_named() {
        let mut looks = 0;
        let found = wait_until("three looks", Duration::from_secs(60), || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err(format!("{looks}")) }
        });
        assert_eq!(found, 3);
        let panicked = std::panic::catch_unwind(|| {
            wait_until::<()>("a miracle", Duration::ZERO, || Err("none".to_owned()));
        });
        let message = *panicked.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("a miracle") && message.contains("none"), "{message}");
    }
}
