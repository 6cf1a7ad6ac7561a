//! Mesh time: this machine's clock, corrected by exchanges with the anchor, the first validator.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mesh30k_core::clock::{ClockSet, Exchange};
use mesh30k_core::time::{LocalTimeUs, TimeUs, round_us};
use mesh30k_core::wire::Priority;
use mesh30k_ledger::types::NodeId;
use tokio_util::sync::CancellationToken;

use super::ledger::MeshLedger;
use super::post::Postbox;
use crate::clock::wall_us;
use crate::sectors::{BeatAnswer, BeatQuestion};

/// Exchanges at the start, quickly one after another.
const BURST: u32 = 8;
/// Between two exchanges of the burst.
const BURST_GAP: Duration = Duration::from_millis(40);
/// Exchanges until the node's start no longer weighs on them, and the gap between two.
const SETTLING: u32 = BURST + 12;
const SETTLING_GAP: Duration = Duration::from_millis(500);
/// Between two exchanges afterwards, and once there are so many that one more says little.
const EXCHANGE_EVERY: Duration = Duration::from_secs(3);
const KNOWN_WELL: u32 = SETTLING + 64;
const KNOWN_WELL_EVERY: Duration = Duration::from_secs(10);
/// Between two attempts while there is no estimate yet.
const RETRY_EVERY: Duration = Duration::from_millis(250);
/// How long an answer may take.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(2);

/// What this node believes of its own clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockReading {
    /// Mesh time minus the machine's clock, in microseconds, at `at`.
    pub offset_us: f64,
    /// How fast the offset changes, in ppm.
    pub skew_ppm: f64,
    /// The machine's clock at which `offset_us` held.
    pub at: TimeUs,
    /// Bound on the error against the anchor, in microseconds; infinite before the first exchange.
    pub bound_us: f64,
    /// By how much mesh time jumped here whenever a reading replaced another, in sum, microseconds.
    pub corrected_us: i64,
}

impl ClockReading {
    const UNKNOWN: Self =
        Self { offset_us: 0.0, skew_ppm: 0.0, at: TimeUs(0), bound_us: f64::INFINITY, corrected_us: 0 };
    const ANCHOR: Self = Self { bound_us: 0.0, ..Self::UNKNOWN };

    /// Mesh time when the machine's clock shows `wall_us`.
    #[must_use]
    pub fn mesh_time(&self, wall_us: i64) -> TimeUs {
        let elapsed_us = wall_us.saturating_sub(self.at.0) as f64;
        TimeUs(wall_us.saturating_add(round_us(self.offset_us + self.skew_ppm * elapsed_us / 1e6)))
    }
}

/// The mesh clock of this node. Reading it never waits; clones are the same clock.
#[derive(Clone, Debug)]
pub struct MeshClock(Arc<ArcSwap<ClockReading>>);

impl Default for MeshClock {
    fn default() -> Self {
        Self(Arc::new(ArcSwap::from_pointee(ClockReading::UNKNOWN)))
    }
}

impl MeshClock {
    /// Mesh time now; the machine's own before the first exchange.
    #[must_use]
    pub fn now(&self) -> TimeUs {
        self.0.load().mesh_time(wall_us())
    }

    /// What it stands on.
    #[must_use]
    pub fn reading(&self) -> ClockReading {
        **self.0.load()
    }

    /// Whether it was ever compared with the anchor's (or is the anchor's).
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.0.load().bound_us.is_finite()
    }

    fn is_anchor(&self) -> bool {
        self.reading().bound_us <= 0.0
    }

    fn set(&self, reading: ClockReading) {
        let (before, wall_us) = (self.reading(), wall_us());
        let jump_us = reading.mesh_time(wall_us).since_us(before.mesh_time(wall_us));
        self.0.store(Arc::new(ClockReading { corrected_us: before.corrected_us.saturating_add(jump_us), ..reading }));
    }
}

/// Keeps the clock true until cancelled. When the anchor is silent, the last estimate holds over.
pub(super) async fn run(me: NodeId, ledger: Arc<dyn MeshLedger>, post: Postbox, stop: CancellationToken) {
    let clock = post.clock().clone();
    let mut exchanges = ClockSet::new();
    let mut made = 0_u32;
    loop {
        match ledger.anchor() {
            Ok(Some(anchor)) if anchor == me => clock.set(ClockReading::ANCHOR),
            Ok(Some(anchor)) => {
                if let Some(exchange) = exchange(&post, anchor).await
                    && exchanges.record(anchor, exchange).is_ok()
                {
                    made = made.saturating_add(1);
                    adopt(&clock, &exchanges);
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the anchor can't be read from the ledger"),
        }
        let gap = if clock.is_anchor() { EXCHANGE_EVERY } else { gap_after(made, exchanges.is_in_doubt()) };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(gap) => {}
        }
    }
}

/// How long to wait after so many exchanges; `in_doubt` when the last contradicts the others.
const fn gap_after(made: u32, in_doubt: bool) -> Duration {
    match made {
        0 => RETRY_EVERY,
        1..BURST => BURST_GAP,
        BURST..SETTLING => SETTLING_GAP,
        _ if in_doubt => SETTLING_GAP,
        SETTLING..KNOWN_WELL => EXCHANGE_EVERY,
        KNOWN_WELL.. => KNOWN_WELL_EVERY,
    }
}

/// One exchange: "mesh time" of it is this machine's clock and the "child" is the anchor, so that the offset found is
/// the anchor's clock minus ours.
async fn exchange(post: &Postbox, anchor: NodeId) -> Option<Exchange> {
    let sent = wall_us();
    let answer = post.ask(anchor, BeatQuestion::Clock, Priority::High, EXCHANGE_TIMEOUT).await;
    let back = wall_us();
    match answer {
        Ok(BeatAnswer::Clock { received, answered }) => Some(Exchange {
            t1: TimeUs(sent),
            t2: LocalTimeUs(received.0),
            t3: LocalTimeUs(answered.0),
            t4: TimeUs(back),
        }),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(%error, %anchor, "no clock exchange with the anchor");
            None
        }
    }
}

fn adopt(clock: &MeshClock, exchanges: &ClockSet) {
    let now = TimeUs(wall_us());
    if let Some(estimate) = exchanges.estimate(now) {
        clock.set(ClockReading {
            offset_us: estimate.offset_us,
            skew_ppm: estimate.skew_ppm,
            at: estimate.at,
            bound_us: estimate.bound_us,
            ..ClockReading::UNKNOWN
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_carries_offset_and_rate() {
        let reading = ClockReading {
            offset_us: -250.0,
            skew_ppm: 20.0,
            at: TimeUs(1_000_000),
            bound_us: 10.0,
            ..ClockReading::UNKNOWN
        };
        assert_eq!(reading.mesh_time(1_000_000), TimeUs(999_750));
        assert_eq!(reading.mesh_time(11_000_000), TimeUs(10_999_950), "20 ppm for 10 s are 200 us");
    }

    #[test]
    fn exchanges_become_rarer_the_more_there_are_and_a_doubt_brings_them_back() {
        let gaps: Vec<Duration> = (1..=KNOWN_WELL).map(|made| gap_after(made, false)).collect();
        assert!(gaps.is_sorted());
        assert_eq!(gaps.last(), Some(&KNOWN_WELL_EVERY));
        assert_eq!(gap_after(KNOWN_WELL, true), SETTLING_GAP);
        assert!(gap_after(0, false) < EXCHANGE_EVERY);
    }

    #[test]
    fn adopted_exchanges_move_the_clock_to_the_anchors() {
        let clock = MeshClock::default();
        assert!(!clock.is_synced());
        let mut exchanges = ClockSet::new();
        let ahead_us = 40_000_000;
        for step in 0..8 {
            let t1 = wall_us() - 1_000_000 + step * 10_000;
            let anchor = LocalTimeUs(t1 + 300 + ahead_us);
            exchanges
                .record(NodeId(1), Exchange { t1: TimeUs(t1), t2: anchor, t3: anchor, t4: TimeUs(t1 + 600) })
                .unwrap();
        }
        adopt(&clock, &exchanges);
        assert!(clock.is_synced());
        assert!((clock.now().0 - wall_us() - ahead_us).abs() < 20_000);
        assert!((clock.reading().corrected_us - ahead_us).abs() < 20_000, "a jump from the machine's own time");
    }
}
