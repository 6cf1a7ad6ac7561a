//! Who used and paid what, which intensity holds where, credits, emergencies.

use axum::Json;
use axum::extract::State;
use mesh30k_ledger::carbon::{self, CarbonReport};
use mesh30k_ledger::parameters::Parameter;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{Declared, EmergencyKind, EmergencySignal, RetirementRecord};
use mesh30k_ledger::state::{StateError, StateRead};
use mesh30k_ledger::types::{AccountId, Height, NodeId, Region, TimeMs};
use serde::Deserialize;
use std::collections::BTreeSet;

use super::extract::{Params, Segment};
use super::ledger::blocking;
use super::problem::ApiError;
use super::state::ApiState;
use super::types::{
    CarbonPage, CreditRow, CreditsAnswer, DeclarationsAnswer, DrawRow, EmergencyRow, IntensityAnswer, MedianRow,
    SavingsAnswer, SignalRow, WorkerAnswer,
};
use crate::ledger::LedgerHandle;

/// Blocks of one page, at most.
const PAGE_BLOCKS: u64 = 500;
/// Lines after which a page ends with the block that made them.
const PAGE_LINES: usize = 4_000;
/// Accounts listed with their credits, at most.
const CREDIT_ROWS: usize = 1_000;
/// Savings listed, at most.
const SAVING_ROWS: usize = 500;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct From {
    from: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Where {
    region: Option<Region>,
}

/// The sums of the blocks from `from` on, as many as fit a page.
pub(super) async fn report(
    State(state): State<ApiState>,
    Params(from): Params<From>,
) -> Result<Json<CarbonPage>, ApiError> {
    let ledger = state.ledger().clone();
    let from = Height(from.from.unwrap_or(1).max(1));
    Ok(Json(blocking(move || page(&ledger, from)).await?.map_err(|error| ApiError::internal(&error))?))
}

fn page(ledger: &LedgerHandle, from: Height) -> Result<CarbonPage, StateError> {
    ledger.read(|state| {
        let tip = query::tip(state)?;
        let (mut sums, mut next, mut missing_blocks) = (CarbonReport::default(), from, 0);
        while next <= tip.height && next.0.saturating_sub(from.0) < PAGE_BLOCKS && sums.len() < PAGE_LINES {
            let stored = ledger.store().block(next).map_err(|error| StateError::Storage(error.to_string()))?;
            match stored {
                Some(stored) => sums.add_block(state, &stored.block, &stored.outcomes, &stored.due)?,
                None => missing_blocks += 1,
            }
            next = next.next();
        }
        Ok(CarbonPage {
            from,
            next,
            tip: tip.height,
            time: tip.time,
            missing_blocks,
            uses: sums.rows().collect(),
            intensities: sums.points().collect(),
            opening: ledger.genesis().pools,
            totals: query::totals(state)?,
        })
    })
}

/// What holds in one region, or in every region anything is known of.
pub(super) async fn intensity(
    State(state): State<ApiState>,
    Params(which): Params<Where>,
) -> Result<Json<IntensityAnswer>, ApiError> {
    let ledger = state.ledger().clone();
    let own = state.own_intensity();
    let answer = blocking(move || {
        ledger.read(|state| {
            let table = query::regions(state)?;
            let hosts: BTreeSet<Region> = query::nodes(state)?.iter().map(|node| node.region).collect();
            let known = || -> Result<BTreeSet<Region>, StateError> {
                let mut known: BTreeSet<Region> = table.intensities_mg_per_kwh.keys().copied().collect();
                known.extend(carbon::reported_regions(state)?);
                known.extend(&hosts);
                Ok(known)
            };
            let wanted = which.region.map_or_else(known, |region| Ok(BTreeSet::from([region])))?;
            let regions =
                wanted.into_iter().map(|region| carbon::intensity(state, region)).collect::<Result<_, _>>()?;
            let source = table.sources.iter().find(|source| source.table == "intensities_mg_per_kwh");
            let table_source = source.map_or_else(|| "no source is named".to_owned(), |source| source.source.clone());
            let (time, hosts) = (query::tip(state)?.time, hosts.into_iter().collect());
            Ok::<_, StateError>(IntensityAnswer { time, regions, hosts, table_source, own })
        })
    });
    Ok(Json(answer.await?.map_err(|error| ApiError::internal(&error))?))
}

pub(super) async fn credits(State(state): State<ApiState>) -> Result<Json<CreditsAnswer>, ApiError> {
    let ledger = state.ledger().clone();
    let answer = blocking(move || {
        ledger.read(|state| {
            let mut accounts = carbon::credit_accounts(state, CREDIT_ROWS + 1)?;
            let is_cut = accounts.len() > CREDIT_ROWS;
            accounts.truncate(CREDIT_ROWS);
            let row = |(account, record): (_, mesh30k_ledger::records::CreditRecord)| CreditRow {
                account,
                held_ug: record.held_ug,
                retired_ug: record.retired_ug,
            };
            Ok::<_, StateError>(CreditsAnswer {
                totals: query::credit_totals(state)?,
                accounts: accounts.into_iter().map(row).collect(),
                is_cut,
                medians: medians(state)?,
            })
        })
    });
    Ok(Json(answer.await?.map_err(|error| ApiError::internal(&error))?))
}

fn medians(state: &dyn StateRead) -> Result<Vec<MedianRow>, StateError> {
    let (now, fresh_ms) = (query::tip(state)?.time, query::parameter(state, Parameter::OracleFreshMs)?);
    let mut rows = Vec::new();
    for region in carbon::reported_regions(state)? {
        let Some(record) = query::reported_intensity(state, region)? else { continue };
        rows.push(MedianRow {
            region,
            mg_per_kwh: record.mg_per_kwh,
            updated_at: record.updated_at,
            is_fresh: record.is_fresh(now, fresh_ms),
            words: record.reports.values().map(|word| word.mg_per_kwh).collect(),
        });
    }
    Ok(rows)
}

/// A node's machine, and what its owner owes in retired credits.
pub(super) async fn worker(
    State(state): State<ApiState>,
    Segment(node): Segment<NodeId>,
) -> Result<Json<WorkerAnswer>, ApiError> {
    let read = state.ledger().read(|state| worker_of(state, node));
    let found = read.map_err(|error| ApiError::internal(&error))?;
    found.map(Json).ok_or_else(|| ApiError::not_found(format!("node {node} is not on the ledger")))
}

fn worker_of(state: &dyn StateRead, node: NodeId) -> Result<Option<WorkerAnswer>, StateError> {
    let Some(record) = query::node(state, node)? else { return Ok(None) };
    let period_ms = query::parameter(state, Parameter::RetirementPeriodMs)?;
    let period = RetirementRecord::period_of(query::tip(state)?.time, period_ms);
    let credits = query::credits(state, &record.account)?.unwrap_or_default();
    let duty = query::retirement(state, &record.account)?.unwrap_or_default();
    Ok(Some(WorkerAnswer {
        node,
        account: record.account,
        region: record.region,
        renewable_ppm: record.renewable_ppm,
        target_ppm: query::parameter(state, Parameter::RetirementTargetPpm)?,
        hardware: query::hardware(state, node)?,
        duty: duty.at(period, credits.retired_ug),
        period_ends: TimeMs(period.saturating_add(1).saturating_mul(period_ms)),
        uftns_per_g: query::parameter(state, Parameter::CarbonPrice)?,
        held_ug: credits.held_ug,
        retired_ug: credits.retired_ug,
    }))
}

/// What an account said of itself, and what of it counts.
pub(super) async fn declarations(
    State(state): State<ApiState>,
    Segment(account): Segment<AccountId>,
) -> Result<Json<DeclarationsAnswer>, ApiError> {
    let read = state.ledger().read(|state| declarations_of(state, account));
    Ok(Json(read.map_err(|error| ApiError::internal(&error))?))
}

fn declarations_of(state: &dyn StateRead, account: AccountId) -> Result<DeclarationsAnswer, StateError> {
    let record = query::account(state, &account)?.unwrap_or_default();
    let region = record.attested_region();
    let sorts = record.region.map(Declared::Region).into_iter().chain([Declared::RenewablePpm(0)]);
    let regions = query::regions(state)?;
    let node = query::node_of_account(state, &account)?;
    let host = node.map_or(Ok(None), |node| query::node(state, node))?;
    let mut waiting = Vec::new();
    // One of each sort; what share is asked for does not matter.
    for sort in sorts {
        waiting.extend(query::declaration(state, &account, &sort)?);
    }
    Ok(DeclarationsAnswer {
        account,
        region,
        has_access: region.is_some_and(|region| regions.access_list.contains(&region)),
        node,
        renewable_ppm: host.map(|host| host.renewable_ppm),
        waiting,
        needed: query::parameter(state, Parameter::CreditReviewers)?,
    })
}

pub(super) async fn emergencies(State(state): State<ApiState>) -> Result<Json<Vec<EmergencyRow>>, ApiError> {
    let rows = state.ledger().read(|state| {
        let (now, needed) = (query::tip(state)?.time, query::parameter(state, Parameter::EmergencySignals)?);
        let taken = query::quota_draws_by_task(state)?;
        let rows = carbon::emergencies(state)?.into_iter().flat_map(|(region, record)| {
            let draws: Vec<DrawRow> = taken
                .iter()
                .filter(|(_, draw)| draw.region == region)
                .map(|(escrow, draw)| DrawRow { escrow: *escrow, draw: draw.clone() })
                .collect();
            record.0.into_iter().map(move |(kind, said)| EmergencyRow {
                region,
                kind,
                until: said.in_force_until(now),
                signals: said.signals.len() as u64,
                waiting: waiting(&said),
                draws: draws.clone(),
                needed,
            })
        });
        Ok::<_, StateError>(rows.collect())
    });
    Ok(Json(rows.map_err(|error| ApiError::internal(&error))?))
}

fn waiting(record: &EmergencyKind) -> Vec<SignalRow> {
    let row = |(account, signal): (&AccountId, &EmergencySignal)| SignalRow {
        account: *account,
        until: signal.until,
        at: signal.at,
    };
    record.signals.iter().map(row).collect()
}

/// Savings that were claimed, attested or not.
pub(super) async fn savings(State(state): State<ApiState>) -> Result<Json<SavingsAnswer>, ApiError> {
    let ledger = state.ledger().clone();
    let answer = blocking(move || {
        ledger.read(|state| {
            let found = query::savings(state, SAVING_ROWS)?;
            let savings = found.rows.into_iter().map(|(_, record)| record).collect();
            let needed = query::parameter(state, Parameter::CreditReviewers)?;
            Ok::<_, StateError>(SavingsAnswer { needed, savings, is_cut: found.is_cut })
        })
    });
    Ok(Json(answer.await?.map_err(|error| ApiError::internal(&error))?))
}
