//! Who used what energy and carbon, and who paid what into which fund: summed over final blocks and what became of them.
//!
//! A report is a plain sum, so that reports of successive stretches of blocks add up to that of the whole.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::block::Block;
use crate::genesis::GenesisPools;
use crate::ops::{EnergyMethod, Operation, TaskReport, carbon_ug, task_units};
use crate::outcome::{DueEvent, Effect, Outcome};
use crate::pricing::Price;
use crate::priority::Purpose;
use crate::query;
use crate::records::{Claimed, HardwareRecord, Totals};
use crate::state::{StateError, StateRead};
use crate::types::{AccountId, AgentClass, AgentId, EscrowId, NodeId, Region, SectorId, TimeMs, Uftns};

const HOUR_MS: u64 = 3_600_000;

/// What paid parts are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UseKey {
    /// Beginning of the hour of block time in which it was paid.
    pub hour: TimeMs,
    /// Who asked for the work and pays.
    pub requester: AccountId,
    /// Where that is, as the ledger has it now.
    pub requester_region: Option<Region>,
    /// Who worked.
    pub agent: AgentId,
    /// Of which class.
    pub class: AgentClass,
    /// In which sector.
    pub sector: SectorId,
    /// On which node.
    pub host: NodeId,
    /// Whose electricity is from here.
    pub host_region: Region,
    /// What for, as declared or reclassified.
    pub purpose: Purpose,
    /// How the energy was measured.
    pub method: EnergyMethod,
}

/// Sums over paid parts. A sum that does not fit stays at the most there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// Parts.
    pub parts: u64,
    /// Units of work.
    pub units: u64,
    /// Wall time, microseconds.
    pub wall_us: u64,
    /// Energy, millijoules.
    pub energy_mj: u64,
    /// Footprint that is charged, micrograms of CO2e.
    pub carbon_ug: u64,
    /// Energy x grid intensity without contracted shares, micrograms: what SCI counts.
    pub location_ug: u64,
    /// Of it, what on-site and contracted renewable energy avoided, micrograms.
    pub avoided_ug: u64,
    /// To workers.
    pub base_uftns: u64,
    /// Into the carbon pool.
    pub carbon_uftns: u64,
    /// Into the access fund.
    pub premium_uftns: u64,
    /// Out of the access fund.
    pub discount_uftns: u64,
    /// Out of the carbon pool.
    pub green_uftns: u64,
    /// By requesters.
    pub total_uftns: u64,
    /// Charges no reserve covered.
    pub uncovered_uftns: u64,
    /// Discounts no fund could pay.
    pub unfunded_uftns: u64,
    /// On top of the price, set aside for the owners of the module.
    pub royalty_uftns: u64,
    /// Embodied carbon of the hosts' machines, by what they declare, micrograms of CO2e.
    pub embodied_ug: u64,
    /// Of what workers were due, into the carbon pool for credits they owed and did not retire.
    pub withheld_uftns: u64,
}

/// A line of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseRow {
    /// Of what.
    #[serde(flatten)]
    pub key: UseKey,
    /// How much.
    #[serde(flatten)]
    pub figures: Use,
}

/// What oracles brought in force in an hour; the last one of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntensityPoint {
    /// Beginning of the hour.
    pub hour: TimeMs,
    /// Where.
    pub region: Region,
    /// Milligrams of CO2e a kilowatt-hour.
    pub mg_per_kwh: u64,
    /// Oracles whose words were fresh.
    pub words: u64,
}

/// One fund: what it began with, what came and went, what the ledger says it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FundCheck {
    /// At genesis.
    pub opening_uftns: u64,
    /// Paid in.
    pub in_uftns: u64,
    /// Paid out.
    pub out_uftns: u64,
    /// On the ledger.
    pub held_uftns: u64,
}

impl FundCheck {
    /// Whether opening + in - out is what the ledger holds.
    #[must_use]
    pub fn balances(&self) -> bool {
        let sum = |a: u64, b: u64| u128::from(a).saturating_add(u128::from(b));
        sum(self.opening_uftns, self.in_uftns) == sum(self.held_uftns, self.out_uftns)
    }
}

/// The sums of a stretch of blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CarbonReport {
    uses: BTreeMap<UseKey, Use>,
    intensities: BTreeMap<(TimeMs, Region), IntensityPoint>,
}

impl Use {
    /// One paid part on a machine; without one, nothing embodied is known.
    #[must_use]
    pub fn of_part(report: &TaskReport, price: &Price, hardware: Option<&HardwareRecord>) -> Self {
        let location_ug = carbon_ug(report.energy_mj, report.intensity_mg_per_kwh, 0).unwrap_or(u64::MAX);
        Self {
            parts: 1,
            units: task_units(report.fuel),
            wall_us: report.wall_us,
            energy_mj: report.energy_mj,
            carbon_ug: report.carbon_ug,
            location_ug,
            avoided_ug: location_ug.saturating_sub(report.carbon_ug),
            base_uftns: price.base.0,
            carbon_uftns: price.carbon.0,
            premium_uftns: price.premium.0,
            discount_uftns: price.discount.0,
            green_uftns: price.green.0,
            total_uftns: price.total.0,
            uncovered_uftns: price.uncovered.0,
            unfunded_uftns: price.unfunded.0,
            withheld_uftns: price.withheld.0,
            royalty_uftns: price.royalty.0,
            embodied_ug: hardware.map_or(0, |hardware| hardware.embodied_ug(report.wall_us)),
        }
    }

    /// Adds another sum.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.parts, other.parts),
            (&mut self.units, other.units),
            (&mut self.wall_us, other.wall_us),
            (&mut self.energy_mj, other.energy_mj),
            (&mut self.carbon_ug, other.carbon_ug),
            (&mut self.location_ug, other.location_ug),
            (&mut self.avoided_ug, other.avoided_ug),
            (&mut self.base_uftns, other.base_uftns),
            (&mut self.carbon_uftns, other.carbon_uftns),
            (&mut self.premium_uftns, other.premium_uftns),
            (&mut self.discount_uftns, other.discount_uftns),
            (&mut self.green_uftns, other.green_uftns),
            (&mut self.total_uftns, other.total_uftns),
            (&mut self.uncovered_uftns, other.uncovered_uftns),
            (&mut self.unfunded_uftns, other.unfunded_uftns),
            (&mut self.withheld_uftns, other.withheld_uftns),
            (&mut self.royalty_uftns, other.royalty_uftns),
            (&mut self.embodied_ug, other.embodied_ug),
        ] {
            *sum = sum.saturating_add(more);
        }
    }

    /// What requesters paid, against what workers and funds got and gave.
    #[must_use]
    pub fn balances(&self) -> bool {
        let sum = |parts: &[u64]| parts.iter().fold(0_u128, |sum, part| sum.saturating_add(u128::from(*part)));
        sum(&[self.total_uftns, self.discount_uftns, self.green_uftns])
            == sum(&[self.base_uftns, self.carbon_uftns, self.premium_uftns, self.royalty_uftns])
    }

    /// Software carbon intensity (Green Software Foundation, ISO/IEC 21031): (E x I + M) per R in micrograms a part, rounded up.
    /// E x I is location based: contracted shares do not count. M is what hosts declare of their machines.
    #[must_use]
    pub fn sci_ug_per_part(&self) -> Option<u64> {
        let sum = u128::from(self.location_ug).saturating_add(u128::from(self.embodied_ug));
        let parts = Some(u128::from(self.parts)).filter(|parts| *parts > 0)?;
        u64::try_from(sum.div_ceil(parts)).ok()
    }

    /// Mean intensity the energy was drawn at, milligrams of CO2e a kilowatt-hour.
    #[must_use]
    pub fn mean_mg_per_kwh(&self) -> Option<u64> {
        let scaled = u128::from(self.location_ug).saturating_mul(3_600_000);
        u64::try_from(scaled.checked_div(u128::from(self.energy_mj))?).ok()
    }
}

impl CarbonReport {
    /// Counts a final block. `state` is any state after it: escrows, claims, agents and nodes are looked up there.
    ///
    /// # Errors
    /// State that cannot be read or lacks what the block names.
    pub fn add_block(
        &mut self,
        state: &dyn StateRead,
        block: &Block,
        outcomes: &[Outcome],
        due: &[DueEvent],
    ) -> Result<(), StateError> {
        let time = block.header.time;
        for (signed, outcome) in block.transactions.iter().zip(outcomes) {
            let Outcome::Executed { effect, .. } = outcome else { continue };
            match (&signed.tx.op, effect) {
                (Operation::EscrowRelease(release), Effect::PartReleased { price, .. }) => {
                    self.add_part(state, time, &release.escrow, &release.receipt.report, price)?;
                }
                (_, Effect::ClaimRuled { escrow, part, price: Some(price), .. }) => {
                    self.add_claim(state, time, escrow, *part, price)?;
                }
                (_, Effect::IntensityReported { region, words, in_force }) => self.add_point(IntensityPoint {
                    hour: hour_of(time),
                    region: *region,
                    mg_per_kwh: *in_force,
                    words: *words,
                }),
                _ => {}
            }
        }
        for event in due {
            if let DueEvent::ClaimPaid { escrow, part, price: Some(price), .. } = event {
                self.add_claim(state, time, escrow, *part, price)?;
            }
        }
        Ok(())
    }

    fn add_claim(
        &mut self,
        state: &dyn StateRead,
        time: TimeMs,
        escrow: &EscrowId,
        part: u32,
        price: &Price,
    ) -> Result<(), StateError> {
        let claim = query::claim(state, escrow, part)?.ok_or_else(|| missing("claim", escrow))?;
        match &claim.claimed {
            Claimed::Part(report) => self.add_part(state, time, escrow, report, price),
            // What is handed over used no energy that anybody stated.
            Claimed::Delivery(_) => Ok(()),
        }
    }

    fn add_part(
        &mut self,
        state: &dyn StateRead,
        time: TimeMs,
        id: &EscrowId,
        report: &TaskReport,
        price: &Price,
    ) -> Result<(), StateError> {
        let escrow = query::escrow(state, id)?.ok_or_else(|| missing("escrow", id))?;
        let agent = query::agent(state, report.agent)?.ok_or_else(|| missing("agent", &report.agent))?;
        let host = query::node(state, report.host)?.ok_or_else(|| missing("node", &report.host))?;
        let key = UseKey {
            hour: hour_of(time),
            requester: escrow.opener,
            requester_region: query::account(state, &escrow.opener)?.and_then(|account| account.region),
            agent: agent.id,
            class: agent.class,
            sector: agent.cluster.sector,
            host: host.id,
            host_region: host.region,
            purpose: query::purpose(state, id)?.map_or(Purpose::GeneralResearch, |record| record.in_force),
            method: report.energy_method,
        };
        let hardware = query::hardware(state, host.id)?;
        self.add_row(&UseRow { key, figures: Use::of_part(report, price, hardware.as_ref()) });
        Ok(())
    }

    /// Counts a line of another report.
    pub fn add_row(&mut self, row: &UseRow) {
        self.uses.entry(row.key).or_default().add(&row.figures);
    }

    /// Takes a point of another report; a later one of the same hour replaces an earlier one.
    pub fn add_point(&mut self, point: IntensityPoint) {
        self.intensities.insert((point.hour, point.region), point);
    }

    /// Every line, in order.
    pub fn rows(&self) -> impl Iterator<Item = UseRow> + '_ {
        self.uses.iter().map(|(key, figures)| UseRow { key: *key, figures: *figures })
    }

    /// What oracles brought in force, hour by hour.
    pub fn points(&self) -> impl Iterator<Item = IntensityPoint> + '_ {
        self.intensities.values().copied()
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.uses.len()
    }

    /// Whether nothing was paid.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.uses.is_empty()
    }

    /// Only lines that are wanted.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&UseKey) -> bool) -> Self {
        let uses = self.uses.iter().filter(|(key, _)| wanted(key)).map(|(key, figures)| (*key, *figures)).collect();
        Self { uses, intensities: self.intensities.clone() }
    }

    /// Sums by anything that tells lines apart.
    #[must_use]
    pub fn by<K: Ord>(&self, key: impl Fn(&UseKey) -> K) -> BTreeMap<K, Use> {
        let mut sums: BTreeMap<K, Use> = BTreeMap::new();
        for row in self.rows() {
            sums.entry(key(&row.key)).or_default().add(&row.figures);
        }
        sums
    }

    /// Everything together.
    #[must_use]
    pub fn total(&self) -> Use {
        let mut total = Use::default();
        self.uses.values().for_each(|figures| total.add(figures));
        total
    }

    /// The carbon pool and the access fund against what the ledger holds; of a report over every block of a chain.
    #[must_use]
    pub fn funds(&self, opening: &GenesisPools, totals: &Totals) -> (FundCheck, FundCheck) {
        let sums = self.total();
        let check = |opening: Uftns, in_uftns, out_uftns, held: Uftns| FundCheck {
            opening_uftns: opening.0,
            in_uftns,
            out_uftns,
            held_uftns: held.0,
        };
        (
            check(
                opening.carbon_pool,
                sums.carbon_uftns.saturating_add(sums.withheld_uftns),
                sums.green_uftns,
                totals.carbon_pool,
            ),
            check(opening.access_fund, sums.premium_uftns, sums.discount_uftns, totals.access_fund),
        )
    }
}

fn hour_of(time: TimeMs) -> TimeMs {
    TimeMs(time.0.saturating_sub(time.0.checked_rem(HOUR_MS).unwrap_or(0)))
}

fn missing(what: &str, id: &dyn std::fmt::Display) -> StateError {
    StateError::Corrupt { key: id.to_string(), reason: format!("a final block names this {what}, the state lacks it") }
}
