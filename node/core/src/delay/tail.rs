//! The pooled tail of one class at one lead: a decayed, mergeable log-bucket histogram of z = (D - m) / s (2.1, 2.3).

use std::sync::OnceLock;

use borsh::{BorshDeserialize, BorshSerialize};

/// Buckets of a tail: one below [`LOWEST_Z`], the rest a tenth wider each.
pub const TAIL_BUCKETS: usize = 128;
const LOWEST_Z: f64 = 0.05;
const GROWTH: f64 = 1.1;
/// Weight left after a wave.
const DECAY: f64 = 0.99;

/// Histogram of z with decaying weights; quantiles are interpolated between the edges of a bucket, a tenth apart.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct ClassTail {
    weights: Vec<f64>,
}

impl Default for ClassTail {
    fn default() -> Self {
        Self { weights: vec![0.0; TAIL_BUCKETS] }
    }
}

impl ClassTail {
    /// An empty tail.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A tail that starts from known quantiles (probability, z), worth `weight` samples; log-linear between them.
    #[must_use]
    pub fn from_quantiles(points: &[(f64, f64)], weight: f64) -> Self {
        let mut tail = Self::new();
        let steps = 1_000_u32;
        for i in 0..steps {
            let p = (f64::from(i) + 0.5) / f64::from(steps);
            let mut below = (0.0, LOWEST_Z / 2.0);
            let mut above = below;
            for point in points {
                above = *point;
                if point.0 >= p {
                    break;
                }
                below = *point;
            }
            let share = if above.0 > below.0 { ((p - below.0) / (above.0 - below.0)).clamp(0.0, 1.0) } else { 1.0 };
            tail.add(below.1 * (above.1 / below.1).powf(share), weight / f64::from(steps));
        }
        tail
    }

    /// Counts one z; what is not a number is left out.
    pub fn record(&mut self, z: f64) {
        self.add(z, 1.0);
    }

    /// One wave older.
    pub fn decay(&mut self) {
        for weight in &mut self.weights {
            *weight *= DECAY;
        }
    }

    /// Adds another lead's tail.
    pub fn merge(&mut self, other: &Self) {
        for (own, theirs) in self.weights.iter_mut().zip(&other.weights) {
            if theirs.is_finite() && *theirs > 0.0 {
                *own += theirs;
            }
        }
    }

    /// Weight held.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.weights.iter().sum()
    }

    /// The tail as it stands, to be asked often.
    #[must_use]
    pub fn reading(&self) -> TailReading {
        let mut seen = 0.0;
        let mut cumulative = [0.0; TAIL_BUCKETS];
        for (sum, weight) in cumulative.iter_mut().zip(&self.weights) {
            seen += weight;
            *sum = seen;
        }
        TailReading { cumulative }
    }

    fn add(&mut self, z: f64, weight: f64) {
        if z.is_nan() || !weight.is_finite() || weight < 0.0 {
            return;
        }
        if let Some(slot) = self.weights.get_mut(bucket(z)) {
            *slot += weight;
        }
    }
}

/// A tail summed up once: a lead asks hundreds of times for each time it learns.
#[derive(Clone, Debug)]
pub struct TailReading {
    cumulative: [f64; TAIL_BUCKETS],
}

impl TailReading {
    /// z_C(p): rises with p; zero when empty.
    #[must_use]
    pub fn quantile(&self, p: f64) -> f64 {
        let total = self.weight();
        if total <= 0.0 {
            return 0.0;
        }
        // Nothing lies in a bucket whose sum is that of the one before: the first with more than nothing, and enough.
        let wanted = (p.clamp(0.0, 1.0) * total).min(total);
        let index = self.cumulative.partition_point(|sum| *sum < wanted || *sum <= 0.0);
        let before = |list: &[f64]| index.checked_sub(1).and_then(|last| list.get(last)).copied().unwrap_or(0.0);
        let (below, low) = (before(&self.cumulative), before(edges()));
        let inside = self.cumulative.get(index).copied().unwrap_or(total) - below;
        let share = if inside > 0.0 { ((wanted - below) / inside).clamp(0.0, 1.0) } else { 1.0 };
        low + (upper_edge(index) - low) * share
    }

    /// Share of samples at or below z, taken bucket by bucket (a lower bound inside z's own bucket).
    #[must_use]
    pub fn share_below(&self, z: f64) -> f64 {
        let total = self.weight();
        if total <= 0.0 || z.is_nan() {
            return 0.0;
        }
        let whole = edges().partition_point(|edge| *edge <= z);
        let below = whole.checked_sub(1).and_then(|last| self.cumulative.get(last)).copied().unwrap_or(0.0);
        (below / total).clamp(0.0, 1.0)
    }

    fn weight(&self) -> f64 {
        self.cumulative.last().copied().unwrap_or(0.0)
    }
}

fn bucket(z: f64) -> usize {
    if z <= LOWEST_Z {
        return 0;
    }
    let steps = (z / LOWEST_Z).ln() / GROWTH.ln();
    (steps.ceil().max(0.0) as usize).min(TAIL_BUCKETS.saturating_sub(1))
}

fn upper_edge(index: usize) -> f64 {
    edges().get(index).copied().unwrap_or(f64::MAX)
}

/// Upper edges of all buckets: powers are too dear for reports that ask thousands of times a second.
fn edges() -> &'static [f64; TAIL_BUCKETS] {
    static EDGES: OnceLock<[f64; TAIL_BUCKETS]> = OnceLock::new();
    EDGES.get_or_init(|| std::array::from_fn(|index| LOWEST_Z * GROWTH.powi(i32::try_from(index).unwrap_or(i32::MAX))))
}
