//! Which agents a task goes to.
//!
//! The lowest predicted finish wins, weighted by price and carbon as the requester asked. The inputs are those of the
//! registry, so that two nodes with the same view choose alike.

use crate::freeze::FreezeBoard;
use crate::registry::{Capabilities, EnergySource, Impedance, Order, Query, Record, RegistryView};
use crate::time::MeshTimeUs;
use mesh30k_ledger::types::{AgentClass, AgentId, NodeId, Region};
use std::collections::{BTreeMap, BTreeSet};

const PPM: u128 = 1_000_000;
/// Most parts one request may place.
pub const MAX_PARTS: usize = 10_000;

/// What is to be placed, and what matters.
#[derive(Clone, Debug, Default)]
pub struct PlacementRequest {
    /// Agents must have all of these.
    pub capabilities: Capabilities,
    /// Agents must be of this class; of any but F (people), if none is named.
    pub class: Option<AgentClass>,
    /// So many parts, on as many agents while there are enough.
    pub parts: usize,
    /// Nobody dearer than this.
    pub max_price_uftns: Option<u64>,
    /// Nobody who would finish later than this after now.
    pub max_finish_us: Option<u64>,
    /// How much a doubled price counts against a doubled finish time, in ppm: 0 for not at all.
    pub price_weight_ppm: u32,
    /// How much a doubled carbon intensity counts against a doubled finish time, in ppm: 0 for not at all.
    pub carbon_weight_ppm: u32,
    /// Not these agents: they failed at it before, or are to check it.
    pub exclude: BTreeSet<AgentId>,
}

/// Carbon intensity of the grid by region, in grams of CO2 equivalent per kWh.
#[derive(Clone, Debug, Default)]
pub struct CarbonTable {
    /// The intensities known.
    pub regions: BTreeMap<Region, u32>,
    /// For regions that are not.
    pub default_g_per_kwh: u32,
}

/// One part's agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The agent.
    pub agent: AgentId,
    /// Its host.
    pub host: NodeId,
    /// When it is predicted to have finished, after now, with the parts placed on it before.
    pub finish_us: u64,
    /// Its price for a unit of work.
    pub price_uftns: u64,
    /// Carbon intensity of its energy.
    pub carbon_g_per_kwh: u32,
}

/// Why a task finds no agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// Nobody has what it takes, is active, unfrozen, and within the limits.
    #[error(
        "no agent fits: {able} are able, {active} of them active, {unfrozen} of these not frozen, none within the limits"
    )]
    Nobody {
        /// Agents with the capabilities and of the class.
        able: usize,
        /// Of those, active.
        active: usize,
        /// Of those, not frozen.
        unfrozen: usize,
    },
    /// More parts than one request may place, or none.
    #[error("{parts} parts asked for, between 1 and {limit} can be placed")]
    Parts {
        /// How many.
        parts: usize,
        /// The bound, [`MAX_PARTS`].
        limit: usize,
    },
}

impl CarbonTable {
    /// Intensity of an agent's energy. On-site and contracted sources count by the life-cycle medians of IPCC AR5 WG3
    /// annex III, table A.III.2 (solar 41, wind 11, hydro 24, nuclear 12).
    #[must_use]
    pub fn g_per_kwh(&self, region: Region, energy: EnergySource) -> u32 {
        match energy {
            EnergySource::Grid => self.regions.get(&region).copied().unwrap_or(self.default_g_per_kwh),
            EnergySource::Solar => 41,
            EnergySource::Wind => 11,
            EnergySource::Hydro => 24,
            EnergySource::Nuclear => 12,
        }
    }
}

struct Bid<'a> {
    record: &'a Record,
    carbon_g_per_kwh: u32,
    placed: u32,
}

impl Bid<'_> {
    /// `Z` with the parts placed before as queue, and each of them worked off in full.
    fn finish_us(&self) -> u64 {
        let impedance = Impedance {
            queue_depth: self.record.impedance.queue_depth.saturating_add(self.placed),
            ..self.record.impedance
        };
        let before = impedance.processing_p50_us.saturating_mul(u64::from(self.placed));
        impedance.z_us().saturating_add(before)
    }

    /// Finish time, raised by the weighted excess of price and carbon over the cheapest and the greenest bid.
    fn cost(&self, request: &PlacementRequest, cheapest_uftns: u64, greenest_g_per_kwh: u32) -> u128 {
        let price = excess_ppm(self.record.price_uftns, cheapest_uftns);
        let carbon = excess_ppm(u64::from(self.carbon_g_per_kwh), u64::from(greenest_g_per_kwh));
        let weighted = price
            .saturating_mul(u128::from(request.price_weight_ppm))
            .saturating_add(carbon.saturating_mul(u128::from(request.carbon_weight_ppm)))
            / PPM;
        u128::from(self.finish_us().max(1)).saturating_mul(PPM.saturating_add(weighted))
    }
}

/// How far `value` is above `least`, as a share of `least` (at least 1), in ppm.
fn excess_ppm(value: u64, least: u64) -> u128 {
    let excess = u128::from(value.saturating_sub(least)).saturating_mul(PPM);
    excess.checked_div(u128::from(least.max(1))).unwrap_or(0)
}

/// Chooses an agent for each part, the best first; fewer choices than parts when the wanted finish allows no more. While there are agents without a part, none gets a second one.
/// Ties go to the host with fewer parts, then to the lower agent id.
///
/// # Errors
/// [`PlacementError`].
pub fn place(
    view: &RegistryView,
    frozen: &FreezeBoard,
    carbon: &CarbonTable,
    request: &PlacementRequest,
    now: MeshTimeUs,
) -> Result<Vec<Choice>, PlacementError> {
    if request.parts == 0 || request.parts > MAX_PARTS {
        return Err(PlacementError::Parts { parts: request.parts, limit: MAX_PARTS });
    }
    let able = able(view, request, now);
    let active: Vec<_> = able
        .iter()
        .filter(|record| view.state(record.agent, now) == Some(crate::registry::AgentState::Active))
        .collect();
    let unfrozen: Vec<_> = active.iter().filter(|r| !frozen.is_frozen(r.agent, r.cluster, now)).collect();
    let mut bids: Vec<Bid<'_>> = unfrozen
        .iter()
        .map(|record| Bid { record, carbon_g_per_kwh: carbon.g_per_kwh(record.region, record.energy), placed: 0 })
        .filter(|bid| request.max_price_uftns.is_none_or(|max| bid.record.price_uftns <= max))
        .filter(|bid| request.max_finish_us.is_none_or(|max| bid.finish_us() <= max))
        .collect();
    if bids.is_empty() {
        return Err(PlacementError::Nobody { able: able.len(), active: active.len(), unfrozen: unfrozen.len() });
    }
    Ok(assign(&mut bids, request))
}

fn able(view: &RegistryView, request: &PlacementRequest, now: MeshTimeUs) -> Vec<std::sync::Arc<Record>> {
    let query = Query {
        capabilities: request.capabilities,
        class: request.class,
        n: usize::MAX,
        state: None,
        order: Order::Score,
        ..Query::default()
    };
    view.find_where(&query, now, |record| {
        !request.exclude.contains(&record.agent) && (request.class.is_some() || record.class != AgentClass::F)
    })
}

/// In rounds: every agent one part, then every agent a second one, each time in the order of cost.
fn assign(bids: &mut [Bid<'_>], request: &PlacementRequest) -> Vec<Choice> {
    let cheapest = bids.iter().map(|bid| bid.record.price_uftns).min().unwrap_or(0);
    let greenest = bids.iter().map(|bid| bid.carbon_g_per_kwh).min().unwrap_or(0);
    let mut on_host: BTreeMap<NodeId, u32> = BTreeMap::new();
    let mut choices = Vec::with_capacity(request.parts);
    while choices.len() < request.parts {
        let mut queue: BTreeSet<(u128, u32, AgentId, usize)> = bids
            .iter()
            .enumerate()
            .filter(|(_, bid)| request.max_finish_us.is_none_or(|max| bid.finish_us() <= max))
            .map(|(at, bid)| (bid.cost(request, cheapest, greenest), 0, bid.record.agent, at))
            .collect();
        if queue.is_empty() {
            break;
        }
        while choices.len() < request.parts
            && let Some((cost, assumed, agent, at)) = queue.pop_first()
        {
            let Some(bid) = bids.get_mut(at) else { break };
            let parts = on_host.entry(bid.record.host).or_insert(0);
            if *parts > assumed {
                // The host got parts since: among equals it now comes later.
                queue.insert((cost, *parts, agent, at));
                continue;
            }
            *parts = parts.saturating_add(1);
            choices.push(Choice {
                agent,
                host: bid.record.host,
                finish_us: bid.finish_us(),
                price_uftns: bid.record.price_uftns,
                carbon_g_per_kwh: bid.carbon_g_per_kwh,
            });
            bid.placed = bid.placed.saturating_add(1);
        }
    }
    choices
}

#[cfg(test)]
mod tests;
