//! Content that works in tasks, and how much it is used, in the auditor's books.

use super::Auditor;
use mesh30k_ledger::types::{AccountId, Hash};

/// What is known of one content beside its registration.
#[derive(Default)]
pub struct Works {
    stars: i128,
    ratings: i128,
    earned: i128,
    earned_uses: i128,
    /// Thousandths, and of which day.
    impact: (i128, u64),
}

impl Works {
    fn aged(&self, day: u64) -> i128 {
        (self.impact.1..day).fold(self.impact.0, |score, _| score - (score + 31) / 32)
    }
}

impl Auditor {
    fn day(&self) -> u64 {
        self.now.0 / 86_400_000
    }

    pub(super) fn rated(&mut self, content: Hash, stars: u8) {
        let works = self.works.entry(content).or_default();
        works.stars += i128::from(stars);
        works.ratings += 1;
    }

    pub(super) fn impact(&mut self, content: Hash, uses: i128) {
        let day = self.day();
        let works = self.works.entry(content).or_default();
        works.impact = (works.aged(day) + 1_000 * uses, day);
    }

    /// Owners that use their own do not count.
    pub(super) fn used(&mut self, content: Hash, by: AccountId) {
        if !self.contents[&content].owners.iter().any(|share| share.owner == by) {
            self.impact(content, 1);
        }
    }

    /// What was agreed when it was registered, times a quarter a star and a quarter; eight ratings of three stars are given.
    pub(super) fn royalty_due(&self, module: Hash, base: i128) -> i128 {
        let Some(content) = self.contents.get(&module) else { return 0 };
        let (stars, ratings) = self.works.get(&module).map_or((0, 0), |works| (works.stars, works.ratings));
        let quality = 250_000 * (stars + 24 + ratings + 8) / (ratings + 8);
        base * (i128::from(content.royalty_ppm) * quality / 1_000_000) / 1_000_000
    }

    pub(super) fn worked(&mut self, module: Hash, opener: AccountId, royalty: i128) {
        if !self.contents.contains_key(&module) {
            assert_eq!(royalty, 0, "audit: a royalty for nobody");
            return;
        }
        self.used(module, opener);
        let works = self.works.entry(module).or_default();
        works.earned += royalty;
        works.earned_uses += i128::from(royalty > 0);
    }

    pub(super) fn collected(&mut self, content: Hash) {
        let works = self.works.get_mut(&content).expect("audit: royalties of unknown content");
        let (earned, uses) = (std::mem::take(&mut works.earned), std::mem::take(&mut works.earned_uses));
        assert!(earned > 0, "audit: nothing was there to collect");
        self.earned_by_content(content, earned, uses);
    }

    /// Up to a quarter for an owner, half of that at a hundred uses.
    pub(super) fn impact_bonus(&self, evidence: Hash, account: AccountId, amount: i128) -> i128 {
        let owns = |content: &mesh30k_ledger::ops::RegisterContent| content.owners.iter().any(|of| of.owner == account);
        if !self.contents.get(&evidence).is_some_and(owns) {
            return 0;
        }
        let score = self.works.get(&evidence).map_or(0, |works| works.aged(self.day()));
        amount * (250_000 * score / (score + 100_000)) / 1_000_000
    }
}
