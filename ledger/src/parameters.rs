//! Parameters: typed, bounded, changed only by vote.

use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::types::serde_as_text;

macro_rules! parameters {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $default:literal, $min:literal ..= $max:literal;)*) => {
        /// One parameter. Variants are only ever appended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash, BorshSerialize, BorshDeserialize)]
        pub enum Parameter { $($(#[$doc])* $variant,)* }

        impl Parameter {
            /// All of them in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name, unit last.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Its value until a vote or the genesis says otherwise.
            #[must_use]
            pub const fn default_value(self) -> u64 {
                match self { $(Self::$variant => $default,)* }
            }

            /// The least and the most it may ever be.
            #[must_use]
            pub const fn bounds(self) -> (u64, u64) {
                match self { $(Self::$variant => ($min, $max),)* }
            }
        }
    };
}

parameters! {
    /// Least price of one unit of transaction weight, in uFTNS; full blocks raise it.
    BaseFee, "base_fee_uftns", 1, 0..=1_000_000;
    /// Price of one unit of work (a million fuel) to begin with, in uFTNS; use moves it within an eighth and eight times this.
    TaskUnitPrice, "task_unit_price_uftns", 1_000, 0..=1_000_000_000;
    /// Price of a gram of CO2e, in uFTNS.
    CarbonPrice, "carbon_price_uftns_per_g", 100_000, 0..=1_000_000_000_000;
    /// Agents of one sector.
    SectorCapacity, "sector_capacity", 300, 10..=10_000;
    /// Agents of one cluster.
    ClusterSize, "cluster_size", 30, 2..=1_000;
    /// How long a vote stays open, in ms of block time.
    VotingMs, "voting_ms", 5_000, 1_000..=2_592_000_000;
    /// How long a passed proposal waits, in ms of block time.
    TimelockMs, "timelock_ms", 2_000, 0..=2_592_000_000;
    /// Share of the snapshot that must take part, in ppm.
    QuorumPpm, "quorum_ppm", 200_000, 10_000..=900_000;
    /// What a proposer deposits, in uFTNS.
    ProposalDeposit, "proposal_deposit_uftns", 1_000_000, 0..=1_000_000_000_000;
    /// Extra hold the arrival tree adds, in ms.
    HoldMarginMs, "hold_margin_ms", 0, 0..=60_000;
    /// Wanted probability that an agent is armed in time, in ppm.
    ArrivalPpm, "arrival_p_ppm", 990_000, 500_000..=999_999;
    /// Failures in 60 s that open a cluster's breaker, when exceeded.
    BreakerCluster, "breaker_cluster_failures", 5, 1..=1_000;
    /// Failures in 60 s that open a sector's breaker, when exceeded.
    BreakerSector, "breaker_sector_failures", 50, 1..=100_000;
    /// Open sectors that open the global breaker, when exceeded.
    BreakerGlobal, "breaker_global_sectors", 10, 1..=10_000;
    /// Registrations one account sponsors in a minute of block time.
    SponsoredPerMinute, "sponsored_per_minute", 120, 1..=100_000;
    /// Premium of requesters outside the access list, in ppm of the base.
    PremiumPpm, "premium_ppm", 200_000, 0..=1_000_000;
    /// Discount of requesters in the access list, in ppm of the base.
    DiscountPpm, "discount_ppm", 300_000, 0..=1_000_000;
    /// Discount for a wholly renewable host, in ppm of the base.
    GreenPpm, "green_ppm", 150_000, 0..=1_000_000;
    /// Transaction weight of a block at which the fee stays as it is: five hundred payments.
    TargetBlockWeight, "target_block_weight", 7_500, 100..=100_000_000;
    /// The most a unit of weight ever costs, in uFTNS.
    BaseFeeMax, "base_fee_max_uftns", 100, 0..=1_000_000_000;
    /// How long bonded money still answers after it was asked back, in ms of block time.
    UnbondingMs, "unbonding_ms", 604_800_000, 1_000..=2_592_000_000;
    /// Share of a bond that a proven offence costs, in ppm.
    SlashPpm, "slash_ppm", 100_000, 1..=1_000_000;
    /// Share of a penalty that goes to whoever proved the offence, in ppm; the rest is burned.
    SlashRewardPpm, "slash_reward_ppm", 50_000, 0..=500_000;
    /// Fresh reports an intensity needs.
    OracleReports, "oracle_reports", 3, 3..=64;
    /// How long a report counts, in ms of block time.
    OracleFreshMs, "oracle_fresh_ms", 86_400_000, 60_000..=2_592_000_000;
    /// The most an intensity moves in an hour, in ppm of itself.
    OracleStepPpm, "oracle_step_ppm", 250_000, 1_000..=1_000_000;
    /// Reviewers who must attest a saving before its credits are issued.
    CreditReviewers, "credit_reviewers", 2, 1..=16;
    /// How long a claimed part may be disputed, in ms of block time.
    ChallengeMs, "challenge_ms", 3_600_000, 1_000..=604_800_000;
    /// How long a panel may take for its ruling, in ms of block time.
    RulingMs, "ruling_ms", 86_400_000, 1_000..=2_592_000_000;
    /// What whoever disputes a claim answers with, in uFTNS.
    DisputeBond, "dispute_bond_uftns", 1_000_000, 0..=1_000_000_000_000;
    /// How often work is re-executed, in ppm: a host's bond is at least the price of a part / this.
    AuditPpm, "audit_ppm", 100_000, 1_000..=1_000_000;
    /// What a bidder answers with until the auction ends, in uFTNS.
    BidBond, "bid_bond_uftns", 100_000, 0..=1_000_000_000;
    /// Oracles and guardians who must agree on an emergency.
    EmergencySignals, "emergency_signals", 2, 1..=16;
    /// The most that contributions are paid in a day of block time, in uFTNS; bounded by the supply cap as well.
    EmissionPerPeriod, "emission_per_period_uftns", 1_000_000_000, 0..=1_000_000_000_000_000;
    /// A quarter of dividends, in ms of block time; the running one keeps the length it began with.
    DividendQuarterMs, "dividend_quarter_ms", 7_776_000_000, 60_000..=31_622_400_000;
    /// Share of the treasury that a quarter pays, in ppm.
    DividendTreasuryPpm, "dividend_treasury_ppm", 500_000, 0..=1_000_000;
    /// What bonded money counts more for a dividend, in ppm.
    DividendRolePpm, "dividend_role_ppm", 250_000, 0..=1_000_000;
    /// How often prices of capabilities move, in ms of block time.
    PriceStepMs, "price_step_ms", 3_600_000, 60_000..=86_400_000;
    /// Units of work an agent can do in such a step.
    AgentStepUnits, "agent_step_units", 1_000, 1..=1_000_000_000;
    /// Share of what agents can do at which a price stays as it is, in ppm.
    PriceTargetPpm, "price_target_ppm", 700_000, 10_000..=1_000_000;
    /// What work costs more at peak hours, in ppm; nothing until a vote says when the mesh is busy.
    PeakPpm, "peak_ppm", 0, 0..=1_000_000;
    /// The hour of the day in UTC at which peak hours begin.
    PeakFromHour, "peak_from_hour", 17, 0..=24;
    /// The hour of the day in UTC at which they end.
    PeakToHour, "peak_to_hour", 21, 0..=24;
    /// What work costs less for whoever uses most, in ppm.
    VolumePpm, "volume_ppm", 100_000, 0..=500_000;
    /// Units in the running and the last period that bring it in full.
    VolumeUnits, "volume_units", 1_000_000, 1..=1_000_000_000_000;
    /// What money that was held before counts more for a dividend, in ppm.
    DividendHoldingPpm, "dividend_holding_ppm", 250_000, 0..=1_000_000;
    /// A period of quota, in ms of block time: what was used in it is free again in the next.
    QuotaPeriodMs, "quota_period_ms", 86_400_000, 60_000..=2_592_000_000;
    /// Units a period of each of its capabilities that a new agent brings its host as quota: a fifth of what it can do in a day.
    QuotaAgentUnits, "quota_agent_units", 4_800, 0..=1_000_000_000;
    /// Free balance that whoever offers or takes quota must have, in uFTNS.
    QuotaMinBalance, "quota_min_balance_uftns", 100_000_000, 0..=1_000_000_000_000;
    /// What a purpose that reviewers found too high costs beyond the difference, in ppm of the task's size.
    PurposePenaltyPpm, "purpose_penalty_ppm", 100_000, 0..=1_000_000;
    /// The market's share of what the seller of an order is paid, in ppm; goes to the treasury.
    MarketFeePpm, "market_fee_ppm", 10_000, 0..=200_000;
    /// Renewable share below which a worker owes retired credits for what it lacks, in ppm; nobody does at 0.
    RetirementTargetPpm, "retirement_target_ppm", 700_000, 0..=1_000_000;
    /// A period of that duty, in ms of block time: what is owed for its footprint is due when it is over.
    RetirementPeriodMs, "retirement_period_ms", 86_400_000, 60_000..=2_592_000_000;
    /// The most that a contribution whose content is much used is paid on top, in ppm of what is asked.
    ImpactBonusPpm, "impact_bonus_ppm", 250_000, 0..=1_000_000;
    /// What a node must have bonded as validator before a vote gives it a seat, in uFTNS.
    ValidatorBond, "validator_bond_uftns", 100_000_000, 0..=1_000_000_000_000;
    /// The footprint a unit of work is reckoned with when money is set aside for it, in ug of CO2e; what is really charged is measured.
    CarbonReserveUg, "carbon_reserve_ug_per_unit", 50, 0..=1_000_000_000;
    /// The most an account's work is discounted for its region in a day of block time, in uFTNS: twice what the busiest requester of
    /// the recorded day was.
    AccessAllowance, "access_allowance_uftns", 2_000_000_000, 0..=1_000_000_000_000_000;
    /// How long a proven offence locks a validator's account out, in ms of block time; each further offence adds as much.
    JailMs, "jail_ms", 2_592_000_000, 1_000..=31_622_400_000;
}

/// Text that names no parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parameter `{0}` does not exist; `gov list` shows those that do")]
pub struct ParameterError(pub String);

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Parameter {
    type Err = ParameterError;
    fn from_str(text: &str) -> Result<Self, ParameterError> {
        Self::ALL
            .iter()
            .copied()
            .find(|parameter| parameter.name() == text)
            .ok_or_else(|| ParameterError(text.chars().take(60).collect()))
    }
}

serde_as_text!(Parameter);

impl Parameter {
    /// Whether it may have this value.
    #[must_use]
    pub const fn allows(self, value: u64) -> bool {
        let (min, max) = self.bounds();
        value >= min && value <= max
    }
}

/// The values in force: those that were ever set, defaults for the rest.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Parameters(pub BTreeMap<Parameter, u64>);

impl Parameters {
    /// The value in force.
    #[must_use]
    pub fn get(&self, parameter: Parameter) -> u64 {
        self.0.get(&parameter).copied().unwrap_or_else(|| parameter.default_value())
    }

    /// Every parameter with its value.
    pub fn all(&self) -> impl Iterator<Item = (Parameter, u64)> + '_ {
        Parameter::ALL.iter().map(|parameter| (*parameter, self.get(*parameter)))
    }
}
