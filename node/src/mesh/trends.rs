//! The pasts of the agents in the sectors this node votes in, followed by a thin loop.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh30k_core::registry::{History, Resolution, Trends, minute_of};
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::types::{AgentId, SectorId};
use tokio_util::sync::CancellationToken;

use crate::api::types::{HistoryAnswer, PeriodRow};
use crate::pulse;
use crate::sectors::{SectorHandle, voted_by};

/// How often the registry is looked at; a minute is the finest period.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// What was recorded so far. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct SharedTrends(Arc<Mutex<Trends>>);

impl SharedTrends {
    fn lock(&self) -> MutexGuard<'_, Trends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn agent(&self, agent: AgentId, resolution: Resolution, now: TimeUs) -> Option<HistoryAnswer> {
        self.lock().agent(agent).map(|history| answer(history, resolution, now))
    }

    pub(super) fn sector(&self, sector: SectorId, resolution: Resolution, now: TimeUs) -> Option<HistoryAnswer> {
        self.lock().sector(sector).map(|history| answer(history, resolution, now))
    }

    fn look(&self, sectors: &SectorHandle, now: TimeUs) {
        let voted: Vec<SectorId> = voted_by(&sectors.roster(), sectors.me()).collect();
        let mut trends = self.lock();
        trends.retain(|sector| voted.contains(&sector));
        for sector in voted {
            trends.record(now, &sectors.view(sector));
        }
    }
}

fn answer(history: &History, resolution: Resolution, now: TimeUs) -> HistoryAnswer {
    let minute = minute_of(now);
    let trend = history.trend(minute);
    let row = |period: mesh30k_core::registry::Period| PeriodRow {
        at_ms: u64::from(period.minute).saturating_mul(60_000),
        mean_us: period.mean_us,
        worst_us: period.worst_us,
    };
    HistoryAnswer {
        now_us: trend.now_us,
        hour_us: trend.hour_us,
        day_us: trend.day_us,
        week_us: trend.week_us,
        change_ppm: trend.change_ppm(),
        periods: history.periods(resolution, minute).into_iter().map(row).collect(),
    }
}

/// Looks at the registry again and again until stopped.
pub(super) async fn run(trends: SharedTrends, sectors: SectorHandle, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = pulse::sleep(LOOK_EVERY) => {}
        }
        trends.look(&sectors, sectors.now());
    }
}
