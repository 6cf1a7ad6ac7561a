//! What is assumed of a class before anything was measured (2.3: class medians, spread doubled).

use mesh30k_ledger::types::AgentClass;

use super::tail::ClassTail;

/// Assumed medians and spreads of a class, microseconds, after the class table of the overview.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassPrior {
    /// Median one-way delay.
    pub delay_us: f64,
    /// Its 0.9 quantile above the median.
    pub delay_spread_us: f64,
    /// Median processing of an event of weight zero.
    pub work_us: f64,
    /// Its 0.9 quantile above the median.
    pub work_spread_us: f64,
}

/// How many samples the assumed tail is worth against measured ones.
const TAIL_WEIGHT: f64 = 50.0;
/// z quantiles of calm links with log-normal work.
const CALM_TAIL: [(f64, f64); 6] = [(0.5, 0.05), (0.9, 1.0), (0.95, 1.4), (0.99, 2.6), (0.995, 3.5), (1.0, 8.0)];
/// z quantiles of log-normal work of a spread between 0.15 and 0.3, of which three in a thousand take up to four times as long,
/// over a spread known from twenty samples.
const WORK_TAIL: [(f64, f64); 6] = [(0.5, 0.05), (0.9, 1.0), (0.95, 1.45), (0.99, 2.6), (0.998, 4.8), (1.0, 16.0)];
/// z quantiles pooled over the Seattle series (1,486 links between personal devices, windows of 64).
const RESTLESS_TAIL: [(f64, f64); 6] = [(0.5, 0.05), (0.9, 1.05), (0.95, 1.5), (0.99, 3.1), (0.995, 4.5), (1.0, 20.0)];

impl ClassPrior {
    /// The assumption for `class`.
    #[must_use]
    pub const fn of(class: AgentClass) -> Self {
        let (delay_us, delay_spread_us, work_us, work_spread_us) = match class {
            AgentClass::A => (5_000.0, 3_000.0, 6_000.0, 3_000.0),
            AgentClass::B => (25_000.0, 10_000.0, 65_000.0, 25_000.0),
            AgentClass::C => (35_000.0, 15_000.0, 140_000.0, 60_000.0),
            AgentClass::D => (35_000.0, 15_000.0, 270_000.0, 100_000.0),
            AgentClass::E => (110_000.0, 200_000.0, 80_000.0, 50_000.0),
            AgentClass::F => (50_000.0, 50_000.0, 8_000_000.0, 20_000_000.0),
        };
        Self { delay_us, delay_spread_us, work_us, work_spread_us }
    }

    /// The tail of works a lead starts with: log-normal, rarely a pause.
    #[must_use]
    pub fn work_tail() -> ClassTail {
        ClassTail::from_quantiles(&WORK_TAIL, TAIL_WEIGHT)
    }

    /// The tail a lead starts the class with.
    #[must_use]
    pub fn tail(class: AgentClass) -> ClassTail {
        match class {
            AgentClass::E | AgentClass::F => ClassTail::from_quantiles(&RESTLESS_TAIL, TAIL_WEIGHT),
            AgentClass::A | AgentClass::B | AgentClass::C | AgentClass::D => {
                ClassTail::from_quantiles(&CALM_TAIL, TAIL_WEIGHT)
            }
        }
    }
}
