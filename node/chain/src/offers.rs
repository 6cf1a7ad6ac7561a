//! Whom a newcomer asks for a snapshot, and which of those offered it takes.

use std::collections::{BTreeMap, BTreeSet};

use mesh30k_consensus::finality::snapshot::VerifiedManifest;
use mesh30k_ledger::handover::Handover;
use mesh30k_ledger::types::{Epoch, Hash, Height, Round, TimeMs};

use crate::chunk_plan::{PER_SOURCE_MAX, SOURCES_MAX};

/// Peers asked for a snapshot before a newcomer follows block by block, at most.
pub const ASKED_MAX: usize = 32;
/// How often one that does not answer, or has lost what it offered, is asked, at most.
pub const TRIES_MAX: usize = 3;
/// Pause before it is asked again, ms.
pub const RETRY_MS: u64 = 500;
/// How long others may take after the first answer before one is taken, ms.
pub const GATHER_MS: u64 = 1_000;

/// A snapshot that a peer offers; its certificate was checked.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What it consists of.
    pub manifest: VerifiedManifest,
    /// How the chain came to those who certified it; checked, empty where they are the ones known here.
    pub handovers: Vec<Handover>,
}

impl Offer {
    fn content(&self) -> Hash {
        self.manifest.manifest().content()
    }

    fn height(&self) -> Height {
        self.manifest.manifest().height()
    }

    fn place(&self) -> (Epoch, Round) {
        let header = &self.manifest.manifest().header;
        (header.epoch, header.round)
    }
}

/// What a newcomer does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Waits for answers.
    Wait,
    /// Follows block by block: it is not far behind.
    Near,
    /// Takes the snapshot with this content.
    Take(Hash),
    /// Follows block by block: nobody has a snapshot for it.
    Nobody,
}

#[derive(Clone, Debug)]
enum Answer {
    Waiting,
    Near,
    Offer { content: Hash, offer: Box<Offer> },
    Failed { at: TimeMs },
    Excluded,
}

#[derive(Clone, Debug)]
struct Asked {
    tries: usize,
    answer: Answer,
}

/// What the peers of a newcomer answered.
///
/// Peers made their snapshots at different times. Of those offered, the ones certified in an earlier epoch or round than another are left
/// out: whoever certified them does not any more. So are those that are much older than the newest, or many could offer an old one. Of the
/// others, the one that most offer is taken, the newest of several such.
#[derive(Clone, Debug)]
pub struct Offers<P> {
    window_blocks: u64,
    asked: BTreeMap<P, Asked>,
    first_at: Option<TimeMs>,
}

impl<P: Copy + Ord> Offers<P> {
    /// Nobody was asked. `window_blocks`: how much older than the newest a snapshot may be.
    #[must_use]
    pub const fn new(window_blocks: u64) -> Self {
        Self { window_blocks, asked: BTreeMap::new(), first_at: None }
    }

    /// Whom to ask now of those who are connected, the better ones first. Each answers with one of the methods below.
    pub fn to_ask(&mut self, now: TimeMs, connected: impl IntoIterator<Item = P>) -> Vec<P> {
        let occupied = self.asked.values().filter(|one| matches!(one.answer, Answer::Waiting | Answer::Offer { .. }));
        let mut room = SOURCES_MAX.saturating_sub(occupied.count());
        let mut chosen = Vec::new();
        for peer in connected {
            if room == 0 {
                break;
            }
            let is_new = !self.asked.contains_key(&peer) && self.asked.len() < ASKED_MAX;
            if is_new || self.asked.get(&peer).is_some_and(|one| one.may_try(now)) {
                let one = self.asked.entry(peer).or_insert(Asked { tries: 0, answer: Answer::Waiting });
                one.tries = one.tries.saturating_add(1);
                one.answer = Answer::Waiting;
                chosen.push(peer);
                room = room.saturating_sub(1);
            }
        }
        chosen
    }

    /// The peer is hardly ahead of this node.
    pub fn on_near(&mut self, now: TimeMs, peer: P) {
        self.on_answer(now, peer, Answer::Near);
    }

    /// The peer offers a snapshot.
    pub fn on_offer(&mut self, now: TimeMs, peer: P, offer: Offer) {
        self.on_answer(now, peer, Answer::Offer { content: offer.content(), offer: Box::new(offer) });
    }

    /// The peer did not answer, or does not have any more what it offered.
    pub fn on_failed(&mut self, now: TimeMs, peer: P) {
        if let Some(one) = self.asked.get_mut(&peer).filter(|one| !matches!(one.answer, Answer::Excluded)) {
            one.answer = Answer::Failed { at: now };
        }
    }

    /// The peer offered what is not certified, or sent a wrong chunk: it is asked nothing any more.
    pub fn exclude(&mut self, peer: P) {
        if let Some(one) = self.asked.get_mut(&peer) {
            one.answer = Answer::Excluded;
        }
    }

    /// The snapshot did not lead to the state that is certified, or nobody has it any more: none of those who offered it is asked again.
    pub fn refuse(&mut self, content: Hash) {
        for peer in self.sources(content) {
            self.exclude(peer);
        }
    }

    /// Who offers this snapshot.
    #[must_use]
    pub fn sources(&self, content: Hash) -> Vec<P> {
        self.offers().filter(|(_, offered, _)| *offered == content).map(|(peer, ..)| peer).collect()
    }

    /// One of the offers of this snapshot.
    #[must_use]
    pub fn offer(&self, content: Hash) -> Option<&Offer> {
        self.offers().find(|(_, offered, _)| *offered == content).map(|(.., offer)| offer)
    }

    /// Whether this peer was asked in vain, and is not asked again.
    #[must_use]
    pub fn is_spent(&self, peer: &P) -> bool {
        self.asked.get(peer).is_some_and(|one| match one.answer {
            Answer::Excluded => true,
            Answer::Failed { .. } => one.tries >= TRIES_MAX,
            Answer::Waiting | Answer::Near | Answer::Offer { .. } => false,
        })
    }

    /// Whether a peer that was asked may still offer something.
    #[must_use]
    pub fn may_hear_more(&self) -> bool {
        self.asked.values().any(|one| match one.answer {
            Answer::Waiting => true,
            Answer::Failed { .. } => one.tries < TRIES_MAX,
            Answer::Near | Answer::Offer { .. } | Answer::Excluded => false,
        })
    }

    /// What to do now.
    #[must_use]
    pub fn next_step(&self, now: TimeMs) -> NextStep {
        let is_gathered = self.first_at.is_some_and(|first| now >= first.plus_ms(GATHER_MS));
        if let Some((content, offer)) = self.best() {
            // One source can bring a small one at once: others would not make it faster.
            let is_small = offer.manifest.manifest().chunks.len() <= PER_SOURCE_MAX;
            let is_full = self.offers().count() >= SOURCES_MAX;
            return if is_small || is_full || is_gathered { NextStep::Take(content) } else { NextStep::Wait };
        }
        let is_near = self.asked.values().any(|one| matches!(one.answer, Answer::Near));
        match (is_near, self.may_hear_more()) {
            (true, more) if !more || is_gathered => NextStep::Near,
            (false, false) if !self.asked.is_empty() => NextStep::Nobody,
            _ => NextStep::Wait,
        }
    }

    fn on_answer(&mut self, now: TimeMs, peer: P, answer: Answer) {
        if let Some(one) = self.asked.get_mut(&peer).filter(|one| matches!(one.answer, Answer::Waiting)) {
            one.answer = answer;
            self.first_at.get_or_insert(now);
        }
    }

    fn offers(&self) -> impl Iterator<Item = (P, Hash, &Offer)> {
        self.asked.iter().filter_map(|(&peer, one)| match &one.answer {
            Answer::Offer { content, offer } => Some((peer, *content, &**offer)),
            _ => None,
        })
    }

    fn best(&self) -> Option<(Hash, &Offer)> {
        let place = self.offers().map(|(.., offer)| offer.place()).max()?;
        let in_place: Vec<_> = self.offers().filter(|(.., offer)| offer.place() == place).collect();
        let newest = in_place.iter().map(|(.., offer)| offer.height()).max()?;
        let oldest = Height(newest.0.saturating_sub(self.window_blocks));
        let contents: BTreeSet<Hash> = in_place.iter().map(|(_, content, _)| *content).collect();
        let worth = |content: &Hash| {
            let of = || in_place.iter().filter(|(_, offered, offer)| offered == content && offer.height() >= oldest);
            Some((of().count(), of().next()?.2.height()))
        };
        let best = contents.into_iter().max_by_key(worth)?;
        Some((best, in_place.iter().find(|(_, content, _)| *content == best)?.2))
    }
}

impl Asked {
    fn may_try(&self, now: TimeMs) -> bool {
        matches!(self.answer, Answer::Failed { at } if self.tries < TRIES_MAX && now >= at.plus_ms(RETRY_MS))
    }
}

#[cfg(test)]
#[path = "offers_tests.rs"]
mod tests;
