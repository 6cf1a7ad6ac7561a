//! Reputation and confidence in the auditor's books. A history lasts days, so that nothing of them is forgotten here.

use super::Auditor;
use mesh30k_ledger::types::{AccountId, Scope, TxId};
use std::collections::{BTreeMap, BTreeSet};

pub const PAID: i128 = 2;
pub const FALSE_RECEIPT: i128 = -100;
pub const NEVER_OPENED: i128 = -20;
pub const TOO_HIGH: i128 = -50;
pub const TWO_VOTES: i128 = -300;
const NEVER_SERVED: i128 = -10;
/// Twice the time to look at a claim, once that to rule on it.
const WORK_MS: u64 = 2 * 3_000 + 12_000;

struct Won {
    winner: AccountId,
    expected: i128,
    work_ms: u64,
}

#[derive(Default)]
pub struct Standings {
    scores: BTreeMap<AccountId, i128>,
    confidence: BTreeMap<AccountId, i128>,
    won: BTreeMap<TxId, Won>,
    contested: BTreeSet<TxId>,
    frozen: BTreeSet<Scope>,
    reached: Vec<&'static str>,
}

impl Auditor {
    /// Reputation, and confidence in millionths.
    pub fn standing(&self, id: &AccountId) -> (i128, i128) {
        let of = |map: &BTreeMap<AccountId, i128>, start| map.get(id).copied().unwrap_or(start);
        (of(&self.standings.scores, 500), of(&self.standings.confidence, 500_000))
    }

    /// What came of orders since this was asked last.
    pub fn reached(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.standings.reached)
    }

    pub(super) fn judged(&mut self, who: AccountId, by: i128) {
        let score = self.standings.scores.entry(who).or_insert(500);
        *score = (*score + by).clamp(0, 1_000);
    }

    pub(super) fn froze(&mut self, scope: Scope) {
        self.standings.frozen.insert(scope);
    }

    pub(super) fn thawed(&mut self, scope: &Scope) {
        self.standings.frozen.remove(scope);
    }

    pub(super) fn contested(&mut self, escrow: TxId) {
        self.standings.contested.insert(escrow);
    }

    /// No bid is better than the winner's by price and carbon, for what is thought of its bidder: compared as fractions, in millionths
    /// of a uFTNS at a tenth of a FTNS a gram. Of equals, the first account.
    pub(super) fn best_won(&self, bids: &BTreeMap<AccountId, Option<(i128, i128)>>, winner: AccountId) {
        let opened = bids.iter().filter_map(|(who, bid)| Some((*who, (*bid)?)));
        let weighed = opened.map(|(who, (price, carbon))| {
            let (score, confidence) = self.standing(&who);
            (who, price * 1_000_000 + carbon * 100_000, score.max(1) * confidence)
        });
        let all: Vec<_> = weighed.collect();
        let (_, cost, trust) = all.iter().find(|(who, ..)| *who == winner).expect("audit: the winner bid");
        for (who, other, other_trust) in &all {
            let (own, theirs) = (cost * other_trust, other * trust);
            assert!(own < theirs || (own == theirs && winner <= *who), "audit: {who} bid better than {winner}");
        }
    }

    pub(super) fn has_won(&mut self, order: TxId, winner: AccountId, expected: i128, work_ms: u64) {
        self.standings.won.insert(order, Won { winner, expected, work_ms });
    }

    /// A bid that said within a tenth, a quarter, a half what came is worth a paid part, half of one, nothing; what is further off
    /// takes as much. What was contested says nothing.
    pub(super) fn served(&mut self, order: &TxId, footprint_ug: i128) {
        let Some(Won { winner, expected, .. }) = self.standings.won.remove(order) else { return };
        if self.standings.contested.contains(order) {
            return self.standings.reached.push("order served, contested");
        }
        let (low, high) = (expected.min(footprint_ug) + 10, expected.max(footprint_ug) + 10);
        let near = low * 1_000_000 / high;
        let confidence = self.standings.confidence.entry(winner).or_insert(500_000);
        *confidence = ((*confidence * 7 + near) / 8).max(100_000);
        let steps = [(9, 10, 2), (3, 4, 1), (1, 2, 0), (1, 4, -1)];
        let step = steps.iter().find(|(part, of, _)| low * of >= high * part).map_or(-2, |(_, _, step)| *step);
        self.standings.reached.push(if step > 0 { "order served as expected" } else { "order served unexpectedly" });
        self.judged(winner, step);
    }

    pub(super) fn never_served(&mut self, order: &TxId) {
        let Some(won) = self.standings.won.remove(order) else { return };
        let claimed = self.claims.contains_key(&(*order, 0));
        if won.work_ms >= WORK_MS && !claimed && self.standings.frozen.is_empty() {
            self.standings.reached.push("order never served");
            self.judged(won.winner, NEVER_SERVED);
        } else {
            self.standings.reached.push("order never served, excused");
        }
    }
}
