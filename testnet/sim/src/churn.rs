//! Who is a member when: sessions of a real open network (Tor relays), one node of the trace for each agent.

use std::sync::OnceLock;

use crate::config::SimError;
use crate::surroundings::draw::{Draws, Label};
use crate::trace::{field, rows};

const CHURN: (&str, &[u8]) = ("churn.csv.gz", include_bytes!("../data/churn.csv.gz"));
const HOUR_US: i64 = 3_600_000_000;
/// Hours of the trace, and from which of them a run may start.
const TRACE_H: u32 = 672;
const LATEST_START_H: u32 = 600;
/// How long after an agent has gone the roster knows: beats missed, the change ordered by the sector.
pub(crate) const NOTICE_US: i64 = 30_000_000;

/// Sessions of the trace's nodes, in hours; each node's in order.
#[derive(Debug)]
pub(crate) struct Churn {
    nodes: Vec<Vec<(u32, u32)>>,
}

impl Churn {
    pub(crate) fn embedded() -> Result<&'static Self, SimError> {
        static TRACE: OnceLock<Churn> = OnceLock::new();
        if let Some(churn) = TRACE.get() {
            return Ok(churn);
        }
        let mut nodes: std::collections::BTreeMap<u32, Vec<(u32, u32)>> = std::collections::BTreeMap::new();
        for (line, row) in rows(CHURN)? {
            let number = |index| field(CHURN.0, line, &row, index);
            let (node, from, to): (u32, u32, u32) = (number(0)?, number(1)?, number(2)?);
            nodes.entry(node).or_default().push((from, to.min(TRACE_H)));
        }
        let mut nodes: Vec<_> = nodes.into_values().collect();
        nodes.iter_mut().for_each(|sessions| sessions.sort_unstable());
        Ok(TRACE.get_or_init(|| Self { nodes }))
    }

    /// Sessions of an agent within `span_us` from the start, microseconds since then; at least one.
    pub(crate) fn sessions_us(&self, seed: u64, agent: u32, span_us: i64) -> Vec<(i64, i64)> {
        let draws = Draws::new(seed, u64::from(agent) + 1);
        let first_h = (Draws::new(seed, 0).bits(Label::Churn, u64::MAX) % u64::from(LATEST_START_H)) as u32;
        let last_h = first_h + (span_us / HOUR_US) as u32 + 1;
        // The trace says nothing of minutes: what was first seen, or missed, in an hour changed anywhere in the one before.
        let within = |hour: u32| {
            let minutes = draws.unit(Label::Churn, u64::from(hour));
            (i64::from(hour) - i64::from(first_h) - 1) * HOUR_US + (minutes * HOUR_US as f64) as i64
        };
        for attempt in 0..64 {
            let pick = (draws.bits(Label::Churn, 1 << 32 | attempt) % self.nodes.len().max(1) as u64) as usize;
            let seen = self.nodes.get(pick).map_or(&[][..], Vec::as_slice).iter();
            let sessions: Vec<(i64, i64)> = seen
                .filter(|(from, to)| *from < last_h && *to > first_h)
                .map(|(from, to)| {
                    let begins = if *from <= first_h { i64::MIN } else { within(*from) };
                    // What the trace's end cuts off did not end there.
                    let ends = if *to >= TRACE_H { i64::MAX } else { within(*to) };
                    (begins, ends)
                })
                .filter(|(begins, ends)| *begins < span_us && *ends > 0)
                .collect();
            if !sessions.is_empty() {
                return sessions;
            }
        }
        vec![(i64::MIN, i64::MAX)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_one_in_a_hundred_leaves_in_an_hour() {
        let churn = Churn::embedded().unwrap();
        let (mut present, mut left) = (0, 0);
        for agent in 0..20_000 {
            let sessions = churn.sessions_us(3, agent, HOUR_US);
            assert!(sessions.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{sessions:?}");
            if sessions[0].0 <= 0 {
                present += 1;
                left += usize::from(sessions[0].1 < HOUR_US);
            }
        }
        let share = f64::from(left as u32) / f64::from(present);
        assert!((0.003..0.03).contains(&share), "{share}");
        assert!(present > 18_500, "{present}");
    }
}
