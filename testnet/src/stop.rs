//! Ctrl-C and SIGTERM as a flag that the driver looks at between two waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Longest sleep in one piece, so that Ctrl-C is noticed soon.
const SLICE: Duration = Duration::from_millis(50);
/// What the shell is told when a second signal ends the driver at once.
const EXIT_AT_ONCE: i32 = 130;

/// Somebody asked the driver to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped on request")]
pub struct Stopped;

/// Set by the first Ctrl-C or SIGTERM; the second one ends the process at once (its nodes die with it).
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Listens to the signals.
    ///
    /// # Errors
    /// When the operating system refuses the handlers.
    pub fn install() -> std::io::Result<Self> {
        let stop = Self::default();
        for signal in [SIGINT, SIGTERM] {
            // The order matters: at the first signal the flag is still down when this one looks at it.
            flag::register_conditional_shutdown(signal, EXIT_AT_ONCE, Arc::clone(&stop.0))?;
            flag::register(signal, Arc::clone(&stop.0))?;
        }
        Ok(stop)
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Nothing, unless somebody asked.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn check(&self) -> Result<(), Stopped> {
        if self.is_set() { Err(Stopped) } else { Ok(()) }
    }

    /// Sleeps, unless somebody asks meanwhile.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn pause(&self, time: Duration) -> Result<(), Stopped> {
        let mut left = time;
        while !left.is_zero() {
            self.check()?;
            let piece = left.min(SLICE);
            thread::sleep(piece);
            left = left.saturating_sub(piece);
        }
        self.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_at_once_when_asked() {
        let stop = StopFlag::default();
        assert_eq!(stop.pause(Duration::from_millis(1)), Ok(()));
        stop.0.store(true, Ordering::Relaxed);
        assert_eq!(stop.pause(Duration::from_secs(3_600)), Err(Stopped));
    }
}
