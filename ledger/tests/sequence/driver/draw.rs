//! Operations at random: most could pass, some cannot.

use super::Draft;
use super::client::{Agent, Client, Task, one};
use crate::common::{agents, id_of, key, operator};
use mesh30k_ledger::ops::{
    BatchTransfer, Capabilities, Choice, EnergyMethod, EscrowOpen, EscrowRelease, Freeze, Operation, ParameterChange,
    ProposalKind, Propose, RegisterHost, TaskReceipt, TaskReport, Thaw, Transfer, TransferItem, Vote, carbon_ug,
};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::types::{AccountId, Hash, NodeId, Scope, SectorId, TimeMs, TxId, Uftns};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Agents the clients register in all.
const AGENTS_MAX: u16 = 400;

impl Client {
    pub fn draw(&mut self, rng: &mut ChaCha8Rng, now: TimeMs) -> Draft {
        self.now = now;
        loop {
            let draft = match rng.random_range(0..282) {
                0..30 => Some(self.pay(rng)),
                30..38 => Some(self.pay_many(rng)),
                38..50 => Some(self.open_escrow(rng)),
                50..64 => self.release(rng),
                64..66 => self.register(rng),
                66..68 => Some(self.propose(rng)),
                68..74 => self.vote(rng),
                74..75 => self.freeze(rng),
                75..76 => self.thaw(rng),
                76..80 => Some(self.plan(rng)),
                80..81 => self.unplan(rng),
                81..85 => Some(self.bond(rng)),
                85..88 => self.unbond(rng),
                88..91 => Some(self.report(rng)),
                91..93 => Some(self.claim_saving(rng)),
                93..96 => self.attest(rng),
                96..98 => Some(self.move_credits(rng)),
                98..99 => Some(self.retire(rng)),
                99..100 => self.offend(rng),
                100..106 | 150..153 => self.claim(rng),
                106..108 => self.dispute(rng),
                108..112 => self.rule(rng),
                112..115 => Some(self.open_auction(rng)),
                115..121 | 276..282 => self.seal(rng),
                121..127 => self.unseal(rng),
                127..128 => self.declare(rng),
                128..129 => self.reclassify(rng),
                129..130 => Some(self.signal(rng)),
                130..132 => Some(self.contribute(rng)),
                132..136 => self.acknowledge(rng),
                136..138 => Some(self.publish(rng)),
                138..142 => self.buy(rng),
                142..144 => self.rate(rng),
                144..150 => self.rotate(rng),
                153..159 => self.dispute(rng),
                159..169 => self.rule(rng),
                169..170 => Some(self.anchor(rng)),
                170..174 => Some(self.offer_quota(rng)),
                174..178 => self.take_quota(rng),
                178..179 => self.withdraw_quota(rng),
                179..187 => self.reserve_quota(rng),
                187..190 => self.declare_for_quota(rng),
                190..194 => self.draw_quota(rng),
                194..195 => Some(self.signal(rng)),
                195..200 => self.reclassify(rng),
                200..206 => self.offer(rng),
                206..208 => self.change_offer(rng),
                208..210 => self.review_offer(rng),
                210..219 => self.order(rng),
                219..226 => self.deliver(rng),
                226..230 => self.rate_order(rng),
                // Freezes last seconds: nobody would thaw one in time by a single chance in so many.
                230..236 => self.thaw(rng),
                236..240 => self.dispute(rng),
                240..246 => self.rule(rng),
                246..249 => self.collect(rng),
                249..250 => Some(self.declare_hardware(rng)),
                256..262 => self.declare_or_attest(rng),
                262..276 => self.serve(rng),
                _ => self.review_offer(rng),
            };
            if let Some(draft) = draft {
                return draft;
            }
        }
    }

    fn receiver(&self, rng: &mut ChaCha8Rng) -> AccountId {
        if rng.random_ratio(1, 50) {
            return AccountId(rng.random());
        }
        id_of(&self.anybody(rng))
    }

    fn pay(&self, rng: &mut ChaCha8Rng) -> Draft {
        let op = Transfer { to: self.receiver(rng), amount: amount(rng), memo: String::new() };
        Draft { from: self.anybody(rng), op: Operation::Transfer(op) }
    }

    fn pay_many(&self, rng: &mut ChaCha8Rng) -> Draft {
        let count = rng.random_range(0..12);
        let transfers = (0..count).map(|_| TransferItem { to: self.receiver(rng), amount: small(rng) }).collect();
        Draft { from: self.anybody(rng), op: Operation::BatchTransfer(BatchTransfer { transfers }) }
    }

    fn open_escrow(&self, rng: &mut ChaCha8Rng) -> Draft {
        let rich = rng.random_ratio(1, 4);
        let longest_ms = if rich { 300_000 } else { 60_000 };
        let op = EscrowOpen {
            task: Hash(rng.random()),
            module: one(&self.contents, rng).filter(|_| rng.random_ratio(1, 2)).unwrap_or(Hash::of(b"module")),
            capability: Capabilities::COMPUTE,
            parts: rng.random_range(0..20),
            amount_per_part: small(rng),
            reserve_per_part: reserve(rng),
            release_deadline: self.now.plus_ms(rng.random_range(0..longest_ms)),
        };
        let from = if rich { self.well_off(rng) } else { self.anybody(rng) };
        Draft { from, op: Operation::EscrowOpen(op) }
    }

    fn release(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let (escrow, opener, _, receipt) = self.receipt(rng)?;
        let from = if rng.random_ratio(1, 20) { self.anybody(rng) } else { self.owner(&opener)? };
        Some(Draft { from, op: Operation::EscrowRelease(EscrowRelease { escrow, receipt }) })
    }

    /// Of a part of a known task: its escrow, its opener, the node that worked.
    pub fn receipt(&self, rng: &mut ChaCha8Rng) -> Option<(TxId, AccountId, NodeId, TaskReceipt)> {
        let (task, agent) = (one(&self.tasks, rng)?, one(&self.agents, rng)?);
        let energy = (rng.random_range(0..200_000), rng.random_range(0..500_001));
        let report = self.report_of(rng, &task, &agent, energy);
        let receipt = report.sign(&self.context, &self.host_key(agent.node), &agent.key);
        Some((task.id, task.opener, agent.node, receipt))
    }

    /// Energy in millijoules, and how much of it is renewable.
    pub fn report_of(
        &self,
        rng: &mut ChaCha8Rng,
        task: &Task,
        agent: &Agent,
        (energy_mj, renewable_ppm): (u64, u32),
    ) -> TaskReport {
        let intensity = 380_000;
        TaskReport {
            task: task.task,
            part: rng.random_range(0..task.parts.max(1)),
            module: task.module,
            input: Hash::ZERO,
            output: Hash::ZERO,
            exit_code: i32::from(rng.random_ratio(1, 20)),
            fuel: rng.random_range(0..30_000_000),
            wall_us: 1,
            peak_memory_bytes: 1,
            energy_mj,
            energy_method: EnergyMethod::Fuel,
            intensity_mg_per_kwh: intensity,
            renewable_ppm,
            carbon_ug: carbon_ug(energy_mj, intensity, renewable_ppm).unwrap(),
            host: agent.node,
            agent: agent.id,
        }
    }

    fn register(&mut self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let count = rng.random_range(1..4_u16);
        if self.keys_used + count > AGENTS_MAX {
            return None;
        }
        let node = NodeId(rng.random_range(1..=4));
        let batch = agents(self.keys_used..self.keys_used + count);
        self.keys_used += count;
        Some(Draft { from: key(node.0 as u8), op: Operation::RegisterHost(RegisterHost { node: None, agents: batch }) })
    }

    fn propose(&self, rng: &mut ChaCha8Rng) -> Draft {
        let change = ParameterChange { parameter: Parameter::HoldMarginMs, value: rng.random_range(0..60_001) };
        let op = Propose { title: "a change".into(), kind: ProposalKind::Parameter(vec![change]) };
        Draft { from: self.anybody(rng), op: Operation::Propose(op) }
    }

    fn vote(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let proposal = one(&self.proposals, rng)?;
        let choice =
            [Choice::Yes, Choice::Yes, Choice::No, Choice::Abstain, Choice::NoWithVeto][rng.random_range(0..5)];
        // The operator and the validators hold most of what votes.
        let from = if rng.random_ratio(1, 2) { key(rng.random_range(1..=4)) } else { self.anybody(rng) };
        Some(Draft { from, op: Operation::Vote(Vote { proposal, choice }) })
    }

    fn freeze(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let scope =
            if rng.random_ratio(1, 4) { Scope::Global } else { Scope::Sector(SectorId(rng.random_range(0..3))) };
        let until = self.now.plus_ms(rng.random_range(0..3_000));
        let op = Operation::Freeze(Freeze { scope, reason: "drill".into(), until });
        Some(Draft { from: if rng.random_ratio(1, 9) { self.anybody(rng) } else { operator() }, op })
    }

    fn thaw(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let scope = one(&self.frozen, rng)?;
        Some(Draft { from: operator(), op: Operation::Thaw(Thaw { scope, reason: "over".into() }) })
    }
}

/// Mostly what people have; now and then nothing, everything or more.
pub fn amount(rng: &mut ChaCha8Rng) -> Uftns {
    Uftns(match rng.random_range(0..20) {
        0 => 0,
        1 => u64::MAX,
        2..6 => rng.random_range(0..300_000_000),
        _ => rng.random_range(1..100_000),
    })
}

/// Mostly enough for what a part of a small price may be charged.
pub fn reserve(rng: &mut ChaCha8Rng) -> Uftns {
    if rng.random_ratio(1, 10) { small(rng) } else { Uftns(rng.random_range(9_000..20_000)) }
}

pub fn small(rng: &mut ChaCha8Rng) -> Uftns {
    Uftns(rng.random_range(0..20_000))
}
