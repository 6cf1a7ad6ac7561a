//! One pulse for everything in this process that looks around now and then.
//!
//! Each loop that sleeps at a phase of its own wakes the process once more; where a hundred nodes share a machine, being woken costs
//! more than looking.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep};

/// Pace of the pulse.
const PULSE: Duration = Duration::from_millis(250);
/// What is due this soon is not put off: the ticks of the validators' group, 20 ms apart, and the microsecond that openraft waits for
/// more appends to be on disk.
const SOON: Duration = Duration::from_millis(25);

/// Sleeps until the pulse that is nearest to `pause` from now, or the next one.
pub(crate) fn sleep(pause: Duration) -> Sleep {
    let (start, now) = start_and_now();
    tokio::time::sleep_until(start + nearest(now - start, pause))
}

/// Sleeps until the first pulse that is not before `deadline`; exactly until then if that is soon.
pub(crate) fn sleep_until(deadline: Instant) -> Sleep {
    let (start, now) = start_and_now();
    tokio::time::sleep_until(start + not_before(now - start, deadline - start))
}

/// Ticks with a pulse each time `period`, a multiple of the pulse, has passed.
pub(crate) fn interval(period: Duration) -> Interval {
    let (start, now) = start_and_now();
    let mut interval = tokio::time::interval_at(start + nearest(now - start, PULSE), period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    interval
}

fn start_and_now() -> (Instant, Instant) {
    static START: OnceLock<Instant> = OnceLock::new();
    let now = Instant::now();
    (*START.get_or_init(|| now), now)
}

// Instants below are durations since the first of them.

fn nearest(now: Duration, pause: Duration) -> Duration {
    let next = pulses(now).saturating_add(1);
    at(pulses(now.saturating_add(pause).saturating_add(PULSE / 2)).max(next))
}

fn not_before(now: Duration, deadline: Duration) -> Duration {
    if deadline.saturating_sub(now) <= SOON {
        return deadline;
    }
    at(pulses(deadline.saturating_add(PULSE).saturating_sub(Duration::from_nanos(1))))
}

/// Whole pulses in `time`.
fn pulses(time: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_euclid(PULSE.as_nanos())).unwrap_or(u32::MAX)
}

const fn at(pulses: u32) -> Duration {
    PULSE.saturating_mul(pulses)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn loops_that_look_around_meet_at_the_pulse_and_keep_their_pace() {
        assert_eq!(nearest(ms(1_001), ms(500)), ms(1_500));
        assert_eq!(nearest(ms(1_120), ms(500)), ms(1_500));
        assert_eq!(nearest(ms(1_130), ms(500)), ms(1_750));
        assert_eq!(nearest(ms(1_249), ms(10)), ms(1_250), "never now");
        assert_eq!(nearest(ms(1_250), ms(10)), ms(1_500));
    }

    #[test]
    fn what_is_due_soon_is_not_put_off() {
        assert_eq!(not_before(ms(1_001), ms(1_021)), ms(1_021));
        assert_eq!(not_before(ms(1_030), ms(1_020)), ms(1_020), "past already");
        assert_eq!(not_before(ms(900), ms(1_000)), ms(1_000));
        assert_eq!(not_before(ms(900), ms(1_001)), ms(1_250));
    }

    /// openraft ticks at the first of the instants phase + k * 203 ms that lies ahead, whenever it was woken.
    #[test]
    fn groups_that_tick_slowly_do_so_together_and_never_early() {
        let period = ms(203);
        for phase in [0, 17, 150, 202].map(ms) {
            let (mut now, mut alone) = (Duration::ZERO, 0);
            for _ in 0..400 {
                let mut deadline = phase;
                while deadline <= now {
                    deadline += period;
                }
                let wake = not_before(now, deadline);
                assert!(wake >= deadline && wake < deadline + PULSE, "{now:?} {deadline:?} {wake:?}");
                alone += u32::from(wake != at(pulses(wake)));
                now = wake;
            }
            assert!(alone < 60, "{alone} of 400 ticks alone with phase {phase:?}");
        }
    }
}
