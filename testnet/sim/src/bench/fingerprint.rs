//! By what a build is known: a file of one whose machines decide otherwise, or that counts otherwise, is no run of this bench.

use super::BenchError;
use crate::config::{SCENARIOS, SimConfig};
use crate::run::run;

/// A small mesh: every scenario in a second.
const AGENTS: u32 = 60;
const WAVES: u32 = 2;
const SPAN_US: i64 = 6_000_000;

/// Hash over everything that happens in small runs of all scenarios and strategies, and over what is reported of them.
pub(super) fn fingerprint() -> Result<String, BenchError> {
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
        // The report holds the hashes of its traces.
        hasher.update(&serde_json::to_vec(&run(&config)?)?);
    }
    Ok(hasher.finalize().to_hex().chars().take(16).collect())
}
