//! What a host's agents dropped or refused.

/// What was dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostedCounters {
    /// For agents this host does not run.
    pub foreign: u64,
    /// Prepares whose signed event never came.
    pub unstaged: u64,
    /// Prepares of slots already taken.
    pub repeated: u64,
    /// Prepares and releases that met a frozen agent.
    pub frozen: u64,
    /// Timers or events over their bound.
    pub overflow: u64,
    /// Instants of release refused, because the agent's own time service contradicts the lead (2.9).
    pub target_refused: u64,
}

impl HostedCounters {
    /// Every counter with its name.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 6] {
        [
            ("agent_foreign", self.foreign),
            ("agent_unstaged", self.unstaged),
            ("agent_repeated", self.repeated),
            ("agent_frozen", self.frozen),
            ("agent_overflow", self.overflow),
            ("agent_target_refused", self.target_refused),
        ]
    }
}
