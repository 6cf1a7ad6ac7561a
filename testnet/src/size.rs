//! How large a local network is.

/// Nodes of a local network, at most: beyond it one machine measures itself. As many sectors fit one orchestrator.
pub const NODES_MAX: usize = 128;
/// Agents a node hosts, at most (`agents.count`).
pub const AGENTS_PER_NODE_MAX: u32 = 3_000;

/// More nodes than this crowd one machine; see [`Size::is_crowd`].
const CROWD_NODES: u32 = 32;

/// A checked size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Node processes.
    pub nodes: u32,
    /// How many of them order and certify blocks.
    pub validators: u32,
    /// Agents of all nodes together.
    pub agents: u32,
}

/// A size that can't be laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// None, or more than one machine carries.
    #[error("--nodes is {nodes}; a local testnet has 1 to {NODES_MAX} nodes")]
    Nodes {
        /// Asked for.
        nodes: usize,
    },
    /// None, or more than there are nodes.
    #[error("--validators is {validators}; of {nodes} nodes 1 to {nodes} can be validators")]
    Validators {
        /// Asked for.
        validators: usize,
        /// Nodes.
        nodes: usize,
    },
    /// A node without agents, or with too many.
    #[error(
        "--agents is {agents}; {nodes} nodes host 1 to {AGENTS_PER_NODE_MAX} agents each, {nodes} to {max} together"
    )]
    Agents {
        /// Asked for.
        agents: u32,
        /// Nodes.
        nodes: u32,
        /// The most these nodes host.
        max: u32,
    },
}

impl Size {
    /// Checks a size.
    ///
    /// # Errors
    /// [`SizeError`] names the option, its value and its bounds.
    pub fn new(nodes: usize, validators: usize, agents: u32) -> Result<Self, SizeError> {
        let Some(checked) = u32::try_from(nodes).ok().filter(|_| (1..=NODES_MAX).contains(&nodes)) else {
            return Err(SizeError::Nodes { nodes });
        };
        let Some(validators) = u32::try_from(validators).ok().filter(|count| (1..=checked).contains(count)) else {
            return Err(SizeError::Validators { validators, nodes });
        };
        let max = checked.saturating_mul(AGENTS_PER_NODE_MAX);
        if !(checked..=max).contains(&agents) {
            return Err(SizeError::Agents { agents, nodes: checked, max });
        }
        Ok(Self { nodes: checked, validators, agents })
    }

    /// Whether so many nodes share this machine that they are spared what a few can afford.
    #[must_use]
    pub const fn is_crowd(self) -> bool {
        self.nodes > CROWD_NODES
    }

    /// Agents of node `number` (from 1): evenly spread, the first nodes take what is left over.
    #[must_use]
    pub fn agents_of(self, number: u32) -> u32 {
        let nodes = self.nodes.max(1);
        self.agents / nodes + u32::from(number <= self.agents % nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_laid_out_is_refused_with_a_sentence() {
        let cases = [
            ((0, 1, 1), "--nodes is 0; a local testnet has 1 to 128 nodes"),
            ((129, 1, 200), "--nodes is 129; a local testnet has 1 to 128 nodes"),
            ((8, 0, 600), "--validators is 0; of 8 nodes 1 to 8 can be validators"),
            ((8, 9, 600), "--validators is 9; of 8 nodes 1 to 8 can be validators"),
            ((2, 1, 1), "--agents is 1; 2 nodes host 1 to 3000 agents each, 2 to 6000 together"),
            ((1, 1, 3_001), "--agents is 3001; 1 nodes host 1 to 3000 agents each, 1 to 3000 together"),
        ];
        for ((nodes, validators, agents), sentence) in cases {
            assert_eq!(Size::new(nodes, validators, agents).unwrap_err().to_string(), sentence);
        }
    }

    #[test]
    fn agents_are_spread_evenly_and_none_is_lost() {
        for (nodes, agents) in [(8, 600), (7, 600), (20, 3_000), (64, 65), (100, 30_000)] {
            let size = Size::new(nodes, 1, agents).unwrap();
            let shares: Vec<u32> = (1..=size.nodes).map(|number| size.agents_of(number)).collect();
            assert_eq!(shares.iter().sum::<u32>(), agents);
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
    }
}
