//! The registry against a naive one: a list of all agents, searched and sorted for every question.

use super::*;
use crate::beat::{AgentReport, BatchKind, SignedHostBatch, VerifiedBatch};
use crate::lead::Fencing;
use crate::test_support::{batch, report, seat};
use crate::time::MeshTimeUs;
use mesh30k_ledger::keys::Signature;
use mesh30k_ledger::types::{AgentClass, AgentId, ClusterId, NodeId, Region, SectorId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const T0: MeshTimeUs = MeshTimeUs(1_000_000_000);
const AGENTS: u64 = 40;
const HOSTS: u64 = 4;

/// One thing that happens to the registry.
#[derive(Clone, Debug)]
enum Step {
    /// A host reports these of its agents (all of them when full), in one sector.
    Batch { sector: u32, host: u64, full: bool, values: Vec<AgentReport> },
    /// A host leaves.
    Farewell { sector: u32, host: u64 },
    /// The ledger takes an agent's seat, or gives it back.
    Reseat { agent: u64 },
    /// Time passes.
    Pass { us: i64 },
}

/// What the naive registry holds.
struct Naive {
    seats: BTreeMap<u64, AgentSeat>,
    gone: BTreeSet<u64>,
    told: BTreeMap<u64, AgentReport>,
    /// By (sector, host): sequence of the newest batch, when it was sent, whether it said farewell.
    hosts: BTreeMap<(u32, u64), (u64, MeshTimeUs, bool)>,
}

fn seats() -> BTreeMap<u64, AgentSeat> {
    let seat_of = |agent: u64| {
        let class = [AgentClass::B, AgentClass::C, AgentClass::F][(agent % 3) as usize];
        AgentSeat {
            cluster: ClusterId { sector: SectorId((agent % 2) as u32), index: (agent % 5) as u32 },
            // Bit 5 is rare, so that both ways to search are taken.
            capabilities: Capabilities((agent % 4) | (u64::from(agent.is_multiple_of(19)) << 5)),
            region: Region::new(if agent.is_multiple_of(3) { *b"KE" } else { *b"NO" }).unwrap(),
            ..seat(agent, agent % HOSTS + 1, class)
        }
    };
    (1..=AGENTS).map(|agent| (agent, seat_of(agent))).collect()
}

impl Naive {
    fn own(&self, sector: u32, host: u64) -> Vec<u64> {
        let own = self.seats.values().filter(|s| s.host.0 == host && s.cluster.sector.0 == sector);
        own.map(|s| s.agent.0).filter(|agent| !self.gone.contains(agent)).collect()
    }

    fn state(&self, agent: u64, now: MeshTimeUs) -> AgentState {
        let (seat, told) = (&self.seats[&agent], &self.told[&agent]);
        let (_, sent, left) = self.hosts[&(seat.cluster.sector.0, seat.host.0)];
        let slow = seat.class != AgentClass::F && score(told.impedance.z_us(), seat.class) > 800;
        match told.state {
            _ if left || now.since_us(sent) >= 30_000_000 => AgentState::Offline,
            AgentState::Active if slow => AgentState::Degraded,
            state => state,
        }
    }

    fn known(&self) -> Vec<u64> {
        self.told.keys().copied().filter(|agent| !self.gone.contains(agent)).collect()
    }

    fn find(&self, query: &Query, now: MeshTimeUs) -> Vec<AgentId> {
        let mut found: Vec<(u64, u64)> = Vec::new();
        for agent in self.known() {
            let (seat, told) = (&self.seats[&agent], &self.told[&agent]);
            let (z, points) = (told.impedance.z_us(), score(told.impedance.z_us(), seat.class));
            let fits = [
                seat.capabilities.0 & query.capabilities.0 == query.capabilities.0,
                query.max_score.is_none_or(|max| points <= max),
                query.class.is_none_or(|class| class == seat.class),
                query.region.is_none_or(|region| region == seat.region),
                query.sector.is_none_or(|sector| sector == seat.cluster.sector),
                query.cluster.is_none_or(|cluster| cluster == seat.cluster),
                query.state.is_none_or(|state| state == self.state(agent, now)),
                !query.green || told.energy != EnergySource::Grid,
            ];
            let key = match query.order {
                Order::Score => u64::from(points),
                Order::Impedance => z,
                Order::Price => told.price_uftns,
                Order::Reliability => 1_000_000 - u64::from(told.reliability_ppm),
                Order::Drift => u64::from(told.drift_ppm),
            };
            if fits.into_iter().all(|fits| fits) {
                found.push((key, agent));
            }
        }
        found.sort_unstable();
        found.truncate(query.n);
        found.into_iter().map(|(_, agent)| AgentId(agent)).collect()
    }
}

/// Both, fed the same.
struct Pair {
    naive: Naive,
    registries: [Registry; 2],
    view: RegistryView,
    now: MeshTimeUs,
    index: u64,
}

impl Pair {
    fn new() -> Self {
        let naive = Naive { seats: seats(), gone: BTreeSet::new(), told: BTreeMap::new(), hosts: BTreeMap::new() };
        let mut registries = [Registry::new(SectorId(0)), Registry::new(SectorId(1))];
        registries.iter_mut().for_each(|r| r.set_seats(naive.seats.values().copied()));
        Self { naive, registries, view: RegistryView::new(), now: T0, index: 0 }
    }

    fn send(&mut self, sector: u32, host: u64, kind: fn(u64) -> BatchKind, reports: Vec<AgentReport>) {
        let newest = self.naive.hosts.get(&(sector, host)).map_or(0, |(sequence, ..)| *sequence);
        let kind = if newest == 0 { BatchKind::Full } else { kind(newest) };
        self.index += 1;
        let signed =
            SignedHostBatch { batch: batch(host, newest + 1, kind, self.now, reports), signature: Signature([0; 64]) };
        let registry = &mut self.registries[sector as usize];
        let refused = registry.apply(Fencing::new(1, self.index), [VerifiedBatch::trusted(signed.clone()).unwrap()]);
        if !refused.is_empty() {
            // Only ever for want of a full batch, and then nothing changes.
            assert!(refused.iter().all(crate::beat::StoreError::needs_full), "{refused:?}");
            return;
        }
        let batch = signed.batch;
        self.naive.hosts.insert((sector, host), (batch.sequence, self.now, kind == BatchKind::Farewell));
        if kind == BatchKind::Full {
            let seats = &self.naive.seats;
            let is_own = |agent: &u64| seats[agent].host.0 == host && seats[agent].cluster.sector.0 == sector;
            self.naive.told.retain(|agent, _| !is_own(agent));
        }
        self.naive.told.extend(batch.reports.into_iter().map(|report| (report.agent.0, report)));
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Batch { sector, host, full, values } => {
                let own = self.naive.own(sector, host);
                // A full batch leaves out whoever got a value of zero: an agent the host no longer has.
                let reports = own.iter().zip(&values).filter(|(_, v)| !full || v.price_uftns > 0);
                let reports = reports.map(|(agent, v)| AgentReport { agent: AgentId(*agent), ..*v }).collect();
                let kind = if full { |_| BatchKind::Full } else { |base| BatchKind::Delta { base } };
                self.send(sector, host, kind, reports);
            }
            Step::Farewell { sector, host } => self.send(sector, host, |_| BatchKind::Farewell, Vec::new()),
            Step::Pass { us } => self.now = self.now.plus_us(us),
            Step::Reseat { agent } => {
                if !self.naive.gone.remove(&agent) {
                    self.naive.gone.insert(agent);
                }
                let seats: Vec<AgentSeat> =
                    self.naive.seats.values().filter(|s| !self.naive.gone.contains(&s.agent.0)).copied().collect();
                self.registries.iter_mut().for_each(|r| r.set_seats(seats.clone()));
            }
        }
        for registry in &self.registries {
            self.view = self.view.with_sector(Arc::clone(registry.view()));
        }
    }
}

fn arb_report() -> impl Strategy<Value = AgentReport> {
    (0..3_000_000_u64, 0..4_u64, 0..1_000_000_u32, 0..5_u8).prop_map(|(z, price, share, state)| AgentReport {
        price_uftns: price,
        reliability_ppm: share,
        drift_ppm: share / 7,
        state: if state == 0 { AgentState::Quarantined } else { AgentState::Active },
        energy: if state == 1 { EnergySource::Wind } else { EnergySource::Grid },
        ..report(0, z)
    })
}

fn arb_step() -> impl Strategy<Value = Step> {
    let values = prop::collection::vec(arb_report(), 0..12);
    prop_oneof![
        8 => (0..2_u32, 1..=HOSTS, any::<bool>(), values)
            .prop_map(|(sector, host, full, values)| Step::Batch { sector, host, full, values }),
        1 => (0..2_u32, 1..=HOSTS).prop_map(|(sector, host)| Step::Farewell { sector, host }),
        1 => (1..=AGENTS).prop_map(|agent| Step::Reseat { agent }),
        1 => (0..20_000_000_i64).prop_map(|us| Step::Pass { us }),
    ]
}

fn arb_query() -> impl Strategy<Value = Query> {
    let order = prop::sample::select(Order::ALL.to_vec());
    let class = prop::option::of(prop::sample::select(vec![AgentClass::B, AgentClass::F]));
    let state = prop::option::of(prop::sample::select(vec![AgentState::Active, AgentState::Offline]));
    let wanted = prop::sample::select(vec![0, 1, 2, 3, 1 << 5, (1 << 5) | 1, 1 << 9]);
    let place = (prop::option::of(0..2_u32), prop::option::of((0..2_u32, 0..5_u32)), any::<Option<bool>>());
    (order, class, state, wanted, place, 0..50_usize, prop::option::of(0..1_000_u16), any::<bool>()).prop_map(
        |(order, class, state, wanted, (sector, cluster, kenya), n, max_score, green)| Query {
            capabilities: Capabilities(wanted),
            n,
            max_score,
            class,
            region: kenya.map(|kenya| Region::new(if kenya { *b"KE" } else { *b"NO" }).unwrap()),
            sector: sector.map(SectorId),
            cluster: cluster.map(|(sector, index)| ClusterId { sector: SectorId(sector), index }),
            state,
            green,
            order,
        },
    )
}

fn check_statistics(pair: &Pair) {
    let (naive, now) = (&pair.naive, pair.now);
    let (summary, known) = (pair.view.summary(now), naive.known());
    let in_state = |state| known.iter().filter(|agent| naive.state(**agent, now) == state).count() as u32;
    let seated = naive.seats.len() - naive.gone.len();
    assert_eq!(summary.agents as usize, seated);
    assert_eq!((summary.active, summary.degraded), (in_state(AgentState::Active), in_state(AgentState::Degraded)));
    assert_eq!(summary.offline as usize, seated - known.len() + in_state(AgentState::Offline) as usize);
    let machines: Vec<u64> = known
        .iter()
        .copied()
        .filter(|a| naive.seats[a].class != AgentClass::F && naive.state(*a, now) != AgentState::Offline)
        .collect();
    let points = |agent: &u64| u64::from(score(naive.told[agent].impedance.z_us(), naive.seats[agent].class));
    let mean = (!machines.is_empty()).then(|| machines.iter().map(points).sum::<u64>() / machines.len() as u64);
    assert_eq!(summary.mean_score(), mean);
    let value = |extreme: Option<Extreme>| extreme.map(|extreme| extreme.value);
    let reliability = |agent: &u64| u64::from(naive.told[agent].reliability_ppm);
    assert_eq!(value(summary.fastest), machines.iter().map(points).min());
    assert_eq!(value(summary.slowest), machines.iter().map(points).max());
    assert_eq!(value(summary.healthiest), machines.iter().map(reliability).max());
    assert_eq!(value(summary.sickest), machines.iter().map(reliability).min());
    let mut by_cluster = Summary::default();
    for sector in pair.view.sectors() {
        sector.cluster_summaries(now).values().for_each(|cluster| by_cluster.merge(cluster));
    }
    assert_eq!(by_cluster, summary, "clusters and mesh agree, quantiles included");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_registry_answers_like_a_list_that_is_searched_and_sorted(
        steps in prop::collection::vec((arb_step(), arb_query()), 1..40),
    ) {
        let mut pair = Pair::new();
        for (step, query) in steps {
            let before = pair.view.clone();
            pair.step(step);
            let found: Vec<AgentId> = pair.view.find(&query, pair.now).iter().map(|r| r.agent).collect();
            prop_assert_eq!(found, pair.naive.find(&query, pair.now), "{:?}", query);
            for agent in 1..=AGENTS {
                let told = pair.naive.told.get(&agent).filter(|_| !pair.naive.gone.contains(&agent));
                let record = pair.view.get(AgentId(agent));
                prop_assert_eq!(record.map(|r| r.impedance), told.map(|t| t.impedance));
                prop_assert_eq!(record.map(|r| r.price_uftns), told.map(|t| t.price_uftns));
                let state = told.map(|_| pair.naive.state(agent, pair.now));
                prop_assert_eq!(pair.view.state(AgentId(agent), pair.now), state);
            }
            check_statistics(&pair);
            for sector in before.sectors() {
                prop_assert!(pair.view.sector(sector.sector()).unwrap().version() >= sector.version());
            }
        }
    }

    /// What is kept up to date report by report equals what is made from scratch.
    #[test]
    fn a_view_does_not_depend_on_how_it_came_about(steps in prop::collection::vec(arb_step(), 1..40)) {
        let mut pair = Pair::new();
        for step in steps {
            pair.step(step);
        }
        for registry in &mut pair.registries {
            let grown = Arc::clone(registry.view());
            registry.set_seats(pair.naive.seats.values().filter(|s| !pair.naive.gone.contains(&s.agent.0)).copied());
            let fresh = registry.view();
            prop_assert_eq!(&grown.rows, &fresh.rows);
            prop_assert_eq!(&grown.rankings, &fresh.rankings);
            prop_assert_eq!(&grown.hosts, &fresh.hosts);
            prop_assert_eq!(&grown.records, &fresh.records);
            prop_assert_eq!(&grown.unreported, &fresh.unreported);
        }
    }
}

#[test]
fn an_agent_that_moved_is_found_in_either_sector_until_both_know() {
    let (mut old, mut new) = (Registry::new(SectorId(0)), Registry::new(SectorId(1)));
    let here = seat(7, 1, AgentClass::C);
    let there = AgentSeat { cluster: ClusterId { sector: SectorId(1), index: 0 }, ..here };
    old.set_seats([here]);
    new.set_seats([there]);
    let full = || batch(1, 1, BatchKind::Full, T0, vec![report(7, 5)]);
    let trusted = |batch| VerifiedBatch::trusted(SignedHostBatch { batch, signature: Signature([0; 64]) }).unwrap();
    old.apply(Fencing::new(1, 1), [trusted(full())]);
    new.apply(Fencing::new(1, 1), [trusted(full())]);
    let view = RegistryView::new().with_sector(Arc::clone(old.view())).with_sector(Arc::clone(new.view()));
    assert_eq!(view.get(AgentId(7)).unwrap().cluster.sector, SectorId(0));
    old.set_seats([]);
    let view = view.with_sector(Arc::clone(old.view()));
    assert_eq!(view.get(AgentId(7)).unwrap().cluster.sector, SectorId(1));
    new.set_seats([]);
    assert!(view.with_sector(Arc::clone(new.view())).get(AgentId(7)).is_none());
    assert_eq!(NodeId(1), here.host);
}
