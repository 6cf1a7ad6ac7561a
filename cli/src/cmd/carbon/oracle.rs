//! `mesh30k carbon signal | report-intensity | emergency`: what oracles and guardians say, and what follows from it.

use anyhow::Result;
use clap::Args;
use mesh30k_ledger::ops::{MAX_EMERGENCY_MS, MAX_INTENSITY_MG_PER_KWH, Operation, ReportIntensity, SignalEmergency};
use mesh30k_ledger::types::{Region, decimal};
use mesh30k_node::api::types::{DrawRow, EmergencyRow, SignalRow, Status};
use mesh30k_testnet::carbon as units;

use crate::exit::UsageError;
use crate::output::{from_now, json, line, or_dash};
use crate::session::{FINAL_TIMEOUT, Names, Session};

/// What is said of the kind of an emergency nobody named when it is lifted.
const UNNAMED: &str = "unnamed";

/// One word that there is an emergency, or that it is over.
#[derive(Args)]
pub(crate) struct SignalArgs {
    /// Where (ISO 3166 alpha-2).
    region: Region,
    /// Such as flood or heat, at most 64 bytes; words on different kinds do not count together. When it is over: the only one, if there is one.
    #[arg(required_unless_present = "lift")]
    kind: Option<String>,
    /// How long it should last, a week at most.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=MAX_EMERGENCY_MS / 3_600_000))]
    hours: u64,
    /// Say that it is over instead.
    #[arg(long, conflicts_with = "hours")]
    lift: bool,
    /// The key of an oracle or guardian.
    #[arg(long)]
    key: String,
}

/// Signals, and says how many more it takes.
pub(super) fn signal(session: &Session, args: &SignalArgs) -> Result<()> {
    let client = session.client()?;
    let now = client.get::<Status>("/v1/status")?.final_time;
    let of_region = || -> Result<Vec<EmergencyRow>> {
        let rows: Vec<EmergencyRow> = client.get("/v1/carbon/emergencies")?;
        Ok(rows.into_iter().filter(|row| row.region == args.region).collect())
    };
    let kind = match &args.kind {
        Some(kind) => kind.clone(),
        None => only_kind(args.region, of_region()?)?,
    };
    let until = (!args.lift).then(|| now.plus_ms(args.hours.saturating_mul(3_600_000)));
    let op = SignalEmergency { region: args.region, kind: kind.clone(), until };
    let row = session.wallet(&args.key)?.execute(Operation::SignalEmergency(op), FINAL_TIMEOUT)?;
    if session.wants_json() {
        return json(&row);
    }
    let word = if args.lift { "that it is over" } else { "an emergency" };
    line(format!("signalled {word} in {}: final in block {}", args.region, or_dash(row.height)));
    match of_region()?.into_iter().find(|row| row.kind == kind) {
        Some(row) if !row.waiting.is_empty() => {
            let alike = row.waiting.iter().filter(|signal| signal.until.is_some() != args.lift).count();
            line(format!("  {alike} of {} signals alike; the others must come within the hour", row.needed));
        }
        Some(row) => match row.until {
            Some(until) => line(format!("  in force until {}", units::utc(until))),
            None => line("  none is in force"),
        },
        None => line("  none is in force"),
    }
    Ok(())
}

/// The kind that is meant where none is named: the only one that is signalled or in force.
fn only_kind(region: Region, rows: Vec<EmergencyRow>) -> Result<String> {
    let kinds: Vec<String> = rows.into_iter().map(|row| row.kind).collect();
    match kinds.as_slice() {
        [] => Ok(UNNAMED.to_owned()),
        [one] => Ok(one.clone()),
        several => {
            Err(UsageError(format!("several kinds are signalled in {region}, name one: {}", several.join(", "))).into())
        }
    }
}

/// One oracle's word on a grid.
#[derive(Args)]
pub(crate) struct ReportIntensityArgs {
    /// Where (ISO 3166 alpha-2).
    region: Region,
    /// Grams of CO2e a kilowatt-hour, with at most three decimals.
    g_per_kwh: String,
    /// The oracle's key.
    #[arg(long)]
    key: String,
}

pub(super) fn report_intensity(session: &Session, args: &ReportIntensityArgs) -> Result<()> {
    let mg_per_kwh =
        decimal(&args.g_per_kwh, 3).ok().filter(|mg| *mg <= MAX_INTENSITY_MG_PER_KWH).ok_or_else(|| {
            let most = MAX_INTENSITY_MG_PER_KWH / 1_000;
            UsageError(format!(
                "`{}` is no number of grams a kilowatt-hour, 0 to {most}, to a thousandth",
                args.g_per_kwh
            ))
        })?;
    session.told(&args.key, Operation::ReportIntensity(ReportIntensity { region: args.region, mg_per_kwh }))
}

/// Which emergencies are in force, what they took from whom, and what is being signalled.
pub(super) fn emergencies(session: &Session) -> Result<()> {
    let client = session.client()?;
    let rows: Vec<EmergencyRow> = client.get("/v1/carbon/emergencies")?;
    if session.wants_json() {
        return json(&rows);
    }
    let now = client.get::<Status>("/v1/status")?.final_time;
    if rows.iter().all(|row| row.until.is_none()) {
        line("No climate emergency is in force.");
    }
    let names = session.names();
    for row in rows {
        match row.until {
            Some(until) => line(format!(
                "{}: {} in force until {} ({}); disaster response there goes first, five times over",
                row.region,
                row.kind,
                units::utc(until),
                from_now(now, until)
            )),
            None => line(format!("{}: not in force; {} of {} signals", row.region, row.signals, row.needed)),
        }
        for SignalRow { account, until, at } in &row.waiting {
            let word = until.map_or_else(|| "over".to_owned(), |until| format!("until {}", units::utc(until)));
            line(format!("  {} said {word}, {}", names.of(account), from_now(now, *at)));
        }
        row.draws.iter().flat_map(|draw| draw_lines(draw, &names)).for_each(line);
    }
    Ok(())
}

fn draw_lines(DrawRow { escrow, draw }: &DrawRow, names: &Names) -> Vec<String> {
    let head = format!("  {} units of quota lent to task {escrow} of {}", draw.units(), names.of(&draw.opener));
    let taken = draw.taken.iter();
    let taken =
        taken.map(|taken| format!("    {} from task {} of {}", taken.units, taken.escrow, names.of(&taken.owner)));
    std::iter::once(head).chain(taken).collect()
}
