//! How long changes of the registry take to be seen by every node that keeps the sector, by the nodes' own histograms.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::client::ApiClient;
use crate::render::{grouped, percent};

/// The buckets of this metric are read.
const BUCKET: &str = "mesh30k_registry_visible_ms_bucket{le=\"";

/// Changes seen, by the bounds of the histogram in microseconds; all nodes together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen(BTreeMap<u64, u64>);

/// Changes that were seen in some time, each counted at each node that saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Visible {
    /// All.
    pub changes: u64,
    /// Of those, seen within half a second.
    pub within_500ms: u64,
    /// Bound that 99 of 100 were within, microseconds: that of a bucket.
    pub p99_us: u64,
    /// The same of half of them.
    pub p50_us: u64,
}

impl Seen {
    /// Reads the histograms of these nodes.
    ///
    /// # Errors
    /// A node can't be asked.
    pub fn by(clients: &[ApiClient]) -> Result<Self> {
        let mut seen = Self::default();
        for client in clients {
            let text = client.text("/metrics").with_context(|| format!("reading the metrics of {}", client.base()))?;
            seen.add(&text);
        }
        Ok(seen)
    }

    fn add(&mut self, text: &str) {
        for line in text.lines().filter_map(|line| line.strip_prefix(BUCKET)) {
            let Some((bound, count)) = line.split_once("\"} ") else { continue };
            let bound_us = bound.parse::<f64>().map_or(u64::MAX, |ms| (ms * 1e3) as u64);
            let sum = self.0.entry(bound_us).or_default();
            *sum = sum.saturating_add(count.trim().parse().unwrap_or(0));
        }
    }

    /// What was seen after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Visible {
        let up_to = |bound: u64, count: u64| count.saturating_sub(earlier.0.get(&bound).copied().unwrap_or(0));
        let seen: BTreeMap<u64, u64> = self.0.iter().map(|(bound, count)| (*bound, up_to(*bound, *count))).collect();
        let changes = seen.values().copied().max().unwrap_or(0);
        let bound_of = |share: f64| {
            let wanted = changes as f64 * share;
            let reached = seen.iter().find(|(_, count)| changes > 0 && **count as f64 >= wanted);
            reached.map_or(0, |(bound, _)| *bound)
        };
        Visible {
            changes,
            within_500ms: seen.get(&500_000).copied().unwrap_or(0),
            p99_us: bound_of(0.99),
            p50_us: bound_of(0.5),
        }
    }
}

impl fmt::Display for Visible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (share, count) = (percent(self.within_500ms, self.changes), grouped(self.changes));
        let bound =
            |us: u64| if us > 10_000_000 { "above 5 s".to_owned() } else { format!("within {} ms", us / 1_000) };
        write!(f, "half {}, 99 of 100 {}; {share} within 500 ms, {count} seen", bound(self.p50_us), bound(self.p99_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_of_all_nodes_add_up_and_what_was_before_does_not_count() {
        let text = |a: u64, b: u64, all: u64| {
            format!(
                "# HELP x\n{BUCKET}5\"}} {a}\n{BUCKET}500\"}} {b}\n{BUCKET}+Inf\"}} {all}\nmesh30k_registry_visible_ms_sum 4\n"
            )
        };
        let mut before = Seen::default();
        before.add(&text(1, 1, 2));
        let mut after = Seen::default();
        after.add(&text(61, 98, 102));
        after.add(&text(0, 0, 0));
        let visible = after.since(&before);
        assert_eq!(visible, Visible { changes: 100, within_500ms: 97, p99_us: u64::MAX, p50_us: 5_000 });
        let line = visible.to_string();
        assert!(line.contains("half within 5 ms, 99 of 100 above 5 s; 97.0 % within 500 ms"), "{line}");
        assert_eq!(after.since(&after), Visible::default());
    }
}
