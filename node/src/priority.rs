//! Which threads of a node come first, and how exactly they wake. Linux only: elsewhere all threads stay equal.

#[cfg(target_os = "linux")]
use std::num::NonZeroU64;

/// Niceness of everything that may wait; see `man 7 sched`.
#[cfg(target_os = "linux")]
const WAITING_NICE: i32 = 5;
/// How late the kernel may wake a thread to save power, nanoseconds; the usual 50,000 would be added to every release.
#[cfg(target_os = "linux")]
const SLACK_NS: NonZeroU64 = NonZeroU64::MIN;

/// Lets the arrival thread of this and every other node on the machine come before the calling thread.
pub fn give_way() {
    // Raising it needs no right; refused, all threads stay equal.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, WAITING_NICE) {
        tracing::debug!(%error, "the niceness of a thread stays");
    }
}

/// Has the calling thread woken at the instant it asked for.
pub fn wake_exactly() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::set_current_timer_slack(Some(SLACK_NS)) {
        tracing::debug!(%error, "the timer slack of a thread stays");
    }
}
