//! Names of machines and when each is woken next.

use crate::layout::Layout;

/// One machine of the mesh, by its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Machine {
    Orchestrator,
    Coordinator(u32),
    Lead(u32),
    Host(u32),
}

impl Machine {
    /// Owner of this node's draws: far from every agent's.
    pub(crate) const fn owner(self) -> u64 {
        let (kind, index) = match self {
            Self::Orchestrator => (1_u64, 0),
            Self::Coordinator(index) => (2, index),
            Self::Lead(index) => (3, index),
            Self::Host(index) => (4, index),
        };
        kind << 40 | index as u64
    }
}

const NEVER: i64 = i64::MAX;

/// The one wake of each machine that counts; what the agenda holds besides is stale.
#[derive(Debug)]
pub(crate) struct Wakes {
    orchestrator: i64,
    coordinators: Vec<i64>,
    leads: Vec<i64>,
    hosts: Vec<i64>,
}

impl Wakes {
    pub(crate) fn new(layout: &Layout) -> Self {
        let none = |count: u32| vec![NEVER; count as usize];
        Self {
            orchestrator: NEVER,
            coordinators: none(layout.sectors),
            leads: none(layout.leads()),
            hosts: none(layout.hosts()),
        }
    }

    fn slot(&mut self, machine: Machine) -> &mut i64 {
        match machine {
            Machine::Orchestrator => &mut self.orchestrator,
            Machine::Coordinator(index) => &mut self.coordinators[index as usize],
            Machine::Lead(index) => &mut self.leads[index as usize],
            Machine::Host(index) => &mut self.hosts[index as usize],
        }
    }

    /// Plans a wake; false when an earlier one, or this one, is planned already.
    pub(crate) fn plan(&mut self, machine: Machine, at_us: i64) -> bool {
        let slot = self.slot(machine);
        let sooner = at_us < *slot;
        if sooner {
            *slot = at_us;
        }
        sooner
    }

    /// Whether a wake that is due now is the planned one; if so it is used up.
    pub(crate) fn rings(&mut self, machine: Machine, now_us: i64) -> bool {
        let slot = self.slot(machine);
        let rings = *slot == now_us;
        if rings {
            *slot = NEVER;
        }
        rings
    }
}
