//! Drawing a sample of agents, the same for the same seed.

use mesh30k_ledger::types::AgentId;

/// Draws `count` of `agents` (all, if there are no more) without putting any back; in rising order. `seed` is random and
/// comes from outside.
#[must_use]
pub fn sample(agents: impl IntoIterator<Item = AgentId>, count: usize, seed: u64) -> Vec<AgentId> {
    let mut drawn: Vec<(u64, AgentId)> = agents.into_iter().map(|agent| (mix(seed ^ mix(agent.0)), agent)).collect();
    if let Some(last) = count.checked_sub(1).filter(|last| *last < drawn.len()) {
        drawn.select_nth_unstable(last);
    }
    drawn.truncate(count);
    let mut agents: Vec<AgentId> = drawn.into_iter().map(|(_, agent)| agent).collect();
    agents.sort_unstable();
    agents.dedup();
    agents
}

/// The output function of SplitMix64 (Steele, Lea and Flood, 2014): every bit of the input moves every bit of the result.
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
