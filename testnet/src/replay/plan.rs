//! Who asks for which piece, for what, and who does it: drawn by the seed before the day begins.

use std::collections::BTreeMap;

use mesh30k_ledger::ops::{EnergyMethod, FUEL_PER_UNIT, TaskReport, carbon_ug, task_units};
use mesh30k_ledger::priority::Purpose;
use mesh30k_ledger::types::{AgentClass, AgentId, EscrowId, Hash, Region};
use mesh30k_node::execution::energy::{Usage, class_power_mw, measure};

use super::cast::{AGENTS_PER_CLASS, Cast, Host};
use super::data::{Day, HOUR_MS, Piece};
use super::random::Draws;

/// Names what every escrow is for.
pub(super) const TASK: &[u8] = b"a piece of the recorded day";
/// Stands for what ran.
pub(super) const MODULE: &[u8] = b"what ran is not in the traces";
/// Fuel of a joule at the power of the class: work costs in proportion to what it could draw.
const FUEL_PER_MJ: u64 = 10_000;
/// What hosts with calibrated fuel measured, millijoules per 10^9 fuel: a little below the power of the class.
const CALIBRATED_MJ_PER_GFUEL: u64 = 85_000;
/// What is set aside for a unit, uFTNS: twice the voted price.
const AMOUNT_PER_UNIT: u64 = 20;

/// An escrow: the requests of an account in an hour, or one job.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) requester: usize,
    /// When it is opened.
    pub(super) hour: usize,
    pub(super) purpose: Purpose,
    pub(super) parts: u32,
    pub(super) escrow: Option<EscrowId>,
    units_max: u64,
}

/// An emergency of the day.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlannedEmergency {
    pub(super) region: Region,
    pub(super) from_hour: usize,
    pub(super) to_hour: usize,
}

/// A piece with who does it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    piece: Piece,
    pub(super) order: usize,
    part: u32,
    pub(super) host: usize,
    /// Which of its agents.
    pub(super) nth: u64,
    /// How busy the machine was, percent.
    busy_percent: u64,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) orders: Vec<Order>,
    pub(super) emergency: PlannedEmergency,
    work: Vec<Work>,
    taken: usize,
}

impl Order {
    /// The most a part's worker is paid; as much is reserved for carbon and premium.
    pub(super) fn amount(&self) -> u64 {
        self.units_max.saturating_mul(AMOUNT_PER_UNIT)
    }
}

impl Plan {
    pub(super) fn draw(day: &Day, cast: &Cast, seed: u64) -> Self {
        let mut draws = Draws::new(seed);
        let emergency = PlannedEmergency { region: flooded(cast), from_hour: 10, to_hour: 18 };
        let mut plan = Self { orders: Vec::new(), emergency, work: Vec::new(), taken: 0 };
        let mut requests: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let mut jobs: BTreeMap<u32, (usize, usize, u64)> = BTreeMap::new();
        for piece in &day.pieces {
            let hour = usize::try_from(piece.ends_ms / HOUR_MS).unwrap_or(23);
            let host = usize::try_from(draws.below(cast.hosts.len() as u64)).unwrap_or(0);
            let nth = draws.below(AGENTS_PER_CLASS);
            let busy_percent = 60 + draws.below(41);
            let requester = weighted(cast, &mut draws);
            let (order, host, nth) = match piece.job {
                None => {
                    let known = requests.get(&(requester, hour)).copied();
                    let order = known.unwrap_or_else(|| plan.open(cast, requester, hour, &mut draws));
                    requests.insert((requester, hour), order);
                    (order, host, nth)
                }
                Some(job) => {
                    let known = jobs.get(&job).copied();
                    let known = known.unwrap_or_else(|| {
                        (plan.open(cast, requester, hour, &mut draws), host, AGENTS_PER_CLASS + nth)
                    });
                    jobs.insert(job, known);
                    known
                }
            };
            plan.add(Work { piece: *piece, order, part: 0, host, nth, busy_percent });
        }
        plan
    }

    fn open(&mut self, cast: &Cast, requester: usize, hour: usize, draws: &mut Draws) -> usize {
        let who = cast.requesters.get(requester);
        let drawn = who.and_then(|who| draws.choose(who.purposes)).copied().unwrap_or(Purpose::GeneralResearch);
        let PlannedEmergency { region, from_hour, to_hour } = self.emergency;
        let flooded = who.is_some_and(|who| who.region == region) && (from_hour..to_hour).contains(&hour);
        let purpose = if flooded { Purpose::DisasterResponse } else { drawn };
        self.orders.push(Order { requester, hour, purpose, parts: 0, escrow: None, units_max: 0 });
        self.orders.len() - 1
    }

    fn add(&mut self, mut work: Work) {
        let Some(order) = self.orders.get_mut(work.order) else { return };
        work.part = order.parts;
        order.parts += 1;
        order.units_max = order.units_max.max(task_units(work.fuel()));
        self.work.push(work);
    }

    /// The next piece that ends before this, milliseconds into the day.
    pub(super) fn take(&mut self, day: &Day, before_ms: u64) -> Option<Work> {
        debug_assert_eq!(day.pieces.len(), self.work.len());
        let work = self.work.get(self.taken).copied().filter(|work| work.piece.ends_ms < before_ms)?;
        self.taken += 1;
        Some(work)
    }
}

/// Where the emergency is.
fn flooded(cast: &Cast) -> Region {
    let known = |letters: &str| cast.requesters.iter().map(|who| who.region).find(|region| region.as_str() == letters);
    known("BD").or_else(|| cast.requesters.first().map(|who| who.region)).unwrap_or_else(|| cast.hosts[0].region)
}

fn weighted(cast: &Cast, draws: &mut Draws) -> usize {
    let mut left = draws.below(cast.requesters.iter().map(|who| who.weight).sum());
    for (at, who) in cast.requesters.iter().enumerate() {
        match left.checked_sub(who.weight) {
            Some(rest) => left = rest,
            None => return at,
        }
    }
    0
}

impl Work {
    fn class(&self) -> AgentClass {
        if self.nth < AGENTS_PER_CLASS { AgentClass::D } else { AgentClass::C }
    }

    fn power_mw(&self) -> u64 {
        class_power_mw(self.class()).saturating_mul(self.piece.cpus)
    }

    /// Millijoules at the power of the class.
    fn nominal_mj(&self) -> u64 {
        let product = u128::from(self.power_mw()) * u128::from(self.piece.wall_us);
        u64::try_from(product.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    fn fuel(&self) -> u64 {
        self.nominal_mj().saturating_mul(FUEL_PER_MJ).max(FUEL_PER_UNIT)
    }

    /// What host and agent sign. The energy is found by the code that a node runs; its inputs are derived from the trace.
    pub(super) fn report(&self, host: &Host, intensity_mg_per_kwh: u64) -> TaskReport {
        let counter = self.nominal_mj().saturating_mul(10 * self.busy_percent);
        let energy = measure(&Usage {
            package_uj: (host.method == EnergyMethod::Rapl).then_some(counter),
            share_ppm: 1_000_000,
            fuel: self.fuel(),
            mj_per_gfuel: (host.method == EnergyMethod::Fuel).then_some(CALIBRATED_MJ_PER_GFUEL),
            wall_us: self.piece.wall_us,
            class_power_mw: self.power_mw(),
        });
        let first = 2 * AGENTS_PER_CLASS * (host.node.0 - 1) + 1;
        TaskReport {
            task: Hash::of(TASK),
            part: self.part,
            module: Hash::of(MODULE),
            input: Hash::of(b"in"),
            output: Hash::of(b"out"),
            exit_code: 0,
            fuel: self.fuel(),
            wall_us: self.piece.wall_us,
            peak_memory_bytes: 0,
            energy_mj: energy.energy_mj,
            energy_method: energy.method,
            intensity_mg_per_kwh,
            renewable_ppm: host.renewable_ppm,
            carbon_ug: carbon_ug(energy.energy_mj, intensity_mg_per_kwh, host.renewable_ppm).unwrap_or(u64::MAX),
            host: host.node,
            agent: AgentId(first + self.nth),
        }
    }
}
