//! What governs a wave and may be voted on.

/// Parameters of the arrival machines; the ledger's values are handed in, never read here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArrivalParams {
    /// p: wanted probability that an agent is ARMED at T.
    pub arm_probability: f64,
    /// Added to every lead of a hold, microseconds.
    pub hold_margin_us: i64,
    /// omega: the window in which a release counts as a hit, either way, microseconds.
    pub omega_us: i64,
    /// Whether an agent that is unarmed shortly before T gets a standby (2.7).
    pub hedge: bool,
    /// Standbys a wave may use, parts per million of the agents enrolled.
    pub hedge_budget_ppm: u32,
}

/// With a standby behind it a slot does not need its primary's last quantile (2.4).
const HEDGED_ARM_PROBABILITY: f64 = 0.99;

impl Default for ArrivalParams {
    fn default() -> Self {
        Self { arm_probability: 0.995, hold_margin_us: 0, omega_us: 10_000, hedge: true, hedge_budget_ppm: 50_000 }
    }
}

impl ArrivalParams {
    /// From the ledger's parameters: parts per million and milliseconds.
    #[must_use]
    pub fn from_ledger(arrival_p_ppm: u64, hold_margin_ms: u64) -> Self {
        Self {
            arm_probability: (arrival_p_ppm.min(999_999) as f64 / 1e6).max(0.5),
            hold_margin_us: i64::try_from(hold_margin_ms).unwrap_or(i64::MAX).saturating_mul(1_000).min(60_000_000),
            ..Self::default()
        }
    }

    /// The same without standbys.
    #[must_use]
    pub fn unhedged(self) -> Self {
        Self { hedge: false, ..self }
    }

    /// p of the lead of a single agent, with (`hedged`) or without a standby behind it.
    #[must_use]
    pub fn lead_probability(&self, hedged: bool) -> f64 {
        if hedged { self.arm_probability.min(HEDGED_ARM_PROBABILITY) } else { self.arm_probability }
    }
}
