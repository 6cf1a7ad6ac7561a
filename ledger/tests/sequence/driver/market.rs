//! Operations at random, continued: claims, disputes, auctions, purposes, emergencies.

use super::Draft;
use super::client::{Bid, Client, Lot, Task, one, remember};
use super::draw::{reserve, small};
use crate::common::{key, region};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{
    BuyUse, ClaimPart, CollectRoyalties, DeclarePurpose, DisputeClaim, EscrowRelease, OpenAuction, OpenBid, Operation,
    RateContent, ReclassifyPurpose, RegisterContent, RuleClaim, SealBid, SignalEmergency, sealed_bid,
};
use mesh30k_ledger::priority::Purpose;
use mesh30k_ledger::records::{ContentParent, ContentShare};
use mesh30k_ledger::types::{AccountId, Hash, NodeId, TxId, Uftns};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

impl Client {
    pub fn claim(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let (escrow, _, node, receipt) = self.receipt(rng)?;
        let from = if rng.random_ratio(1, 20) { self.anybody(rng) } else { key(node.0 as u8) };
        Some(Draft { from, op: Operation::ClaimPart(ClaimPart { escrow, receipt }) })
    }

    pub fn dispute(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let (escrow, part, opener) = one(&self.claims, rng)?;
        let from = if rng.random_ratio(1, 10) { self.anybody(rng) } else { self.owner(&opener)? };
        Some(Draft { from, op: Operation::DisputeClaim(DisputeClaim { escrow, part }) })
    }

    pub fn rule(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let (escrow, part, panel) = one(&self.disputes, rng)?;
        // Reviewers see the same work: mostly they say the same of it.
        let good = escrow.0[0] & 1 == 0;
        let op = RuleClaim { escrow, part, pay: if rng.random_ratio(1, 6) { !good } else { good } };
        let drawn = one(&panel, rng).filter(|_| rng.random_ratio(9, 10)).and_then(|id| self.signer(&id));
        let from = drawn.unwrap_or_else(|| key(rng.random_range(1..=4)));
        Some(Draft { from, op: Operation::RuleClaim(op) })
    }

    pub fn open_auction(&self, rng: &mut ChaCha8Rng) -> Draft {
        let commit_until = self.now.plus_ms(rng.random_range(900..20_000));
        let reveal_until = commit_until.plus_ms(rng.random_range(900..20_000));
        let op = OpenAuction {
            task: Hash(rng.random()),
            module: Hash::of(b"module"),
            max_price: small(rng),
            reserve: reserve(rng),
            commit_until,
            reveal_until,
            release_deadline: reveal_until.plus_ms(rng.random_range(900..80_000)),
        };
        Draft { from: self.anybody(rng), op: Operation::OpenAuction(op) }
    }

    pub fn seal(&mut self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let now = self.now;
        let open: Vec<_> = self.auctions.iter().filter(|lot| now < lot.commit_until).cloned().collect();
        let lot = one(&open, rng)?;
        let who = if rng.random_ratio(4, 5) { key(rng.random_range(1..=4)) } else { self.anybody(rng) };
        // Some too dear to be fit.
        let (price, carbon_ug) = (rng.random_range(0..=lot.max_price + lot.max_price / 8), rng.random_range(0..50_000));
        let bid = Bid { lot, who: who.clone(), price, carbon_ug, salt: Hash(rng.random()) };
        let id = crate::common::id_of(&who);
        let sealed = sealed_bid(&bid.lot.id, &id, Uftns(price), carbon_ug, &bid.salt);
        let op = SealBid { auction: bid.lot.id, sealed };
        remember(&mut self.bids, bid);
        Some(Draft { from: who, op: Operation::SealBid(op) })
    }

    pub fn unseal(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let now = self.now;
        let ripe = |bid: &&Bid| bid.lot.commit_until < now && now <= bid.lot.reveal_until;
        let open: Vec<_> = self.bids.iter().filter(ripe).cloned().collect();
        let bid = one(&open, rng)?;
        let price = if rng.random_ratio(1, 20) { bid.price + 1 } else { bid.price };
        let op = OpenBid { auction: bid.lot.id, price: Uftns(price), carbon_ug: bid.carbon_ug, salt: bid.salt };
        Some(Draft { from: bid.who, op: Operation::OpenBid(op) })
    }

    pub fn auction_opened(&mut self, id: TxId, opener: AccountId, op: &OpenAuction) {
        let (commit_until, reveal_until, max_price) = (op.commit_until, op.reveal_until, op.max_price.0);
        remember(&mut self.auctions, Lot { id, commit_until, reveal_until, max_price });
        remember(&mut self.tasks, Task { id, opener, task: op.task, module: op.module, parts: 1 });
    }

    pub fn node_won(&mut self, auction: &TxId, winner: &AccountId) {
        let bid = self.bids.iter().find(|bid| bid.lot.id == *auction && crate::common::id_of(&bid.who) == *winner);
        let is_node = (1..=4).any(|n| crate::common::id_of(&key(n)) == *winner);
        let task = self.tasks.iter().find(|task| task.id == *auction);
        if let (Some(bid), Some(task), true) = (bid, task, is_node) {
            let won = (bid.clone(), task.clone());
            remember(&mut self.won, won);
        }
    }

    /// The winner's work, about as foreseen mostly: paid by the opener, or claimed.
    pub fn serve(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let (bid, task) = one(&self.won, rng)?;
        let node = NodeId((1..=4_u64).find(|n| key(*n as u8).public() == bid.who.public())?);
        let of_node: Vec<_> = self.agents.iter().filter(|agent| agent.node == node).cloned().collect();
        let agent = one(&of_node, rng)?;
        // 9.47 mJ emit a microgram at this intensity.
        let foreseen = bid.carbon_ug * 947 / 100;
        let energy_mj = if rng.random_ratio(1, 2) { foreseen } else { rng.random_range(0..200_000) };
        let (report, key) = (self.report_of(rng, &task, &agent, (energy_mj, 0)), self.host_key(node));
        let (escrow, receipt) = (task.id, report.sign(&self.context, &key, &agent.key));
        Some(if rng.random_ratio(1, 3) {
            Draft { from: self.signer(&task.opener)?, op: Operation::EscrowRelease(EscrowRelease { escrow, receipt }) }
        } else {
            Draft { from: key, op: Operation::ClaimPart(ClaimPart { escrow, receipt }) }
        })
    }

    pub fn publish(&self, rng: &mut ChaCha8Rng) -> Draft {
        let from = self.anybody(rng);
        let own = rng.random_range(400_000..=1_000_000);
        let share = |key: &SecretKey, ppm| ContentShare { owner: crate::common::id_of(key), ppm };
        let owners = vec![share(&from, own), share(&self.anybody(rng), 1_000_000 - own)];
        let mut parents: Vec<ContentParent> = Vec::new();
        for _ in 0..rng.random_range(0..4) {
            let content = one(&self.contents, rng).unwrap_or(Hash::ZERO);
            parents.push(ContentParent { content, royalty_ppm: rng.random_range(0..200_000) });
        }
        let op = RegisterContent {
            content: Hash(rng.random()),
            owners,
            parents,
            price: small(rng),
            royalty_ppm: rng.random_range(0..220_000),
        };
        Draft { from, op: Operation::RegisterContent(op) }
    }

    /// Of content that works in tasks, mostly.
    pub fn collect(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let content =
            one(&self.modules, rng).filter(|_| rng.random_ratio(9, 10)).or_else(|| one(&self.contents, rng))?;
        Some(Draft { from: self.anybody(rng), op: Operation::CollectRoyalties(CollectRoyalties { content }) })
    }

    pub fn buy(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let op = BuyUse { content: one(&self.contents, rng)?, max_price: Uftns(rng.random_range(0..60_000)) };
        Some(Draft { from: self.anybody(rng), op: Operation::BuyUse(op) })
    }

    pub fn rate(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let (content, buyer) = one(&self.bought, rng)?;
        let op = RateContent { content, stars: rng.random_range(0..7) };
        Some(Draft { from: self.signer(&buyer)?, op: Operation::RateContent(op) })
    }

    pub fn declare(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let task = one(&self.tasks, rng)?;
        let purpose = Purpose::ALL[rng.random_range(0..9)];
        let op = DeclarePurpose { escrow: task.id, purpose };
        Some(Draft { from: self.owner(&task.opener)?, op: Operation::DeclarePurpose(op) })
    }

    pub fn reclassify(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        // Of the latest mostly, and mostly with one mind.
        let latest = self.declared.len().saturating_sub(8);
        let escrow = one(&self.declared[latest..], rng)?;
        let good = Purpose::ALL[usize::from(escrow.0[0]) % 9];
        let purpose = if rng.random_ratio(1, 4) { Purpose::ALL[rng.random_range(0..9)] } else { good };
        let op = ReclassifyPurpose { escrow, purpose };
        Some(Draft { from: key(rng.random_range(1..=4)), op: Operation::ReclassifyPurpose(op) })
    }

    pub fn signal(&self, rng: &mut ChaCha8Rng) -> Draft {
        let until = rng.random_ratio(3, 4).then(|| self.now.plus_ms(rng.random_range(0..300_000)));
        let op = SignalEmergency { region: region("BD"), kind: "flood".into(), until };
        Draft { from: key(rng.random_range(1..=4)), op: Operation::SignalEmergency(op) }
    }
}
