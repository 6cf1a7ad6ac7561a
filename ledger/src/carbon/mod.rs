//! Carbon as it is read: which intensity holds where and why, what is in force, and who used and paid what.

mod intensity;
mod lists;
mod report;

pub use intensity::{IntensityBasis, IntensityInForce, intensity};
pub use lists::{credit_accounts, emergencies, reported_regions};
pub use report::{CarbonReport, FundCheck, IntensityPoint, Use, UseKey, UseRow};
