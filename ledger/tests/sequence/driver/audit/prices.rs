//! The price of computing in the auditor's books: step by step, as the book has it.

use super::Auditor;
use mesh30k_ledger::types::AccountId;

/// As in the driver's genesis.
pub const STEP_MS: u64 = 60_000;
pub const AGENT_STEP_UNITS: u64 = 1;
const DAY_MS: u64 = 86_400_000;
const VOTED: i128 = 1_000_000_000;

pub struct Price {
    /// Millionths of a uFTNS for a unit.
    rate: i128,
    anchor: i128,
    day: u64,
    /// Steps since 1970 that are over.
    step: u64,
    used: i128,
    agents: i128,
}

impl Price {
    pub fn new(now_ms: u64) -> Self {
        Self { rate: VOTED, anchor: VOTED, day: now_ms / DAY_MS, step: now_ms / STEP_MS, used: 0, agents: 0 }
    }

    /// Goes through every step there was, one by one; nothing moves before the first agent came.
    fn advance(&mut self, now_ms: u64) {
        if self.agents == 0 {
            (self.step, self.day) = (now_ms / STEP_MS, now_ms / DAY_MS);
        }
        while self.step < now_ms / STEP_MS {
            let target = (self.agents * i128::from(AGENT_STEP_UNITS) * 7 / 10).max(1);
            let apart = self.used.min(2 * target) - target;
            let moved = self.rate + apart.signum() * (self.rate * apart.abs() / (8 * target));
            self.rate = moved.clamp((self.anchor + 1) / 2, self.anchor + self.anchor / 2).clamp(VOTED / 8, VOTED * 8);
            self.step += 1;
            self.used = 0;
            let day = self.step * STEP_MS / DAY_MS;
            if day != self.day {
                (self.day, self.anchor) = (day, self.rate);
            }
        }
    }
}

impl Auditor {
    pub(super) fn agents_came(&mut self, agents: usize) {
        self.price.advance(self.now.0);
        self.price.agents += i128::try_from(agents).unwrap();
    }

    /// What a worker earns for so many units, before its limit; the requester's volume takes off up to a tenth, and what quota covers
    /// costs the voted price at most.
    pub(super) fn wage(&mut self, opener: AccountId, units: i128, covered: i128) -> i128 {
        self.price.advance(self.now.0);
        self.price.used += units;
        let day = self.now.0 / DAY_MS;
        let volume = self.volumes.entry(opener).or_insert((day, 0, 0));
        *volume = match day - volume.0 {
            0 => *volume,
            1 => (day, 0, volume.1),
            _ => (day, 0, 0),
        };
        let off = 100_000 * (volume.1 + volume.2).min(1_000) / 1_000;
        volume.1 += units;
        let each = self.price.rate * (1_000_000 - off) / 1_000_000;
        ((units - covered) * each + covered * each.min(VOTED)) / 1_000_000
    }
}
