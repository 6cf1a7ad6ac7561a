//! One child's clock seen through one anchor: a ring of exchanges and the estimate drawn from it (2.1, 2.2).

use std::cmp::Reverse;
use std::collections::VecDeque;

use super::exchange::{Exchange, RejectCounts, SampleError};
use super::skew::{SkewFit, fit_skew};
use crate::time::{LocalTimeUs, MeshTimeUs};

/// Exchanges kept per link.
pub const RING_LEN: usize = 64;
/// Assumed drift while no rate is fitted, ppm.
pub const RHO_UNFITTED_PPM: f64 = 15.0;
/// Assumed drift left over once a rate is fitted, ppm.
pub const RHO_FITTED_PPM: f64 = 2.0;
/// How much a rate may change while none can be fitted, ppm in a second: the temperature of a room, and some.
const RATE_WANDER_PPM_PER_S: f64 = 0.01;
/// Exchanges between two fits of the rate, once the ring is full.
const REFIT_EVERY: u8 = 8;
/// A minimum older than this no longer counts.
const MIN_WINDOW_US: i64 = 15 * 60 * 1_000_000;
/// Exchanges in a row that cannot be true together with the estimate before the child's clock is taken to have stepped.
const STEP_CONFIRMATIONS: usize = 3;
/// The same where they could, but only on a path whose two ways changed against each other: a step smaller than the round trip.
const SMALL_STEP_CONFIRMATIONS: usize = 8;
/// The newest exchanges, whose least round trip is the path as it is now: queues and detours may keep it far above the smallest.
const RECENT: usize = 8;
const RECENT_US: i64 = 60_000_000;
/// What other queues may hide of a path's smallest round trip, of one: the smallest is never quite reached.
const PATH_CHANGE: f64 = 0.03;
/// A child that keeps an exchange for longer may have its clock set meanwhile.
const LONG_WORK_US: i64 = 5_000;
/// What a clock may drift and a timer may err before an exchange contradicts, ppm and microseconds.
const STEP_DRIFT_PPM: f64 = 100.0;
const STEP_FLOOR_US: f64 = 1_000.0;

/// A child's clock against mesh time at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockEstimate {
    /// Child's clock minus mesh time, microseconds.
    pub offset_us: f64,
    /// Rate difference, ppm; zero until fitted.
    pub skew_ppm: f64,
    /// Instant for which `offset_us` holds.
    pub at: MeshTimeUs,
    /// Typical error sigma_theta, microseconds.
    pub sigma_us: f64,
    /// Hard bound on the error against the anchor, microseconds.
    pub bound_us: f64,
    /// Smallest round trip in the window, microseconds.
    pub delay_min_us: f64,
    /// Exchanges behind it.
    pub samples: usize,
}

impl ClockEstimate {
    /// The offset expected at another instant, by the fitted rate.
    #[must_use]
    pub fn offset_at_us(&self, at: MeshTimeUs) -> f64 {
        self.offset_us + self.skew_ppm * at.since_us(self.at) as f64 / 1e6
    }

    /// What the child's clock will show at `at`.
    #[must_use]
    pub fn to_local(&self, at: MeshTimeUs) -> LocalTimeUs {
        at.to_local(self.offset_at_us(at))
    }

    /// The mesh time at which the child's clock showed `local`.
    #[must_use]
    pub fn to_mesh(&self, local: LocalTimeUs) -> MeshTimeUs {
        // The rate is below 200 ppm, so one step from the rough instant is exact to a nanosecond per second.
        let rough = local.to_mesh(self.offset_us);
        local.to_mesh(self.offset_at_us(rough))
    }
}

/// How an exchange contradicts the estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contradiction {
    /// Their intervals cannot overlap.
    Certain,
    /// They can, if the path changed.
    Likely,
}

/// Ring of exchanges of one child with one anchor.
#[derive(Clone, Debug, Default)]
pub struct ClockLink {
    ring: VecDeque<Exchange>,
    kept: Option<Exchange>,
    /// The exchange with the least cost: all ages grow alike, so it stands until the next exchange.
    best: Option<Exchange>,
    /// The smallest round trip of the window and when it was measured: it stands until that is too old.
    least: Option<(i64, MeshTimeUs)>,
    unfitted: u8,
    skew: Option<SkewFit>,
    /// Instant up to which the error of `skew` is reckoned.
    fitted: Option<MeshTimeUs>,
    suspects: Vec<Exchange>,
    /// Of the newest suspects, how many cannot be true together with the estimate.
    certain: usize,
    steps: u64,
    rejected: RejectCounts,
}

impl ClockLink {
    /// An empty link.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one exchange.
    ///
    /// # Errors
    /// Why it was refused; refusals are also counted.
    pub fn record(&mut self, exchange: Exchange) -> Result<(), SampleError> {
        let checked = exchange.check().and_then(|()| {
            let sent_at = exchange.t1;
            // One sent after the newest is none of them.
            let may_be_held = self.ring.back().is_some_and(|newest| sent_at <= newest.t1);
            let known = may_be_held && self.ring.iter().any(|e| e.t1 == sent_at);
            if known { Err(SampleError::Duplicate { sent_at }) } else { Ok(()) }
        });
        if let Err(error) = checked {
            self.rejected.count(error);
            return Err(error);
        }
        if self.is_too_good(&exchange) {
            self.rejected.too_good = self.rejected.too_good.saturating_add(1);
            return Ok(());
        }
        match self.contradiction(&exchange) {
            Some(how) => self.hold_over(exchange, how),
            None => {
                self.suspects.clear();
                self.certain = 0;
                self.accept(exchange);
            }
        }
        Ok(())
    }

    /// A clock that is set forward while the child works makes the exchange look shorter than it was, and its offset is neither that of
    /// before nor that of after. As the shortest of all it would be believed against every other, so none that took long becomes it.
    fn is_too_good(&self, exchange: &Exchange) -> bool {
        let is_shortest =
            self.delay_min_us(exchange.t4).is_some_and(|least_us| (exchange.delay_us() as f64) < least_us);
        is_shortest && exchange.t3.since_us(exchange.t2) > LONG_WORK_US
    }

    fn accept(&mut self, exchange: Exchange) {
        let (rho_ppm, kept) = (self.rho_ppm(), self.kept);
        let gone = if self.ring.len() >= RING_LEN { self.ring.pop_front() } else { None };
        if let Some(old) = gone {
            self.keep_if_better(old, exchange.t4);
        }
        self.ring.push_back(exchange);
        self.unfitted = self.unfitted.saturating_add(1);
        // A rate that 64 exchanges gave is hardly moved by one more.
        if self.ring.len() < RING_LEN || self.unfitted >= REFIT_EVERY {
            self.refit();
            self.unfitted = 0;
        }
        let left = [gone, kept.filter(|_| self.kept != kept)];
        self.follow_least(exchange, left);
        self.follow_best(exchange, left, rho_ppm);
    }

    /// `new` came and `left` may have gone: which round trip is the smallest now.
    fn follow_least(&mut self, new: Exchange, left: [Option<Exchange>; 2]) {
        let (new_us, now) = (new.delay_us(), new.t4);
        let stands = |us: i64, at| is_fresh(at, now) && left.iter().flatten().all(|e| e.delay_us() > us);
        self.least = match self.least {
            Some((us, _)) if new_us <= us => Some((new_us, now)),
            Some((us, at)) if stands(us, at) => Some((us, at)),
            _ => self.least_at(now),
        };
    }

    /// The same of the least cost. While the rate's error is what it was (`rho_ppm`), all costs grow alike.
    fn follow_best(&mut self, new: Exchange, left: [Option<Exchange>; 2], rho_ppm: f64) {
        let is_same_rate = self.rho_ppm().to_bits() == rho_ppm.to_bits();
        let cost_us = |e: &Exchange| cost_us(e, 0.0, rho_ppm, new.t4);
        self.best = match self.best {
            Some(best) if is_same_rate && !left.contains(&Some(best)) => {
                Some(if cost_us(&new) < cost_us(&best) { new } else { best })
            }
            _ => self.cheapest(new.t4),
        };
    }

    fn cheapest(&self, now: MeshTimeUs) -> Option<Exchange> {
        let rho = self.rho_ppm();
        self.candidates()
            .map(|e| (e, cost_us(e, 0.0, rho, now)))
            .min_by(|(_, a), (_, b)| a.total_cmp(b))
            .map(|(e, _)| *e)
    }

    /// The estimate at `now`; `None` before the first exchange.
    #[must_use]
    pub fn estimate(&self, now: MeshTimeUs) -> Option<ClockEstimate> {
        let delay_min_us = self.delay_min_us(now)?;
        let rho = self.rho_ppm();
        let best = self.best.as_ref()?;
        let drift_us = rho * age_us(best, now) / 1e6;
        let delay = best.delay_us() as f64;
        let skew_ppm = self.skew.map_or(0.0, |s| s.ppm);
        Some(ClockEstimate {
            offset_us: best.offset_us() + skew_ppm * signed_age_us(best, now) / 1e6,
            skew_ppm,
            at: now,
            sigma_us: 0.05 * delay_min_us + (delay - delay_min_us) / 2.0 + drift_us,
            bound_us: delay / 2.0 + drift_us,
            delay_min_us,
            samples: self.ring.len(),
        })
    }

    /// The newest exchange that contradicts the estimate, while it is not known whether the clock was set.
    #[must_use]
    pub fn suspect(&self) -> Option<&Exchange> {
        self.suspects.last()
    }

    /// While it is not known whether the clock was set, the child's own time service may tell: what cannot be true together
    /// with what was known and can with the newest exchange confirms it; what stands nearer to the known than its own bound
    /// leaves in doubt says that only the path changed. On a long path a wide word fits both and decides nothing.
    pub fn hear_service(&mut self, now: MeshTimeUs, offset_us: f64, bound_us: f64) {
        let (Some(known), Some(suspect)) = (self.estimate(now), self.suspects.last().copied()) else { return };
        let from_known_us = (offset_us - known.offset_us).abs();
        let from_suspect_us = (offset_us - suspect.offset_us()).abs();
        if from_known_us > known.bound_us + bound_us {
            if from_suspect_us <= suspect.delay_us() as f64 / 2.0 + bound_us {
                self.suspects = vec![suspect];
                self.step();
            }
        } else if self.certain == 0 && from_known_us + bound_us <= from_suspect_us {
            std::mem::take(&mut self.suspects).into_iter().for_each(|exchange| self.accept(exchange));
        }
    }

    /// The parent's time was corrected by `by_us`: what was measured on it follows.
    pub fn correct(&mut self, by_us: i64) {
        let kept = [&mut self.kept, &mut self.best].into_iter().flatten();
        for exchange in self.ring.iter_mut().chain(&mut self.suspects).chain(kept) {
            *exchange = exchange.corrected(by_us);
        }
        self.least = self.least.map(|(us, at)| (us, at.plus_us(by_us)));
    }

    /// Exchanges held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// True before the first exchange.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// The fitted rate, once there is one.
    #[must_use]
    pub fn skew(&self) -> Option<SkewFit> {
        self.skew
    }

    /// Refusals so far.
    #[must_use]
    pub fn rejected(&self) -> RejectCounts {
        self.rejected
    }

    /// Clock steps noticed so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    fn candidates(&self) -> impl Iterator<Item = &Exchange> {
        self.ring.iter().chain(self.kept.iter())
    }

    fn rho_ppm(&self) -> f64 {
        self.skew.map_or(RHO_UNFITTED_PPM, |s| (2.0 * s.error_ppm).clamp(RHO_FITTED_PPM, RHO_UNFITTED_PPM))
    }

    fn delay_min_us(&self, now: MeshTimeUs) -> Option<f64> {
        let least = self.least.filter(|(_, at)| is_fresh(*at, now)).or_else(|| self.least_at(now));
        least.map(|(us, _)| us as f64)
    }

    fn least_at(&self, now: MeshTimeUs) -> Option<(i64, MeshTimeUs)> {
        let least = |exchanges: &mut dyn Iterator<Item = &Exchange>| {
            exchanges.map(|e| (e.delay_us(), e.t4)).min_by_key(|(us, at)| (*us, Reverse(*at)))
        };
        let of_window = least(&mut self.candidates().filter(|e| is_fresh(e.t4, now)));
        of_window.or_else(|| least(&mut self.candidates()))
    }

    fn keep_if_better(&mut self, old: Exchange, now: MeshTimeUs) {
        let rho = self.rho_ppm();
        let fresh = self.kept.filter(|k| is_fresh(k.t4, now));
        self.kept = match fresh {
            Some(kept) if cost_us(&kept, 0.0, rho, now) <= cost_us(&old, 0.0, rho, now) => Some(kept),
            _ => Some(old),
        };
    }

    /// Whether the exchange and the estimate can both be true.
    fn contradiction(&self, exchange: &Exchange) -> Option<Contradiction> {
        let estimate = self.estimate(exchange.t4)?;
        let best = self.best.as_ref()?;
        let last = self.ring.back().map_or(0.0, |e| age_us(e, exchange.t4));
        let gap = (exchange.offset_us() - estimate.offset_us).abs();
        let slack = STEP_DRIFT_PPM * last / 1e6 + STEP_FLOOR_US;
        let delay = exchange.delay_us() as f64;
        if gap > estimate.bound_us + delay / 2.0 + slack {
            return Some(Contradiction::Certain);
        }
        // The smallest round trip says nothing before there are some; and one smaller still says best what the clock shows.
        if self.ring.len() < SMALL_STEP_CONFIRMATIONS || delay <= estimate.delay_min_us {
            return None;
        }
        // What queues above it is all that two exchanges on one path can differ by.
        let queued = (delay + best.delay_us() as f64) / 2.0 - estimate.delay_min_us;
        let contradicts = gap > queued + PATH_CHANGE * estimate.delay_min_us + slack;
        (contradicts || self.leaves_recent(exchange, slack)).then_some(Contradiction::Likely)
    }

    /// While a path is long, it hides a step as large as what queues on it: but it takes as long as before, and a queue does not
    /// change its side without a change of the round trip.
    fn leaves_recent(&self, exchange: &Exchange, slack_us: f64) -> bool {
        let recent = self.ring.iter().rev().take(RECENT).filter(|e| exchange.t4.since_us(e.t4) <= RECENT_US);
        let Some(floor) = recent.min_by_key(|e| e.delay_us()) else { return false };
        let skew_ppm = self.skew.map_or(0.0, |s| s.ppm);
        let gap_us = (exchange.offset_us() - floor.offset_us() - skew_ppm * age_us(floor, exchange.t4) / 1e6).abs();
        let floor_us = floor.delay_us() as f64;
        let queued_us = (exchange.delay_us() as f64 - floor_us).abs() / 2.0;
        gap_us > queued_us + PATH_CHANGE * floor_us + slack_us
    }

    /// Holds over on what is known until several exchanges in a row contradict it: then the clock was set, and what was
    /// learned before is void.
    fn hold_over(&mut self, exchange: Exchange, how: Contradiction) {
        self.suspects.push(exchange);
        self.certain = if how == Contradiction::Certain { self.certain.saturating_add(1) } else { 0 };
        if self.certain >= STEP_CONFIRMATIONS || self.suspects.len() >= SMALL_STEP_CONFIRMATIONS {
            self.step();
        }
    }

    fn step(&mut self) {
        self.steps = self.steps.saturating_add(1);
        self.ring.clear();
        self.kept = None;
        self.best = None;
        self.least = None;
        self.certain = 0;
        self.skew = None;
        for exchange in std::mem::take(&mut self.suspects) {
            self.accept(exchange);
        }
    }

    /// A quartz keeps its rate while queues hide it: one that was fitted stands, less and less exactly, until the next. Without it
    /// the best exchange, which may be minutes old by then, would be carried on at no rate at all.
    fn refit(&mut self) {
        let last = self.ring.back().map(|e| e.t4);
        match (self.fit(), &mut self.skew) {
            (Some(fit), _) => {
                self.skew = Some(fit);
                self.fitted = last;
            }
            (None, Some(known)) => {
                let age_us = last.zip(self.fitted).map_or(0, |(last, fitted)| last.since_us(fitted));
                known.error_ppm += RATE_WANDER_PPM_PER_S * age_us.max(0) as f64 / 1e6;
                self.fitted = last;
            }
            (None, None) => {}
        }
    }

    fn fit(&self) -> Option<SkewFit> {
        let last = self.ring.back()?.t4;
        let of_ring_us = self.ring.iter().map(Exchange::delay_us).min()?;
        // The window's least, not the ring's: what a detour adds may change its side, and would be taken for a rate.
        let of_window_us = self.least.filter(|(_, at)| is_fresh(*at, last)).map_or(i64::MAX, |(us, _)| us);
        let minimum = of_ring_us.min(of_window_us) as f64;
        let allowance_us = (0.1 * minimum).max(2_000.0);
        let points: Vec<(f64, f64, f64)> = self
            .ring
            .iter()
            .map(|e| (e.t4.since_us(last) as f64 / 1e6, e.offset_us(), (e.delay_us() as f64 - minimum) / 2.0))
            .filter(|(_, _, noise_us)| *noise_us <= allowance_us)
            .collect();
        fit_skew(&points)
    }
}

fn is_fresh(at: MeshTimeUs, now: MeshTimeUs) -> bool {
    now.since_us(at) <= MIN_WINDOW_US
}

fn signed_age_us(exchange: &Exchange, now: MeshTimeUs) -> f64 {
    now.since_us(exchange.t4) as f64
}

fn age_us(exchange: &Exchange, now: MeshTimeUs) -> f64 {
    signed_age_us(exchange, now).max(0.0)
}

fn cost_us(exchange: &Exchange, delay_min_us: f64, rho_ppm: f64, now: MeshTimeUs) -> f64 {
    (exchange.delay_us() as f64 - delay_min_us) / 2.0 + rho_ppm * age_us(exchange, now) / 1e6
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_best_and_the_least_are_always_those_of_all_that_is_held() {
        let mut link = ClockLink::new();
        let mut bits = 7_u64;
        for turn in 0..2_000_i64 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = turn * 5_000_000 + if turn > 1_000 { 1_000_000_000 } else { 0 };
            let (forward, back) = (2_000 + (bits >> 52) as i64, 2_000 + (bits >> 40) as i64 % 4_096);
            let (t2, t3) = (LocalTimeUs(at + forward), LocalTimeUs(at + forward + 50));
            let exchange = Exchange { t1: MeshTimeUs(at), t2, t3, t4: MeshTimeUs(at + forward + 50 + back) };
            link.record(exchange).unwrap();
            let cost = |e: Option<Exchange>| e.map(|e| cost_us(&e, 0.0, link.rho_ppm(), exchange.t4));
            assert_eq!(cost(link.best), cost(link.cheapest(exchange.t4)), "turn {turn}");
            assert!(link.candidates().any(|e| Some(*e) == link.best), "turn {turn}");
            let later = exchange.t4.plus_us(400_000_000);
            for now in [exchange.t4, later] {
                let least = link.least_at(now).map(|(us, _)| us as f64);
                assert_eq!(link.delay_min_us(now), least, "turn {turn}");
            }
        }
    }
}
