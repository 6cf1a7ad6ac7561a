//! How long a child needs from dispatch to ARMED: one-way delay, processing, class tails, conformal correction
//! (`arrival.md` 2.3, 2.4).

mod errors;
mod growth;
mod model;
mod normal;
mod path;
mod prior;
mod ring;
mod tail;

pub use errors::{ERROR_EDGES_US, ErrorHistogram};
pub use growth::LeadGrowth;
pub use model::{DelayModel, DelaySummary, MAX_DOWN_STREAK, MAX_LEAD_US, MIN_SAMPLES, kappa};
pub use normal::within_probability;
pub use prior::ClassPrior;
pub(crate) use ring::quantile;
pub use ring::{QuantileRing, RING_LEN};
pub use tail::{ClassTail, TAIL_BUCKETS, TailReading};
