//! What the time service of a hosted agent's host says. A model, for no trace says it: each host is synchronised to a
//! server some milliseconds away, and wrong by that path's asymmetry (`arrival.md` (b): within a few milliseconds over
//! the internet, 25 ms bounds over wireless).

use mesh30k_ledger::types::AgentClass;

use super::noise::{noise, normal, unit};
use super::replay::asymmetry;
use crate::clock::HostClock;
use crate::time::round_us;

/// Hosts of personal devices whose time service says nothing.
const MISSING_SHARE: f64 = 0.05;
/// Personal devices whose plain service runs over wireless links: these are off by more, and know it.
const WIRELESS_SHARE: f64 = 0.2;
const WIRELESS_SIGMA_US: f64 = 10_000.0;
const WIRELESS_BOUND_US: u32 = 50_000;
/// Dispersion and last adjustment, added to the bound.
const DISPERSION_US: f64 = 1_000.0;

/// One host's time service.
#[derive(Clone, Copy, Debug)]
pub struct HostClockModel {
    says: Option<(i64, u32)>,
}

impl HostClockModel {
    /// The service beside `agent` under `seed`.
    #[must_use]
    pub fn seeded(seed: u64, agent: u64, class: AgentClass) -> Self {
        let personal = matches!(class, AgentClass::E | AgentClass::F);
        let (low_us, high_us) = if personal { (10_000.0, 60_000.0) } else { (1_000.0, 20_000.0) };
        let dice = unit(noise(seed, agent, 0x4057, 1));
        if personal && dice < MISSING_SHARE {
            return Self { says: None };
        }
        if personal && dice < MISSING_SHARE + WIRELESS_SHARE {
            let wrong_us = WIRELESS_SIGMA_US * normal(noise(seed, agent, 0x4057, 3));
            return Self { says: Some((round_us(wrong_us), WIRELESS_BOUND_US)) };
        }
        let rtt_us = low_us + (high_us - low_us) * unit(noise(seed, agent, 0x4057, 2));
        // The server's path is not the lead's: an asymmetry of its own.
        let wrong_us = rtt_us * asymmetry(seed ^ 0x4057, agent) / 2.0;
        Self { says: Some((round_us(wrong_us), (rtt_us / 2.0 + DISPERSION_US) as u32)) }
    }

    /// What it says while the agent's clock is truly off by `offset_us`.
    #[must_use]
    pub fn state(&self, offset_us: i64) -> Option<HostClock> {
        self.says.map(|(wrong_us, bound_us)| HostClock { offset_us: offset_us.saturating_add(wrong_us), bound_us })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_lies_within_what_is_said_and_few_say_nothing() {
        let mut silent = 0;
        for agent in 0..2_000 {
            match HostClockModel::seeded(7, agent, AgentClass::E).state(-40_000) {
                Some(says) => assert!((says.offset_us + 40_000).unsigned_abs() <= u64::from(says.bound_us)),
                None => silent += 1,
            }
        }
        assert!((60..140).contains(&silent), "{silent}");
    }
}
