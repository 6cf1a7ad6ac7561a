//! When a validator asks its peers for blocks: the log does not bring them any more.

use mesh30k_ledger::types::{Height, TimeMs};

/// A validator whose chain has stood still for so long asks for what it may have missed, ms.
pub(crate) const STILL_MS: u64 = 2_000;
/// Blocks asked for at one time.
pub(crate) const BLOCKS: u64 = 32;

/// Asks when the chain stands still here. A validator that was away for longer than the log reaches back gets no entries,
/// only the offer of a snapshot that it must not take before the block is final here.
#[derive(Clone, Copy, Debug)]
pub struct CatchUp {
    height: Height,
    since: TimeMs,
    attempt: u32,
}

/// A question to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// First height.
    pub from: Height,
    /// Last height.
    pub to: Height,
    /// Counts from 0, for choosing peers.
    pub attempt: u32,
}

impl CatchUp {
    /// Begins to watch.
    #[must_use]
    pub const fn new(now: TimeMs) -> Self {
        Self { height: Height(0), since: now, attempt: 0 }
    }

    /// What to ask for now, if anything. `tip`: the last block executed here. A leader asks nobody: what it lacks does not
    /// exist.
    pub fn due(&mut self, now: TimeMs, tip: Height, is_leader: bool) -> Option<Wanted> {
        if tip != self.height || is_leader || now < self.since {
            (self.height, self.since, self.attempt) = (tip, now, 0);
            return None;
        }
        if now < self.since.plus_ms(STILL_MS) {
            return None;
        }
        self.since = now;
        let attempt = self.attempt;
        self.attempt = attempt.wrapping_add(1);
        Some(Wanted { from: tip.next(), to: Height(tip.0.saturating_add(BLOCKS)), attempt })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_only_where_the_chain_stands_still() {
        let mut watch = CatchUp::new(TimeMs(0));
        for ms in 0..20_000 {
            let moving = Height(1 + ms / 1_900);
            assert_eq!(watch.due(TimeMs(ms), moving, false), None, "the chain moves");
        }
        let asked: Vec<(u64, Wanted)> = (20_000..27_000)
            .filter_map(|ms| watch.due(TimeMs(ms), Height(11), false).map(|wanted| (ms, wanted)))
            .collect();
        assert_eq!(asked.iter().map(|(_, wanted)| wanted.attempt).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(asked.iter().all(|(_, wanted)| (wanted.from, wanted.to) == (Height(12), Height(43))));
        assert!((27_000..40_000).all(|ms| watch.due(TimeMs(ms), Height(11), true).is_none()), "a leader asks nobody");
        assert_eq!(watch.due(TimeMs(10), Height(43), false), None, "a clock that went back waits anew");
    }
}
