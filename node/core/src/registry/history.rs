//! What became of an impedance over an hour, a day and a week, at falling resolution and fixed size.

use super::sketch::{bucket_of, middle_of};
use borsh::{BorshDeserialize, BorshSerialize};

/// Length of the shortest period, in microseconds: a minute.
pub const HISTORY_STEP_US: i64 = 60_000_000;
/// Minutes kept: the last hour.
const MINUTES: usize = 60;
/// Minutes of a period of the last day, and how many of these are kept.
const DAY_STEP: u32 = 30;
const DAY_PERIODS: usize = 48;
/// Minutes of a period of the last week, and how many of these are kept.
const WEEK_STEP: u32 = 180;
const WEEK_PERIODS: usize = 56;
/// A level that says: nothing was reported in this period.
const ABSENT: u16 = u16::MAX;

/// Bytes of one history in memory, however long it runs.
pub const HISTORY_BYTES: usize = size_of::<History>();
const _: () = assert!(HISTORY_BYTES <= 728);

/// How fine the periods are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Minutes of the last hour.
    Hour,
    /// Half hours of the last day.
    Day,
    /// Three-hour periods of the last week.
    Week,
}

/// A period in which something was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first minute, counted from the epoch of mesh time.
    pub minute: u32,
    /// Mean of what was reported in it, within [`super::SKETCH_RELATIVE_ERROR_PPM`].
    pub mean_us: u64,
    /// The highest value reported in it, with the same error.
    pub worst_us: u64,
}

/// How the present stands against the past; each nothing where nothing was reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trend {
    /// Mean of the last five minutes.
    pub now_us: Option<u64>,
    /// Mean of the last hour.
    pub hour_us: Option<u64>,
    /// Mean of the last day.
    pub day_us: Option<u64>,
    /// Mean of the last week.
    pub week_us: Option<u64>,
}

impl Trend {
    /// How much higher (positive: slower) the last five minutes are than the last day, in ppm of the day.
    #[must_use]
    pub fn change_ppm(&self) -> Option<i64> {
        let (now, day) = (i128::from(self.now_us?), i128::from(self.day_us?));
        let change = now.saturating_sub(day).saturating_mul(1_000_000).checked_div(day)?;
        i64::try_from(change).ok()
    }
}

/// Mean and worst value of one period, each as a logarithmic level of two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Sample {
    mean: u16,
    worst: u16,
}

const NOTHING: Sample = Sample { mean: ABSENT, worst: ABSENT };

/// The last `N` periods of one resolution: that of index `i` (time over length) is at `i mod N`.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Ring<const N: usize> {
    samples: [Sample; N],
    /// The period under way.
    open: Open,
}

/// A period under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Open {
    index: u32,
    count: u32,
    sum_us: u64,
    worst_us: u64,
}

/// The past of one impedance: of an agent, or median and p95 of a sector.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct History {
    hour: Ring<MINUTES>,
    day: Ring<DAY_PERIODS>,
    week: Ring<WEEK_PERIODS>,
}

impl Default for History {
    fn default() -> Self {
        Self { hour: Ring::new(), day: Ring::new(), week: Ring::new() }
    }
}

impl History {
    /// Nothing happened yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what was reported in `minute` (mesh time over [`HISTORY_STEP_US`]): a value, or a middle and a high one.
    /// What is older than the minute of the last call changes nothing; false then.
    pub fn record(&mut self, minute: u32, mean_us: u64, worst_us: u64) -> bool {
        if minute < self.hour.open.index {
            return false;
        }
        self.hour.record(minute, mean_us, worst_us);
        self.day.record(minute / DAY_STEP, mean_us, worst_us);
        self.week.record(minute / WEEK_STEP, mean_us, worst_us);
        true
    }

    /// The periods in which something was reported, the oldest first. Periods too old by `minute` are left out.
    #[must_use]
    pub fn periods(&self, resolution: Resolution, minute: u32) -> Vec<Period> {
        match resolution {
            Resolution::Hour => self.hour.periods(minute, 1),
            Resolution::Day => self.day.periods(minute, DAY_STEP),
            Resolution::Week => self.week.periods(minute, WEEK_STEP),
        }
    }

    /// The present against the past, as of `minute`.
    #[must_use]
    pub fn trend(&self, minute: u32) -> Trend {
        let hour = self.periods(Resolution::Hour, minute);
        let latest: Vec<Period> =
            hour.iter().filter(|period| period.minute.saturating_add(5) > minute).copied().collect();
        Trend {
            now_us: mean(&latest),
            hour_us: mean(&hour),
            day_us: mean(&self.periods(Resolution::Day, minute)),
            week_us: mean(&self.periods(Resolution::Week, minute)),
        }
    }
}

fn mean(periods: &[Period]) -> Option<u64> {
    let sum = periods.iter().fold(0_u128, |sum, period| sum.saturating_add(u128::from(period.mean_us)));
    sum.checked_div(periods.len() as u128).and_then(|mean| u64::try_from(mean).ok())
}

impl<const N: usize> Ring<N> {
    fn new() -> Self {
        Self { samples: [NOTHING; N], open: Open::default() }
    }

    fn record(&mut self, index: u32, mean_us: u64, worst_us: u64) {
        if index != self.open.index {
            self.close(index);
        }
        let open = &mut self.open;
        open.count = open.count.saturating_add(1);
        open.sum_us = open.sum_us.saturating_add(mean_us);
        open.worst_us = open.worst_us.max(worst_us);
    }

    /// Ends the period under way and clears those that passed in silence before `next`.
    fn close(&mut self, next: u32) {
        let sample = self.open.sample();
        self.put(self.open.index, sample);
        let silent = next.saturating_sub(self.open.index).saturating_sub(1).min(u32::try_from(N).unwrap_or(u32::MAX));
        (1..=silent).for_each(|back| self.put(next.saturating_sub(back), NOTHING));
        self.open = Open { index: next, ..Open::default() };
    }

    fn put(&mut self, index: u32, sample: Sample) {
        let place = (index as usize).checked_rem(N).unwrap_or(0);
        self.samples.get_mut(place).into_iter().for_each(|slot| *slot = sample);
    }

    fn periods(&self, minute: u32, step: u32) -> Vec<Period> {
        let count = u32::try_from(N).unwrap_or(u32::MAX);
        let last = self.open.index;
        let newest = minute.checked_div(step).unwrap_or(0);
        let first = newest.saturating_add(1).saturating_sub(count).max(last.saturating_add(1).saturating_sub(count));
        let closed = (first..last).map(|index| {
            let place = (index as usize).checked_rem(N).unwrap_or(0);
            (index, self.samples.get(place).copied().unwrap_or(NOTHING))
        });
        let open = (last >= first).then_some((last, self.open.sample()));
        let present = closed.chain(open).filter(|(_, sample)| *sample != NOTHING);
        present
            .map(|(index, sample)| Period {
                minute: index.saturating_mul(step),
                mean_us: middle_of(sample.mean),
                worst_us: middle_of(sample.worst),
            })
            .collect()
    }
}

impl Open {
    fn sample(&self) -> Sample {
        match self.sum_us.checked_div(u64::from(self.count)) {
            Some(mean_us) => Sample { mean: bucket_of(mean_us), worst: bucket_of(self.worst_us) },
            None => NOTHING,
        }
    }
}
