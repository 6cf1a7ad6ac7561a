//! By what a build of the machines is known: a file of one that decides otherwise is no run of this bench.

use crate::config::{SCENARIOS, SimConfig, SimError};
use crate::run::run;

/// A small mesh: every scenario in a second.
const AGENTS: u32 = 60;
const WAVES: u32 = 2;
const SPAN_US: i64 = 6_000_000;

/// Hash over everything that happens in small runs of all scenarios and strategies.
pub(super) fn fingerprint() -> Result<String, SimError> {
    let mut hasher = blake3::Hasher::new();
    for (scenario, _) in SCENARIOS {
        let config = SimConfig {
            scenario,
            agents: AGENTS,
            waves: WAVES,
            warm_up_us: SPAN_US,
            interval_us: SPAN_US,
            ..SimConfig::default()
        };
        hasher.update(run(&config)?.trace_hash.as_bytes());
    }
    Ok(hasher.finalize().to_hex().chars().take(16).collect())
}
