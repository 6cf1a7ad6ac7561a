//! The loop that does what the books say is due, and shows how far it has come.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh30k_core::lead::RegistrySeal;
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::ops::{Anchor, Operation};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{AnchorRecord, IntensityRecord, Office};
use mesh30k_ledger::state::{StateError, StateRead};
use mesh30k_ledger::types::{AccountId, NodeId, Region, SectorId, TimeMs};
use tokio_util::sync::CancellationToken;

use super::anchors::{AnchorBook, AnchorView};
use super::intensity::{IntensityBook, Sight};
use super::row::{Duty, DutyRow, DutyState};
use crate::clock;
use crate::grid::GridHandle;
use crate::ledger::LedgerHandle;
use crate::pulse;
use crate::sectors::{SectorHandle, voters};
use crate::telemetry::Metrics;

/// The loop looks around so often: nothing it does is urgent.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What the duties are made of.
pub struct DutyParts {
    /// This node.
    pub me: NodeId,
    /// The key of its account.
    pub key: SecretKey,
    /// The ledger.
    pub ledger: LedgerHandle,
    /// The sectors it votes in.
    pub sectors: SectorHandle,
    /// The source of its grid, if it is to be reported.
    pub grid: Option<GridHandle>,
    /// Counters.
    pub metrics: Metrics,
    /// Ends the loop.
    pub stop: CancellationToken,
}

struct Books {
    anchors: AnchorBook,
    intensity: Option<IntensityBook>,
}

/// The duties of this node, to be shown. Clones are the same.
#[derive(Clone)]
pub struct DutyHandle(Arc<Mutex<Books>>);

impl DutyHandle {
    /// All of them, and how far they have come.
    #[must_use]
    pub fn rows(&self) -> Vec<DutyRow> {
        let books = self.books();
        books.anchors.rows().into_iter().chain(books.intensity.as_ref().map(IntensityBook::row)).collect()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts doing them.
#[must_use]
pub fn start(parts: DutyParts) -> DutyHandle {
    let account = KeyPolicy::single(parts.key.public()).account();
    let intensity = parts.grid.as_ref().map(|grid| IntensityBook::new(account, grid.zone()));
    let handle = DutyHandle(Arc::new(Mutex::new(Books { anchors: AnchorBook::new(parts.me), intensity })));
    tokio::spawn(Service { parts, account, handle: handle.clone(), was_unpaid: false }.run());
    handle
}

struct Service {
    parts: DutyParts,
    account: AccountId,
    handle: DutyHandle,
    was_unpaid: bool,
}

impl Service {
    async fn run(mut self) {
        let stop = self.parts.stop.clone();
        loop {
            for op in self.due(TimeMs(clock::wall_ms())) {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.bring_in(op) => {}
                }
            }
            self.tell();
            tokio::select! {
                () = stop.cancelled() => return,
                () = pulse::sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn due(&self, now: TimeMs) -> Vec<(Duty, Operation)> {
        let sealed = self.sealed(now);
        let sight = self.sight(now);
        let (ledger, key) = (&self.parts.ledger, &self.parts.key);
        let mut books = self.handle.books();
        let mut due: Vec<_> = books
            .anchors
            .due(now, &sealed, &View { ledger, key })
            .into_iter()
            .map(|anchor| (Duty::Anchor, Operation::Anchor(anchor)))
            .collect();
        if let (Some(book), Some(sight)) = (&mut books.intensity, sight) {
            let report = book.due(now, &sight, |report| ledger.can_pay(key, Operation::ReportIntensity(*report)));
            due.extend(report.map(|report| (Duty::Intensity, Operation::ReportIntensity(report))));
        }
        due
    }

    /// What the groups this node votes in sealed for the last period.
    fn sealed(&self, now: TimeMs) -> BTreeMap<SectorId, Option<RegistrySeal>> {
        let Some(period) = AnchorBook::period(now) else { return BTreeMap::new() };
        let roster = self.parts.sectors.roster();
        let seats = self.parts.sectors.seats().into_iter();
        let voting = seats.filter(|(sector, _)| voters(&roster, *sector).contains(&self.parts.me));
        voting.map(|(sector, seat)| (sector, seat.lock().state.seal(period))).collect()
    }

    /// What source and ledger say of the grid; nothing without a source.
    fn sight(&self, now: TimeMs) -> Option<Sight> {
        let grid = self.parts.grid.as_ref()?;
        let region = grid.zone().parse::<Region>().ok();
        let read = self.parts.ledger.read(|state| oracle(state, region, &self.account, now));
        let (holds_office, record, fresh_ms, words_needed) = read.map_err(|error| unreadable(&error)).ok()?;
        Some(Sight { reading: grid.reading(now), holds_office, record, fresh_ms, words_needed })
    }

    async fn bring_in(&self, (duty, op): (Duty, Operation)) {
        match self.parts.ledger.submit_own(&self.parts.key, op) {
            Ok(id) => {
                self.parts.metrics.duties.count(duty.as_str());
                tracing::info!(duty = duty.as_str(), %id, "a duty was brought before the ledger");
                self.parts.ledger.wait_own(&id).await;
            }
            Err(error) => {
                tracing::info!(duty = duty.as_str(), %error, "a duty could not be brought in now; it is tried again");
            }
        }
    }

    /// Shows how far the duties have come; says once when the money for the fee is missing.
    fn tell(&mut self) {
        let rows = self.handle.rows();
        let metrics = &self.parts.metrics.duties;
        let count = |state| rows.iter().filter(|row| row.state == state).count();
        let (unpaid, given_up) = (count(DutyState::Unpaid), count(DutyState::GivenUp));
        metrics.unpaid.set(i64::try_from(unpaid).unwrap_or(i64::MAX));
        metrics.given_up.set(i64::try_from(given_up).unwrap_or(i64::MAX));
        let disputed = self.handle.books().anchors.disagreements();
        metrics.anchors_disputed.set(i64::try_from(disputed).unwrap_or(i64::MAX));
        for duty in [Duty::Anchor, Duty::Intensity] {
            let done = rows.iter().filter(|row| row.duty == duty).filter_map(|row| row.last_done).max();
            if let Some(at) = done {
                metrics.set_done(duty.as_str(), at.0);
            }
        }
        if unpaid > 0 && !self.was_unpaid {
            let account = self.account;
            tracing::warn!(%account, unpaid, "the node's account can't pay the fee of its duties; they wait until it can");
        }
        self.was_unpaid = unpaid > 0;
    }
}

type OracleSight = (bool, Option<IntensityRecord>, u64, u64);

fn oracle(
    state: &dyn StateRead,
    region: Option<Region>,
    account: &AccountId,
    now: TimeMs,
) -> Result<OracleSight, StateError> {
    let term = query::office(state, Office::Oracle, account)?;
    let is_locked_out = query::jail(state, account)?.is_some_and(|jail| jail.is_in_force(now));
    let holds_office = term.is_some_and(|term| now < term.until) && !is_locked_out;
    let record = region.map(|region| query::reported_intensity(state, region)).transpose()?.flatten();
    let fresh_ms = query::parameter(state, Parameter::OracleFreshMs)?;
    Ok((holds_office, record, fresh_ms, query::parameter(state, Parameter::OracleReports)?))
}

fn unreadable(error: &StateError) {
    tracing::error!(%error, "the ledger can't be read");
}

/// What the ledger says of anchors, and whether `key`'s account can pay for one.
struct View<'a> {
    ledger: &'a LedgerHandle,
    key: &'a SecretKey,
}

impl AnchorView for View<'_> {
    fn words(&self, period: u64, sector: SectorId) -> Option<AnchorRecord> {
        let found = self.ledger.read(|state| query::anchor(state, period, sector));
        found.map_err(|error| unreadable(&error)).ok().flatten()
    }

    fn can_pay(&self, anchor: &Anchor) -> bool {
        self.ledger.can_pay(self.key, Operation::Anchor(*anchor))
    }
}
