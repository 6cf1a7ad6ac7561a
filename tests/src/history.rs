//! What clients were promised, and whether it was kept.

use std::collections::BTreeMap;

use mesh30k_ledger::types::{AccountId, Height, TxId};

use crate::chain::Chain;

/// How far a node said a payment had come. From [`Self::Accepted`] on it is a promise: of a node that lives on the first,
/// of the mesh the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acknowledged {
    /// Sent; nobody answered.
    Nothing,
    /// Kept by the node it was sent to.
    Accepted,
    /// Ordered by the validators.
    Ordered,
    /// Certified.
    Final,
}

/// One payment of a client.
#[derive(Clone, Debug)]
pub struct Payment {
    /// Its id.
    pub id: TxId,
    /// Who pays.
    pub from: AccountId,
    /// Who is paid.
    pub to: AccountId,
    /// How much, uFTNS.
    pub amount: u64,
    /// What it costs, uFTNS.
    pub fee: u64,
    /// The furthest any node said it had come.
    pub acknowledged: Acknowledged,
    /// Where it was said to be final.
    pub final_at: Option<Height>,
    /// Why a node refused or rejected it, if one did.
    pub refusal: Option<String>,
}

/// Payments of several clients and what their accounts began with.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// In the order of each client.
    pub payments: Vec<Payment>,
    /// Balances before the first payment, uFTNS.
    pub before: BTreeMap<AccountId, u64>,
}

impl History {
    /// Payments that were acknowledged at least so far.
    #[must_use]
    pub fn count(&self, at_least: Acknowledged) -> usize {
        self.payments.iter().filter(|payment| payment.acknowledged >= at_least).count()
    }

    /// Every promise that `chain` and the balances at its end do not keep, one sentence each.
    #[must_use]
    pub fn breaches(&self, chain: &Chain, after: &BTreeMap<AccountId, u64>) -> Vec<String> {
        let places = chain.places();
        let mut breaches = Vec::new();
        let mut model = self.before.clone();
        for payment in &self.payments {
            let found = places.get(&payment.id).map_or(&[][..], Vec::as_slice);
            breaches.extend(payment.breach(found));
            if !found.is_empty() {
                let paid = payment.amount.saturating_add(payment.fee);
                model.entry(payment.from).and_modify(|balance| *balance = balance.saturating_sub(paid));
                model.entry(payment.to).and_modify(|balance| *balance = balance.saturating_add(payment.amount));
            }
        }
        for (account, expected) in &model {
            let found = after.get(account);
            if found != Some(expected) {
                breaches.push(format!("{account} has {found:?} uFTNS, the payments in the chain leave {expected}"));
            }
        }
        breaches
    }
}

impl Payment {
    fn breach(&self, found: &[Height]) -> Option<String> {
        let Self { id, acknowledged, refusal, .. } = self;
        match (found, self.final_at) {
            ([], _) if *acknowledged > Acknowledged::Nothing => {
                Some(format!("{id} was acknowledged as {acknowledged:?} and is in no block (refusal: {refusal:?})"))
            }
            ([], _) => None,
            ([_], _) if refusal.is_some() => Some(format!("{id} is in a block, but: {refusal:?}")),
            ([height], Some(said)) if *height != said => {
                Some(format!("{id} was final in block {said} and is in block {height}"))
            }
            ([_], _) => None,
            (twice, _) => Some(format!("{id} is in {} blocks: {twice:?}", twice.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh30k_ledger::types::{Hash, NodeId, TimeMs};
    use mesh30k_node::api::types::BlockRow;

    use super::*;

    const ALICE: AccountId = AccountId([1; 20]);
    const BOB: AccountId = AccountId([2; 20]);

    fn payment(seed: u8, acknowledged: Acknowledged, final_at: Option<u64>) -> Payment {
        Payment {
            id: Hash([seed; 32]),
            from: ALICE,
            to: BOB,
            amount: 5,
            fee: 1,
            acknowledged,
            final_at: final_at.map(Height),
            refusal: None,
        }
    }

    fn chain(blocks: &[&[u8]]) -> Chain {
        let row = |(height, seeds): (u64, &&[u8])| {
            let block = BlockRow {
                height: Height(height),
                id: Hash([height as u8; 32]),
                parent: Hash([height as u8 - 1; 32]),
                time: TimeMs(height),
                term: 1,
                proposer: NodeId(1),
                transactions: seeds.iter().map(|seed| Hash([*seed; 32])).collect(),
                certified_by: Vec::new(),
            };
            (Height(height), block)
        };
        Chain { blocks: (1..).zip(blocks).map(row).collect() }
    }

    fn breaches(payments: &[Payment], blocks: &[&[u8]], alice: u64, bob: u64) -> Vec<String> {
        let history = History { payments: payments.to_vec(), before: BTreeMap::from([(ALICE, 100), (BOB, 100)]) };
        history.breaches(&chain(blocks), &BTreeMap::from([(ALICE, alice), (BOB, bob)]))
    }

    #[test]
    fn kept_promises_are_no_breach() {
        let payments = [
            payment(1, Acknowledged::Final, Some(1)),
            payment(2, Acknowledged::Ordered, None),
            payment(3, Acknowledged::Nothing, None),
            payment(4, Acknowledged::Nothing, None),
        ];
        assert_eq!(breaches(&payments, &[&[1], &[2, 4]], 82, 115), Vec::<String>::new());
    }

    #[test]
    fn each_broken_promise_is_named() {
        let lost = [payment(1, Acknowledged::Ordered, None)];
        assert!(breaches(&lost, &[&[]], 100, 100)[0].contains("in no block"));
        let twice = [payment(1, Acknowledged::Nothing, None)];
        assert!(breaches(&twice, &[&[1], &[1]], 94, 105)[0].contains("in 2 blocks"));
        let moved = [payment(1, Acknowledged::Final, Some(2))];
        assert!(breaches(&moved, &[&[1], &[]], 94, 105)[0].contains("was final in block 2"));
        let rejected = [Payment { refusal: Some("overdrawn".into()), ..payment(1, Acknowledged::Final, Some(1)) }];
        assert!(breaches(&rejected, &[&[1]], 94, 105)[0].contains("overdrawn"));
        let misbooked = [payment(1, Acknowledged::Final, Some(1))];
        assert_eq!(breaches(&misbooked, &[&[1]], 94, 104).len(), 1);
    }

    #[test]
    fn a_block_that_does_not_follow_is_found() {
        let mut chain = chain(&[&[1], &[2], &[3]]);
        assert_eq!(chain.gap(), None);
        chain.blocks.get_mut(&Height(2)).unwrap().id = Hash([9; 32]);
        assert_eq!(chain.gap(), Some(Height(3)));
    }
}
