//! All rankings of a sector: everybody in every order, and the holders of each capability by score.

use super::ranking::{Ranked, Ranking};
use super::{Capabilities, Order, Query, Record};
use std::sync::Arc;

/// Looking at each holder of a capability and sorting pays when they are fewer than one in so many.
const FEW_SHARE: usize = 8;

/// The rankings of one view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rankings {
    /// Everybody, by [`Order::index`].
    everybody: [Ranking; Order::COUNT],
    /// The holders of each capability by score, by bit; ends at the highest bit that somebody has.
    holders: Vec<Ranking>,
}

impl Rankings {
    /// Ranks all records anew; `records` by slot.
    pub(super) fn of(records: &[Arc<Record>]) -> Self {
        let ranked = |order: Order| {
            (0..).zip(records).map(move |(slot, record)| Ranked { key: order.key(record), agent: record.agent, slot })
        };
        let union = records.iter().fold(Capabilities(0), |union, record| union.union(record.capabilities));
        let is_holder = |bit: u32, slot: u32| records.get(slot as usize).is_some_and(|r| has(r.capabilities, bit));
        let bits = u64::BITS.saturating_sub(union.0.leading_zeros());
        let holders = (0..bits).map(|bit| Ranking::of(ranked(Order::Score).filter(|r| is_holder(bit, r.slot))));
        Self { everybody: Order::ALL.map(|order| Ranking::of(ranked(order))), holders: holders.collect() }
    }

    /// Brings the rankings in step with records that were replaced at these slots.
    pub(super) fn update(&mut self, records: &[Arc<Record>], changed: &[usize]) {
        if changed.is_empty() {
            return;
        }
        let mut is_changed = vec![false; records.len()];
        changed.iter().for_each(|slot| is_changed.get_mut(*slot).into_iter().for_each(|flag| *flag = true));
        let news: Vec<(u32, &Record)> =
            changed.iter().filter_map(|slot| Some((u32::try_from(*slot).ok()?, &**records.get(*slot)?))).collect();
        let ranked =
            |order: Order, slot: u32, record: &Record| Ranked { key: order.key(record), agent: record.agent, slot };
        for (order, ranking) in Order::ALL.into_iter().zip(&mut self.everybody) {
            *ranking =
                ranking.with(&is_changed, news.iter().map(|(slot, record)| ranked(order, *slot, record)).collect());
        }
        for (bit, ranking) in (0..).zip(&mut self.holders) {
            let own = news.iter().filter(|(_, record)| has(record.capabilities, bit));
            let own: Vec<Ranked> = own.map(|(slot, record)| ranked(Order::Score, *slot, record)).collect();
            if !own.is_empty() {
                *ranking = ranking.with(&is_changed, own);
            }
        }
    }

    /// Everybody whom `query` can mean, the best first, and some more.
    pub(super) fn candidates(&self, records: &[Arc<Record>], query: &Query) -> Candidates<'_> {
        let wanted = (0..).zip(&self.holders).filter(|(bit, _)| has(query.capabilities, *bit));
        let fewest = wanted.map(|(_, holders)| holders).min_by_key(|holders| holders.len());
        if query.order == Order::Score {
            let limit = query.max_score.map_or(u64::MAX, u64::from);
            let ranking = fewest.or_else(|| self.everybody.get(Order::Score.index()));
            return Candidates::Ranked(ranking.map(|ranking| ranking.up_to(limit)).unwrap_or_default().iter());
        }
        match fewest.filter(|fewest| fewest.len() < records.len() / FEW_SHARE) {
            Some(few) => {
                let key = |r: &Ranked| records.get(r.slot as usize).map_or(u64::MAX, |record| query.order.key(record));
                let mut few: Vec<Ranked> =
                    few.all().iter().map(|ranked| Ranked { key: key(ranked), ..*ranked }).collect();
                few.sort_unstable();
                Candidates::Sorted(few.into_iter())
            }
            None => {
                let ranking = self.everybody.get(query.order.index());
                Candidates::Ranked(ranking.map(Ranking::all).unwrap_or_default().iter())
            }
        }
    }
}

/// Agents in the order of a query.
pub(super) enum Candidates<'a> {
    /// As they are ranked anyway.
    Ranked(std::slice::Iter<'a, Ranked>),
    /// The holders of a rare capability, put in order for this query.
    Sorted(std::vec::IntoIter<Ranked>),
}

impl Iterator for Candidates<'_> {
    type Item = Ranked;

    fn next(&mut self) -> Option<Ranked> {
        match self {
            Self::Ranked(ranked) => ranked.next().copied(),
            Self::Sorted(sorted) => sorted.next(),
        }
    }
}

fn has(capabilities: Capabilities, bit: u32) -> bool {
    capabilities.0.checked_shr(bit).unwrap_or(0) & 1 == 1
}
