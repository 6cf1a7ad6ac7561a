//! Where a child's clock stands against mesh time: four-timestamp exchanges, minimum filter, skew, anchor voting
//! (`arrival.md` 2.2).

mod anchor_check;
mod bracket;
mod exchange;
mod host;
mod link;
mod set;
mod skew;
mod vote;

pub use anchor_check::{AnchorSample, AnchorVerdict, check_anchor};
pub use bracket::{MAX_OUTSIDE_US, bracketed, outside_bracket_us};
pub use exchange::{Exchange, MAX_ROUND_TRIP_US, RejectCounts, SampleError};
pub use host::{HostClock, MAX_HOST_BOUND_US, MIN_HOST_BOUND_US, guarded_target};
pub use link::{ClockEstimate, ClockLink, RHO_FITTED_PPM, RHO_UNFITTED_PPM, RING_LEN};
pub use set::{ClockSet, MAX_ANCHORS};
pub use skew::{SkewFit, SkewPoint, fit_skew};
pub use vote::{AnchorVote, Verdict, vote};
