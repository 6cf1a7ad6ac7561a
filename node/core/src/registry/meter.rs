//! What a host keeps of an agent's past to report its reliability and drift.

use std::collections::VecDeque;

/// Successes a newcomer is credited with, so that it is neither perfect nor worthless (Beta prior).
pub const RELIABILITY_PRIOR_SUCCESSES: u64 = 9;
/// Failures a newcomer is charged with (Beta prior).
pub const RELIABILITY_PRIOR_FAILURES: u64 = 1;
/// Reports a drift looks back on.
pub const DRIFT_WINDOW: usize = 32;

const PPM: u64 = 1_000_000;

/// Reliability in ppm from the successes and failures of the last hour, with the Beta(9, 1) prior: 900,000 without any.
#[must_use]
pub fn reliability_ppm(successes: u64, failures: u64) -> u32 {
    let good = u128::from(successes).saturating_add(u128::from(RELIABILITY_PRIOR_SUCCESSES));
    let all = good.saturating_add(u128::from(failures)).saturating_add(u128::from(RELIABILITY_PRIOR_FAILURES));
    u32::try_from(good.saturating_mul(u128::from(PPM)).checked_div(all).unwrap_or(0)).unwrap_or(u32::MAX)
}

/// The changes of an agent's impedance over its last [`DRIFT_WINDOW`] reports.
#[derive(Clone, Debug, Default)]
pub struct DriftWindow {
    last_z_us: Option<u64>,
    changes_ppm: VecDeque<u32>,
}

impl DriftWindow {
    /// No reports yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the impedance of the next report.
    pub fn push(&mut self, z_us: u64) {
        if let Some(last) = self.last_z_us.replace(z_us) {
            if self.changes_ppm.len() >= DRIFT_WINDOW {
                self.changes_ppm.pop_front();
            }
            self.changes_ppm.push_back(change_ppm(last, z_us));
        }
    }

    /// 95th percentile (nearest rank) of `|change of Z| / Z` from report to report, in ppm; 0 before the second report.
    #[must_use]
    pub fn drift_ppm(&self) -> u32 {
        let mut sorted: Vec<u32> = self.changes_ppm.iter().copied().collect();
        sorted.sort_unstable();
        let rank = sorted.len().saturating_mul(95).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
    }
}

/// `|b - a| / b` in ppm; a change to nothing counts as the whole.
pub(crate) fn change_ppm(a: u64, b: u64) -> u32 {
    if a == b {
        return 0;
    }
    let change = u128::from(a.abs_diff(b)).saturating_mul(u128::from(PPM));
    u32::try_from(change.checked_div(u128::from(b)).unwrap_or(u128::from(PPM))).unwrap_or(u32::MAX)
}
