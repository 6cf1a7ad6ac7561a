//! The energy of a task on this machine.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use mesh30k_ledger::types::AgentClass;

use crate::execution::Execution;
use crate::execution::energy::{Energy, RAPL_DIR, Rapl, Usage, calibrate, class_power_mw, measure};

/// Microseconds of one tick of `/proc/stat`; its unit is 1/100 s on every Linux there is.
const TICK_US: u64 = 10_000;
const PPM: u64 = 1_000_000;

/// Measures tasks; learns from those the counter could see what to say of those it could not.
#[derive(Debug)]
pub(super) struct EnergyMeter {
    rapl: Option<Rapl>,
    /// Zero until calibrated.
    mj_per_gfuel: AtomicU64,
}

/// The counters when a task began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Started {
    package_uj: Option<u64>,
    busy_us: Option<u64>,
}

impl EnergyMeter {
    pub(super) fn new() -> Self {
        Self { rapl: Rapl::open(Path::new(RAPL_DIR)), mj_per_gfuel: AtomicU64::new(0) }
    }

    pub(super) fn start(&self) -> Started {
        let package_uj = self.rapl.as_ref().and_then(Rapl::read_uj);
        Started { package_uj, busy_us: package_uj.and_then(|_| busy_us(&read_stat()?)) }
    }

    pub(super) fn finish(&self, started: Started, execution: &Execution, class: AgentClass) -> Energy {
        let after_uj = self.rapl.as_ref().and_then(Rapl::read_uj);
        let package_uj = match (&self.rapl, started.package_uj, after_uj) {
            (Some(rapl), Some(before), Some(after)) => Some(rapl.between_uj(before, after)),
            _ => None,
        };
        let busy_us = read_stat().and_then(|text| busy_us(&text)).zip(started.busy_us);
        let share_ppm = share_ppm(execution.wall_us, busy_us.map(|(after, before)| after.saturating_sub(before)));
        let learned = self.mj_per_gfuel.load(Ordering::Relaxed);
        if let Some(uj) = package_uj.filter(|uj| *uj > 0)
            && let Some(mj_per_gfuel) = calibrate(uj.saturating_mul(u64::from(share_ppm)) / PPM, execution.fuel)
        {
            self.mj_per_gfuel.store(mj_per_gfuel, Ordering::Relaxed);
        }
        measure(&Usage {
            package_uj,
            share_ppm,
            fuel: execution.fuel,
            mj_per_gfuel: Some(learned).filter(|value| *value > 0),
            wall_us: execution.wall_us,
            class_power_mw: class_power_mw(class),
        })
    }
}

/// A single-threaded task's share of what all processors did meanwhile; all of it where that is not known.
fn share_ppm(wall_us: u64, busy_us: Option<u64>) -> u32 {
    let busy_us = busy_us.unwrap_or(0).max(wall_us).max(1);
    u32::try_from(u128::from(wall_us) * u128::from(PPM) / u128::from(busy_us)).unwrap_or(u32::MAX)
}

fn read_stat() -> Option<String> {
    fs::read_to_string("/proc/stat").ok()
}

/// Time all processors were busy since the machine started: the first line without idle and iowait.
fn busy_us(stat: &str) -> Option<u64> {
    let mut fields = stat.lines().next()?.split_ascii_whitespace();
    if fields.next() != Some("cpu") {
        return None;
    }
    let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
    let busy = ticks.iter().enumerate().filter(|(at, _)| !matches!(at, 3 | 4)).map(|(_, ticks)| *ticks);
    (ticks.len() > 4).then(|| busy.fold(0_u64, u64::saturating_add).saturating_mul(TICK_US))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_not_busy_time() {
        assert_eq!(busy_us("cpu  10 0 5 1000 70 1 2\ncpu0 1 1 1 1 1\n"), Some(180_000));
        assert_eq!(busy_us("intr 5"), None);
        assert_eq!(busy_us("cpu 1 2"), None);
    }

    #[test]
    fn a_task_is_charged_its_share_and_never_more_than_everything() {
        assert_eq!(share_ppm(50_000, Some(200_000)), 250_000);
        assert_eq!(share_ppm(50_000, Some(0)), 1_000_000);
        assert_eq!(share_ppm(50_000, None), 1_000_000);
        assert_eq!(share_ppm(0, None), 0);
    }
}
