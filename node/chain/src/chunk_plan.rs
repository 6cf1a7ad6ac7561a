//! Which chunk of a snapshot is asked of which peer.

use std::collections::{BTreeMap, BTreeSet};

use mesh30k_ledger::types::TimeMs;

/// Peers that one snapshot is taken from at a time, at most.
pub const SOURCES_MAX: usize = 8;
/// Chunks one of them is asked for at a time, at most.
pub const PER_SOURCE_MAX: usize = 4;
/// Chunks on their way that are not late, from all of them together, at most: 16 MiB.
pub const IN_FLIGHT_MAX: usize = 16;
/// Failed requests in a row after which a source is given up.
pub const FAILURES_MAX: usize = 3;
/// A chunk that did not come within so long is asked for elsewhere, too, ms. At 5 Mbit/s two chunks at a time take that long.
pub const LATE_MS: u64 = 3_000;

/// What a source is asked for at a time as long as it is not known how fast it is.
const PER_SOURCE_START: usize = 2;
/// Late chunks in a row after which a source is asked only where no other is better.
const LATE_MAX: usize = 3;

/// What came of asking for a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChunkOutcome {
    /// It is the one in the manifest, and was missing.
    Kept,
    /// It was there already: it had been late, and came from elsewhere.
    Repeated,
    /// It is not the one in the manifest.
    Wrong,
    /// The source does not have the snapshot any more.
    Absent,
    /// No answer.
    Failed,
}

impl ChunkOutcome {
    /// As metrics name it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Repeated => "repeated",
            Self::Wrong => "wrong",
            Self::Absent => "absent",
            Self::Failed => "failed",
        }
    }
}

/// A chunk to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask<P> {
    /// Of whom.
    pub source: P,
    /// Its number in the manifest.
    pub chunk: usize,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due<P> {
    /// To be asked for. Each is answered with [`ChunkPlan::on_outcome`] some time, a request without an answer as well.
    pub asks: Vec<Ask<P>>,
    /// How many chunks turned late since the last time.
    pub late: usize,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    since: TimeMs,
    is_late: bool,
}

#[derive(Clone, Debug)]
struct Source {
    /// By chunk. Late ones stay, and keep their place: a source that stalls is asked for less.
    requests: BTreeMap<usize, Request>,
    allowance: usize,
    /// Whether a chunk came from it in time.
    is_proven: bool,
    late_in_a_row: usize,
    failures_in_a_row: usize,
}

impl Source {
    const fn new() -> Self {
        Self {
            requests: BTreeMap::new(),
            allowance: PER_SOURCE_START,
            is_proven: false,
            late_in_a_row: 0,
            failures_in_a_row: 0,
        }
    }

    fn has_room(&self) -> bool {
        self.requests.len() < self.allowance
    }

    const fn is_slow(&self) -> bool {
        self.late_in_a_row >= LATE_MAX
    }

    fn slow_down(&mut self) {
        self.allowance = self.allowance.div_euclid(2).max(1);
    }

    /// The chunks that turn late now.
    fn note_late(&mut self, now: TimeMs) -> usize {
        let mut late = 0;
        for request in self.requests.values_mut() {
            if !request.is_late && now >= request.since.plus_ms(LATE_MS) {
                request.is_late = true;
                late += 1;
            }
        }
        for _ in 0..late {
            self.slow_down();
            self.late_in_a_row = self.late_in_a_row.saturating_add(1);
        }
        late
    }

    fn on_kept(&mut self, was_late: bool) {
        self.failures_in_a_row = 0;
        if !was_late {
            self.late_in_a_row = 0;
            self.is_proven = true;
            self.allowance = self.allowance.saturating_add(1).min(PER_SOURCE_MAX);
        }
    }
}

/// Takes one snapshot from peers that all offer it. A source that is quick is asked for more at a time, one that is late for less; what is
/// late, failed or wrong is asked for elsewhere; who sent a wrong chunk is asked for nothing any more. A chunk that is on its way and not
/// late is not asked for again.
///
/// It names peers by whatever the caller names them by. Checking chunks and keeping them is the caller's.
#[derive(Clone, Debug)]
pub struct ChunkPlan<P> {
    missing: BTreeSet<usize>,
    sources: BTreeMap<P, Source>,
    liars: BTreeSet<P>,
}

impl<P: Copy + Ord> ChunkPlan<P> {
    /// All chunks are missing, and nobody has them.
    #[must_use]
    pub fn new(chunks: usize) -> Self {
        Self { missing: (0..chunks).collect(), sources: BTreeMap::new(), liars: BTreeSet::new() }
    }

    /// This peer offers the snapshot. Whether it is asked: not one that sent a wrong chunk, nor one too many. One that is a source already
    /// stays as it is; one that was given up begins anew.
    pub fn add_source(&mut self, source: P) -> bool {
        let is_known = self.sources.contains_key(&source);
        if self.liars.contains(&source) || (!is_known && self.sources.len() >= SOURCES_MAX) {
            return false;
        }
        self.sources.entry(source).or_insert_with(Source::new);
        true
    }

    /// Whether this peer is asked for chunks.
    #[must_use]
    pub fn is_source(&self, peer: &P) -> bool {
        self.sources.contains_key(peer)
    }

    /// Whether this chunk has not come yet.
    #[must_use]
    pub fn is_missing(&self, chunk: usize) -> bool {
        self.missing.contains(&chunk)
    }

    /// How many chunks have not come yet.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing.len()
    }

    /// Whether every chunk came.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Whether chunks are missing and nobody is left to ask.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        !self.is_complete() && self.sources.is_empty()
    }

    /// What to ask for now.
    pub fn due(&mut self, now: TimeMs) -> Due<P> {
        let late = self.sources.values_mut().map(|source| source.note_late(now)).sum();
        let on_time: BTreeSet<usize> = self.on_time().map(|(chunk, _)| chunk).collect();
        let asked: BTreeSet<usize> = self.sources.values().flat_map(|source| source.requests.keys().copied()).collect();
        let mut room = IN_FLIGHT_MAX.saturating_sub(self.on_time().count());
        let mut asks = Vec::new();
        // Whoever is late holds its chunks for long; where everybody is, each may still bring some.
        let only_slow = self.sources.values().all(Source::is_slow);
        for &chunk in self.missing.iter().filter(|chunk| !on_time.contains(chunk)) {
            if room == 0 {
                break;
            }
            let able = self.sources.iter_mut().filter(|(_, source)| {
                source.has_room() && !source.requests.contains_key(&chunk) && (only_slow || !source.is_slow())
            });
            // A late one goes to whoever has shown that it brings chunks; the first time, all get their share.
            let is_late = asked.contains(&chunk);
            let rank = |source: &Source| {
                let doubts = source.late_in_a_row.saturating_add(source.failures_in_a_row);
                (doubts, is_late && !source.is_proven, source.requests.len())
            };
            let Some((&peer, source)) = able.min_by_key(|(_, source)| rank(source)) else { continue };
            source.requests.insert(chunk, Request { since: now, is_late: false });
            asks.push(Ask { source: peer, chunk });
            room = room.saturating_sub(1);
        }
        Due { asks, late }
    }

    /// When [`Self::due`] may have something new to say even though nothing came.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<TimeMs> {
        self.on_time().map(|(_, request)| request.since.plus_ms(LATE_MS)).min()
    }

    /// What came of asking `peer` for `chunk`. Of a peer that was given up since, only what it brought counts, and that it lied.
    pub fn on_outcome(&mut self, peer: P, chunk: usize, outcome: ChunkOutcome) {
        match outcome {
            ChunkOutcome::Kept => drop(self.missing.remove(&chunk)),
            ChunkOutcome::Wrong => {
                self.liars.insert(peer);
                self.sources.remove(&peer);
            }
            ChunkOutcome::Repeated | ChunkOutcome::Absent | ChunkOutcome::Failed => {}
        }
        let Some(source) = self.sources.get_mut(&peer) else { return };
        let Some(request) = source.requests.remove(&chunk) else { return };
        match outcome {
            ChunkOutcome::Kept => source.on_kept(request.is_late),
            ChunkOutcome::Repeated | ChunkOutcome::Wrong => {}
            ChunkOutcome::Absent => drop(self.sources.remove(&peer)),
            ChunkOutcome::Failed => {
                source.slow_down();
                source.failures_in_a_row = source.failures_in_a_row.saturating_add(1);
                if source.failures_in_a_row >= FAILURES_MAX {
                    self.sources.remove(&peer);
                }
            }
        }
    }

    fn on_time(&self) -> impl Iterator<Item = (usize, &Request)> {
        let requests = self.sources.values().flat_map(|source| &source.requests);
        requests.map(|(&chunk, request)| (chunk, request)).filter(|(_, request)| !request.is_late)
    }
}

#[cfg(test)]
#[path = "chunk_plan_tests.rs"]
mod tests;
