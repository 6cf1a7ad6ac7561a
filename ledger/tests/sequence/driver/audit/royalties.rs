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
    earned_by_others: i128,
    /// Thousandths of uses, downloads and citations, and of which day.
    impact: ([i128; 3], u64),
    /// How often it was used, downloaded, cited.
    counts: [i128; 3],
}

pub const USE: usize = 0;
pub const DOWNLOAD: usize = 1;
pub const CITATION: usize = 2;

impl Works {
    fn aged(&self, day: u64) -> [i128; 3] {
        (self.impact.1..day).fold(self.impact.0, |scores, _| scores.map(|score| score - (score + 31) / 32))
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

    fn impact(&mut self, content: Hash, kind: usize, times: i128) {
        let day = self.day();
        let works = self.works.entry(content).or_default();
        let mut scores = works.aged(day);
        scores[kind] += 1_000 * times;
        works.impact = (scores, day);
    }

    fn is_owner(&self, content: &Hash, who: AccountId) -> bool {
        self.contents[content].owners.iter().any(|share| share.owner == who)
    }

    /// Owners that use their own do not count.
    fn reached_by(&mut self, content: Hash, by: AccountId, kind: usize) {
        self.works.entry(content).or_default().counts[kind] += 1;
        if !self.is_owner(&content, by) {
            self.impact(content, kind, 1);
        }
    }

    pub(super) fn used(&mut self, content: Hash, by: AccountId) {
        self.reached_by(content, by, USE);
    }

    pub(super) fn downloaded(&mut self, content: Hash, by: AccountId) {
        self.reached_by(content, by, DOWNLOAD);
    }

    /// By uses of what was made from it; of these, `others` were not of the users' own. Nor does it count who cites oneself.
    pub(super) fn cited(&mut self, content: Hash, uses: i128, others: i128, by: Option<AccountId>) {
        self.works.entry(content).or_default().counts[CITATION] += uses;
        if by.is_none_or(|by| !self.is_owner(&content, by)) {
            self.impact(content, CITATION, others);
        }
    }

    /// Uses, downloads and citations of a content: how often, and what they weigh as of the day of the last.
    pub fn impact_of(&self, content: &Hash) -> ([i128; 3], [i128; 3]) {
        self.works.get(content).map_or_else(Default::default, |works| (works.counts, works.impact.0))
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
        let own = self.is_owner(&module, opener);
        let works = self.works.entry(module).or_default();
        works.earned += royalty;
        works.earned_uses += i128::from(royalty > 0);
        works.earned_by_others += i128::from(royalty > 0 && !own);
    }

    pub(super) fn collected(&mut self, content: Hash) {
        let works = self.works.get_mut(&content).expect("audit: royalties of unknown content");
        let (earned, uses) = (std::mem::take(&mut works.earned), std::mem::take(&mut works.earned_uses));
        let others = std::mem::take(&mut works.earned_by_others);
        assert!(earned > 0, "audit: nothing was there to collect");
        self.earned_up(content, earned, (uses, others), None);
    }

    /// Up to a quarter for an owner, half of that at a hundred uses.
    pub(super) fn impact_bonus(&self, evidence: Hash, account: AccountId, amount: i128) -> i128 {
        let owns = |content: &mesh30k_ledger::ops::RegisterContent| content.owners.iter().any(|of| of.owner == account);
        if !self.contents.get(&evidence).is_some_and(owns) {
            return 0;
        }
        let score: i128 = self.works.get(&evidence).map_or(0, |works| works.aged(self.day()).iter().sum());
        amount * (250_000 * score / (score + 100_000)) / 1_000_000
    }
}
