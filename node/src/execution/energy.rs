//! How much energy a task used, and how that is known.
//!
//! Three methods, best first: the processor's own counter (RAPL), the fuel times what this host measured per fuel, and the
//! power a machine of that class draws for as long as the task ran. Carbon is the ledger's business: energy times intensity.

use std::fs;
use std::path::{Path, PathBuf};

use mesh30k_ledger::ops::EnergyMethod;
use mesh30k_ledger::types::AgentClass;

/// What is known of a task when it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// What the package counter rose by while the task ran, microjoules; none where it can't be read.
    pub package_uj: Option<u64>,
    /// The task's share of the busy processor time in that while, millionths (a lone single-threaded task: 1,000,000).
    pub share_ppm: u32,
    /// Fuel used.
    pub fuel: u64,
    /// The host's calibration, millijoules per 10^9 fuel; none if it never calibrated.
    pub mj_per_gfuel: Option<u64>,
    /// Wall time, microseconds.
    pub wall_us: u64,
    /// Power of the agent's class under load, milliwatts; see [`class_power_mw`].
    pub class_power_mw: u64,
}

/// An amount of energy and how it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Energy {
    /// Millijoules, rounded up: work is never free.
    pub energy_mj: u64,
    /// How it was found.
    pub method: EnergyMethod,
}

/// The energy of a task by the best method its usage allows. Amounts beyond `u64` saturate.
#[must_use]
pub fn measure(usage: &Usage) -> Energy {
    // A counter that did not move says only that the task was shorter than its resolution.
    if let Some(package_uj) = usage.package_uj.filter(|uj| *uj > 0) {
        let share = u64::from(usage.share_ppm.min(1_000_000));
        return Energy { energy_mj: scaled(package_uj, share, 1_000_000_000), method: EnergyMethod::Rapl };
    }
    if let Some(mj_per_gfuel) = usage.mj_per_gfuel {
        return Energy { energy_mj: scaled(usage.fuel, mj_per_gfuel, 1_000_000_000), method: EnergyMethod::Fuel };
    }
    let energy_mj = scaled(usage.class_power_mw, usage.wall_us, 1_000_000);
    Energy { energy_mj, method: EnergyMethod::ClassDefault }
}

/// `a * b / divisor`, rounded up.
fn scaled(a: u64, b: u64, divisor: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    u64::try_from(product.div_ceil(u128::from(divisor))).unwrap_or(u64::MAX)
}

/// Power one busy core (or device) of an agent's class draws, milliwatts.
///
/// Rough defaults until a host measures: a server core's share (A, B, C), a GPU box (D), a Raspberry Pi 4 under load (E), a
/// laptop somebody works at (F).
#[must_use]
pub fn class_power_mw(class: AgentClass) -> u64 {
    match class {
        AgentClass::A => 5_000,
        AgentClass::B => 8_000,
        AgentClass::C => 10_000,
        AgentClass::D => 250_000,
        AgentClass::E => 6_000,
        AgentClass::F => 20_000,
    }
}

/// The calibration a run gives: what `energy_uj` per `fuel` is in mJ per 10^9 fuel; none for a run without fuel.
#[must_use]
pub fn calibrate(energy_uj: u64, fuel: u64) -> Option<u64> {
    let per_gfuel = (u128::from(energy_uj) * 1_000_000).checked_div(u128::from(fuel))?;
    Some(u64::try_from(per_gfuel).unwrap_or(u64::MAX))
}

/// Where Linux shows the first processor package's counter.
pub const RAPL_DIR: &str = "/sys/class/powercap/intel-rapl:0";

/// The counter of one processor package. Most machines let only root read it.
#[derive(Debug, Clone)]
pub struct Rapl {
    counter: PathBuf,
    /// The value after which the counter begins anew, microjoules.
    wraps_at_uj: u64,
}

impl Rapl {
    /// Opens the counter in a powercap folder; none where it is missing or not readable.
    #[must_use]
    pub fn open(dir: &Path) -> Option<Self> {
        let wraps_at_uj = read_number(&dir.join("max_energy_range_uj"))?;
        let rapl = Self { counter: dir.join("energy_uj"), wraps_at_uj };
        rapl.read_uj()?;
        Some(rapl)
    }

    /// The counter now, microjoules.
    #[must_use]
    pub fn read_uj(&self) -> Option<u64> {
        read_number(&self.counter)
    }

    /// What was used between two readings, microjoules, across at most one wrap.
    #[must_use]
    pub fn between_uj(&self, before: u64, after: u64) -> u64 {
        match after.checked_sub(before) {
            Some(used) => used,
            None => self.wraps_at_uj.saturating_sub(before).saturating_add(after),
        }
    }
}

fn read_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: Usage = Usage {
        package_uj: None,
        share_ppm: 500_000,
        fuel: 2_000_000,
        mj_per_gfuel: None,
        wall_us: 3_000_000,
        class_power_mw: 5_000,
    };

    #[test]
    fn the_best_method_that_is_there_is_used_and_named() {
        let class = measure(&USAGE);
        assert_eq!(class, Energy { energy_mj: 15_000, method: EnergyMethod::ClassDefault });
        let fuel = measure(&Usage { mj_per_gfuel: Some(40_000), ..USAGE });
        assert_eq!(fuel, Energy { energy_mj: 80, method: EnergyMethod::Fuel });
        let rapl = measure(&Usage { mj_per_gfuel: Some(40_000), package_uj: Some(9_000_001), ..USAGE });
        assert_eq!(rapl, Energy { energy_mj: 4_501, method: EnergyMethod::Rapl });
        let unmoved = measure(&Usage { mj_per_gfuel: Some(40_000), package_uj: Some(0), ..USAGE });
        assert_eq!(unmoved.method, EnergyMethod::Fuel);
    }

    #[test]
    fn a_calibration_predicts_the_run_it_came_from() {
        let mj_per_gfuel = calibrate(7_500, 3_000_000);
        let again = measure(&Usage { fuel: 3_000_000, mj_per_gfuel, ..USAGE });
        assert_eq!(again, Energy { energy_mj: 8, method: EnergyMethod::Fuel });
        assert_eq!(calibrate(7_500, 0), None);
    }

    #[test]
    fn nothing_overflows() {
        let most = Usage { package_uj: None, fuel: u64::MAX, mj_per_gfuel: Some(u64::MAX), ..USAGE };
        assert_eq!(measure(&most).energy_mj, u64::MAX);
    }

    #[test]
    fn the_counter_is_read_where_it_is_readable_and_wraps() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Rapl::open(dir.path()).is_none());
        fs::write(dir.path().join("max_energy_range_uj"), "1000\n").unwrap();
        fs::write(dir.path().join("energy_uj"), "990\n").unwrap();
        let rapl = Rapl::open(dir.path()).unwrap();
        let before = rapl.read_uj().unwrap();
        fs::write(dir.path().join("energy_uj"), "15\n").unwrap();
        assert_eq!(rapl.between_uj(before, rapl.read_uj().unwrap()), 25);
        assert_eq!(rapl.between_uj(10, 14), 4);
    }
}
