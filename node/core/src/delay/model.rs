//! One child's delay: rings of one-way delay and of normalised processing, and the lead computed from them (2.3, 2.4).

use super::path::{ABSURD_US, PathRing};
use super::prior::ClassPrior;
use super::ring::{QuantileRing, quantile};
use super::tail::TailReading;
use crate::clock::ClockEstimate;
use crate::time::{LocalTimeUs, MeshTimeUs};

/// Fewest samples before a child's own figures replace those of its class.
pub const MIN_SAMPLES: usize = 16;
/// Longest lead ever granted to one child: beyond, waiting for it would cost all others more than missing it.
pub const MAX_LEAD_US: f64 = 6_000_000.0;
/// Spreads above its median that a way seldom takes: of an exponential queue one in fifty takes more.
const WAY_SPREADS: f64 = 2.0;
/// Spreads above its median that a way hardly ever takes: of an exponential queue one in a thousand takes more.
const DELIVERY_SPREADS: f64 = 4.0;
/// Smallest spread s.
const MIN_SPREAD_US: f64 = 1_000.0;
/// Waves without an answer after which a child is down, not slow.
pub const MAX_DOWN_STREAK: u8 = 3;
/// Bounds of the conformal correction c and its step.
const CORRECTION_LOW: f64 = -2.0;
const CORRECTION_HIGH: f64 = 60.0;
/// A step of 2 after every miss, as the paper has it, makes c so restless that for the first hundred waves the lead covers
/// 98.6 % of the works instead of 99 %; a quarter of it covers 99.0 %. A second miss in a row is no chance, and gets the whole.
const CORRECTION_STEP: f64 = 0.5;
const REPEATED_STEP: f64 = 2.0;
/// A change-point shortens the rings to this many (2.8).
const CHANGE_WINDOW: usize = 8;
/// Samples after a change-point during which s is doubled (2.8).
const UNSETTLED_SAMPLES: u8 = 16;

/// Factor on processing for a weight (thousandths) and a queue: kappa = (1 + 0.5 w)(1 + 0.1 q).
#[must_use]
pub fn kappa(weight_milli: u32, queue: u32) -> f64 {
    (1.0 + 0.5 * f64::from(weight_milli) / 1_000.0) * (1.0 + 0.1 * f64::from(queue))
}

/// What the rings say for one kappa.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DelaySummary {
    /// m, the median of D.
    pub median_us: f64,
    /// s, the scale of its upper tail.
    pub spread_us: f64,
    /// What the way alone seldom exceeds: also taken for the way back.
    pub way_us: f64,
    /// What the way hardly ever exceeds: a prepare sent this long ahead is there before the work begins.
    pub delivery_us: f64,
    /// Median and spread of the work alone.
    pub work_us: f64,
    /// Its 0.9 quantile above the median, a millisecond at least.
    pub work_spread_us: f64,
    /// True once both rings carry [`MIN_SAMPLES`].
    pub warm: bool,
}

/// Delay state of one child.
#[derive(Clone, Debug)]
pub struct DelayModel {
    path: PathRing,
    /// Figures of `path`, worked out once for each sample; none before the clock is known.
    delay_figures: Option<DelayFigures>,
    work: QuantileRing,
    correction: f64,
    missed_last: bool,
    silent: u8,
    unsettled: u8,
    refused: u64,
}

/// Median and spread of the delays under a clock estimate, and the offset that estimate had at an instant: a later estimate
/// moves all delays alike.
#[derive(Clone, Copy, Debug)]
struct DelayFigures {
    median_us: f64,
    spread_us: f64,
    at: MeshTimeUs,
    offset_us: f64,
}

impl Default for DelayModel {
    fn default() -> Self {
        Self::new()
    }
}

impl DelayModel {
    /// Nothing measured yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            path: PathRing::default(),
            delay_figures: None,
            work: QuantileRing::new(),
            correction: 0.0,
            missed_last: false,
            silent: 0,
            unsettled: 0,
            refused: 0,
        }
    }

    /// A message sent at `sent` (mesh) was received at `received` (child's clock): a sample of u once the offset is known,
    /// with `clock` what is known of it now.
    pub fn record_delay(&mut self, sent: MeshTimeUs, received: LocalTimeUs, clock: Option<&ClockEstimate>) {
        self.path.push(sent, received.0.saturating_sub(sent.0) as f64);
        self.unsettled = self.unsettled.saturating_sub(1);
        self.silent = 0;
        self.delay_figures = clock.and_then(|clock| self.figures(clock));
    }

    /// Processing took `work_us` under `kappa`: a sample of b.
    pub fn record_work(&mut self, work_us: f64, kappa: f64) {
        let b = work_us / kappa;
        if (0.0..ABSURD_US).contains(&b) {
            self.work.push(b);
        } else {
            self.refused = self.refused.saturating_add(1);
        }
    }

    /// Whether its own figures stand: both rings carry [`MIN_SAMPLES`].
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.path.len() >= MIN_SAMPLES && self.work.len() >= MIN_SAMPLES
    }

    /// m and s for `kappa`, with `clock` turning raw differences into delays: m = med(u) + kappa med(b),
    /// s = max(u90 - u50 + kappa (b90 - b50), 1 ms). A ring below [`MIN_SAMPLES`] gives way to its class, s doubled.
    #[must_use]
    pub fn summary(&self, clock: Option<&ClockEstimate>, prior: &ClassPrior, kappa: f64) -> DelaySummary {
        let u = clock.filter(|_| self.path.len() >= MIN_SAMPLES).and_then(|clock| self.delays(clock));
        let own_work = self.work.len() >= MIN_SAMPLES;
        let b = if own_work { self.works() } else { None };
        let (u_mid, u_spread) = u.unwrap_or((prior.delay_us, 2.0 * prior.delay_spread_us));
        let (b_mid, b_spread) = b.unwrap_or((prior.work_us, 2.0 * prior.work_spread_us));
        let doubled = if self.unsettled > 0 { 2.0 } else { 1.0 };
        DelaySummary {
            median_us: u_mid + kappa * b_mid,
            spread_us: (doubled * (u_spread + kappa * b_spread)).max(MIN_SPREAD_US),
            way_us: (u_mid + doubled * WAY_SPREADS * u_spread).max(0.0),
            delivery_us: (u_mid + doubled * DELIVERY_SPREADS * u_spread).clamp(0.0, MAX_LEAD_US),
            work_us: kappa * b_mid,
            work_spread_us: (kappa * b_spread).max(MIN_SPREAD_US),
            warm: u.is_some() && own_work,
        }
    }

    /// L_p = m + max(z_C(p) + c, 1/2) s, bounded by [`MAX_LEAD_US`]: from dispatch to ARMED.
    #[must_use]
    pub fn lead_us(&self, summary: &DelaySummary, tail: &TailReading, p: f64) -> f64 {
        self.above_median_us((summary.median_us, summary.spread_us), tail, p)
    }

    /// The same for the work alone, with the class's tail of works: how long before T it begins when the prepare is there.
    #[must_use]
    pub fn start_us(&self, summary: &DelaySummary, works: &TailReading, p: f64) -> f64 {
        self.above_median_us((summary.work_us, summary.work_spread_us), works, p)
    }

    fn above_median_us(&self, (median_us, spread_us): (f64, f64), tail: &TailReading, p: f64) -> f64 {
        let z = (tail.quantile(p) + self.correction).max(0.5);
        let lead = median_us + z * spread_us;
        if lead.is_finite() { lead.clamp(0.0, MAX_LEAD_US) } else { MAX_LEAD_US }
    }

    /// Probability of being ARMED within `lead_us` of dispatch: the inverse of [`Self::lead_us`].
    #[must_use]
    pub fn armed_probability(&self, summary: &DelaySummary, tail: &TailReading, lead_us: f64) -> f64 {
        // Half of all D lie above m, and m is measured directly: below it the pooled tail says nothing.
        if lead_us < summary.median_us {
            return (0.5 * lead_us / summary.median_us.max(1.0)).clamp(0.0, 0.5);
        }
        tail.share_below((lead_us - summary.median_us) / summary.spread_us - self.correction)
    }

    /// Conformal step after a wave, `missed` when the work took longer than [`Self::start_us`] gave it:
    /// c <- clip(c + step (1[D > L_p] - (1 - p)), -2, 60).
    pub fn learn(&mut self, missed: bool, p: f64) {
        let miss = if missed { 1.0 } else { 0.0 };
        let step = if missed && self.missed_last { REPEATED_STEP } else { CORRECTION_STEP };
        self.missed_last = missed;
        let next = self.correction + step * (miss - (1.0 - p.clamp(0.0, 1.0)));
        self.correction = next.clamp(CORRECTION_LOW, CORRECTION_HIGH);
    }

    /// A wave without any answer: a miss, but only the first [`MAX_DOWN_STREAK`] in a row teach anything.
    pub fn learn_silence(&mut self, p: f64) {
        if self.silent < MAX_DOWN_STREAK {
            self.learn(true, p);
        }
        self.silent = self.silent.saturating_add(1);
    }

    /// Silent for [`MAX_DOWN_STREAK`] waves: down, not slow; no budget waits for it.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.silent >= MAX_DOWN_STREAK
    }

    /// Looks for a change-point: median of the last 8 delays further than 3 s from the window's (2.8). True when found;
    /// the rings are then shortened and s doubled for a while.
    pub fn detect_change(&mut self, clock: &ClockEstimate) -> bool {
        if self.path.len() < CHANGE_WINDOW.saturating_mul(3) || self.unsettled > 0 {
            return false;
        }
        let recent = self.path.newest_median_us(CHANGE_WINDOW, clock);
        let (Some(now), Some((before, spread_us))) = (recent, self.delays(clock)) else { return false };
        let changed = (now - before).abs() > 3.0 * spread_us.max(MIN_SPREAD_US);
        if changed {
            self.path.keep_newest(CHANGE_WINDOW);
            self.delay_figures = self.figures(clock);
            self.unsettled = UNSETTLED_SAMPLES;
        }
        changed
    }

    /// One D drawn from the rings: the newest delay with a processing sample of its turn.
    #[must_use]
    pub fn paired_sample_us(&self, clock: &ClockEstimate, turn: usize) -> Option<f64> {
        let (_, delay_us) = self.path.newest(clock)?;
        let work = self.work.iter().nth(turn.checked_rem(self.work.len())?)?;
        Some(delay_us + work)
    }

    /// The correction c.
    #[must_use]
    pub fn correction(&self) -> f64 {
        self.correction
    }

    /// Delay and processing samples held.
    #[must_use]
    pub fn samples(&self) -> (usize, usize) {
        (self.path.len(), self.work.len())
    }

    /// Figures refused as absurd.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Median and spread of the delays under `clock`.
    fn delays(&self, clock: &ClockEstimate) -> Option<(f64, f64)> {
        let known = self.delay_figures?;
        Some((known.median_us + known.offset_us - clock.offset_at_us(known.at), known.spread_us))
    }

    fn figures(&mut self, clock: &ClockEstimate) -> Option<DelayFigures> {
        let (at, _) = self.path.newest(clock)?;
        let (median_us, ninetieth_us) = self.path.median_and_ninetieth_us(clock)?;
        Some(DelayFigures { median_us, spread_us: ninetieth_us - median_us, at, offset_us: clock.offset_at_us(at) })
    }

    /// Median and spread of the works.
    fn works(&self) -> Option<(f64, f64)> {
        let median = quantile(self.work.sorted(), 0.5)?;
        Some((median, quantile(self.work.sorted(), 0.9)? - median))
    }
}
