//! `mesh30k carbon`: who used and paid what, which intensity holds, credits and who owes them, purposes, savings, emergencies.

mod declare;
mod oracle;
mod purpose;
mod saving;
mod worker;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use mesh30k_ledger::carbon::{IntensityBasis, IntensityInForce};
use mesh30k_ledger::ops::{Operation, RetireCredits, TransferCredits};
use mesh30k_ledger::types::{AccountId, NodeId, Region, TimeMs};
use mesh30k_node::api::types::{CreditsAnswer, IntensityAnswer, OwnIntensity, Status};
use mesh30k_testnet::carbon::{self as units, CarbonBook, CarbonMass, Grouping};

use crate::exit::UsageError;
use crate::output::{json, line, or_dash, table};
use crate::session::Session;

/// Largest file of sums that is read.
const FILE_BYTES_MAX: u64 = 256 * 1_024 * 1_024;

/// Who used and paid what, which intensity holds, credits and who owes them, emergencies.
#[derive(Subcommand)]
pub(crate) enum Carbon {
    /// Who used what energy and carbon, and who paid what into which fund; checked to the unit.
    #[command(
        after_help = "Examples:\n  mesh30k carbon report\n  mesh30k carbon report --by purpose --last-hours 24\n  mesh30k \
                            carbon report --account alice --csv > carbon.csv\n  mesh30k carbon report --file day.json"
    )]
    Report(ReportArgs),
    /// Which grid intensity holds where, and from which source.
    #[command(after_help = "Examples:\n  mesh30k carbon intensity\n  mesh30k carbon intensity US --hours")]
    Intensity {
        /// One country (ISO 3166 alpha-2); without it, those with oracles or hosts.
        region: Option<Region>,
        /// What held in each hour of the ledger's last day.
        #[arg(long)]
        hours: bool,
        /// Every country of the table.
        #[arg(long, conflicts_with = "region")]
        all: bool,
    },
    /// Credits, who holds and retired them, and what oracles say.
    #[command(after_help = "Example: mesh30k carbon credits")]
    Credits,
    /// Retire credits of yours, for good: what a worker owes is set against them.
    #[command(after_help = "Example: mesh30k carbon retire 2.5g --key keys/account.key")]
    Retire {
        /// How much: a number with t, kg, g, mg or ug.
        amount: CarbonMass,
        /// The key of whose credits they are.
        #[arg(long)]
        key: String,
    },
    /// Give credits to another account.
    #[command(after_help = "Example: mesh30k carbon give 2.5g bob --key keys/account.key")]
    Give {
        /// How much: a number with t, kg, g, mg or ug.
        amount: CarbonMass,
        /// An account (ftns1...) or the name of a key.
        to: String,
        /// The key of whose credits they are.
        #[arg(long)]
        key: String,
    },
    /// A node's declared machine, and what its owner owes in retired credits.
    #[command(after_help = "Example: mesh30k carbon worker 2")]
    Worker {
        /// The node's number.
        node: NodeId,
    },
    /// Declare what your node's machine cost to make; its tasks report their share of it.
    #[command(
        after_help = "Example: mesh30k carbon hardware --embodied 350kg --hours 35064 --slots 4 --key keys/account.key"
    )]
    Hardware(worker::HardwareArgs),
    /// Where an account is: said by itself, attested by reviewers or oracles; decides on discounts, premiums and priority.
    #[command(subcommand)]
    Region(declare::RegionCommand),
    /// What share of a node's energy is renewable, on site or contracted: said by its owner, attested by others.
    #[command(subcommand)]
    Renewable(declare::RenewableCommand),
    /// Which climate emergencies are in force, what they took from whom, and which are being signalled.
    #[command(after_help = "Example: mesh30k carbon emergency")]
    Emergency,
    /// Say, as an oracle or guardian, that there is a climate emergency, or that it is over; enough words within an hour make it so.
    #[command(
        after_help = "Examples:\n  mesh30k carbon signal BD flood --hours 48 --key keys/account.key\n  mesh30k carbon signal \
                            BD --lift --key keys/account.key"
    )]
    Signal(oracle::SignalArgs),
    /// Say, as an oracle, what a grid emits; the median of at least three holds.
    #[command(after_help = "Example: mesh30k carbon report-intensity US 395.2 --key keys/account.key")]
    ReportIntensity(oracle::ReportIntensityArgs),
    /// What a task is for: declared by its requester, corrected by reviewers.
    #[command(subcommand)]
    Purpose(purpose::PurposeCommand),
    /// Savings against a registered baseline; attested ones are credited.
    #[command(subcommand)]
    Saving(saving::Saving),
}

/// What of the report is shown.
#[derive(Args)]
pub(crate) struct ReportArgs {
    /// One table, whole: by account, agent, class, country, grid, purpose, sector, method or hour.
    #[arg(long, value_name = "WHAT")]
    by: Option<Grouping>,
    /// Only what this account asked for (ftns1... or the name of a key).
    #[arg(long)]
    account: Option<String>,
    /// Only the last hours of block time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=87_600))]
    last_hours: Option<u64>,
    /// Every line as CSV.
    #[arg(long, conflicts_with = "by")]
    csv: bool,
    /// Sums that `testnet replay --out` wrote, instead of a node's.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Carbon {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Report(args) => report(session, &args),
            Self::Intensity { region, hours, all } => intensity(session, region, hours, all),
            Self::Credits => credits(session),
            Self::Retire { amount, key } => {
                let op = RetireCredits { amount_ug: amount.0 };
                session.done(&key, Operation::RetireCredits(op), "credits retired")
            }
            Self::Give { amount, to, key } => {
                let op = TransferCredits { to: session.account(&to)?, amount_ug: amount.0 };
                session.done(&key, Operation::TransferCredits(op), "credits given")
            }
            Self::Worker { node } => worker::show(session, node),
            Self::Hardware(args) => worker::declare(session, &args),
            Self::Region(command) => command.run(session),
            Self::Renewable(command) => command.run(session),
            Self::Emergency => oracle::emergencies(session),
            Self::Signal(args) => oracle::signal(session, &args),
            Self::ReportIntensity(args) => oracle::report_intensity(session, &args),
            Self::Purpose(command) => command.run(session),
            Self::Saving(command) => command.run(session),
        }
    }
}

fn report(session: &Session, args: &ReportArgs) -> Result<()> {
    let whole = match &args.file {
        Some(path) => read_book(path)?,
        None => CarbonBook::fetch(&session.client()?)?,
    };
    // The funds are checked over everything, whatever is shown.
    let failures = whole.failures();
    let account = args.account.as_deref().map(|text| find_account(session, &whole, text)).transpose()?;
    let from = args.last_hours.map(|hours| TimeMs(whole.time.0.saturating_sub(hours * 3_600_000)));
    let is_part = account.is_some() || from.is_some();
    let wanted = whole
        .report()
        .only(|key| account.is_none_or(|account| account == key.requester) && from.is_none_or(|from| key.hour >= from));
    let shown = CarbonBook { uses: wanted.rows().collect(), ..whole };
    if session.wants_json() {
        json(&shown)?;
    } else if args.csv {
        csv(&shown)?;
    } else if let Some(by) = args.by {
        units::table_by(&shown, by, usize::MAX).iter().for_each(line);
    } else if is_part {
        units::part_lines(&shown).iter().for_each(line);
    } else {
        units::lines(&shown).iter().for_each(line);
    }
    if !failures.is_empty() {
        bail!("the report does not balance: {}", failures.join("; "));
    }
    Ok(())
}

fn read_book(path: &Path) -> Result<CarbonBook> {
    let bytes = fs::metadata(path).with_context(|| format!("reading {}", path.display()))?.len();
    if bytes > FILE_BYTES_MAX {
        bail!("{} has {bytes} bytes, at most {FILE_BYTES_MAX} are read", path.display());
    }
    let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} holds no sums of `testnet replay --out`", path.display()))
}

fn find_account(session: &Session, book: &CarbonBook, text: &str) -> Result<AccountId> {
    let named = book.names.iter().find(|(_, name)| *name == text).map(|(account, _)| *account);
    named.map_or_else(|| session.account(text), Ok)
}

fn csv(book: &CarbonBook) -> Result<()> {
    let mut titles: Option<Vec<String>> = None;
    for row in &book.uses {
        let value = serde_json::to_value(row)?;
        let Some(fields) = value.as_object() else { continue };
        if titles.is_none() {
            let names: Vec<String> = fields.keys().cloned().collect();
            line(names.join(","));
            titles = Some(names);
        }
        let plain = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => String::new(),
            other => other.to_string(),
        };
        line(fields.values().map(plain).collect::<Vec<_>>().join(","));
    }
    Ok(())
}

fn intensity(session: &Session, region: Option<Region>, hours: bool, all: bool) -> Result<()> {
    let client = session.client()?;
    let query = region.map_or_else(String::new, |region| format!("?region={region}"));
    let mut answer: IntensityAnswer = client.get(&format!("/v1/carbon/intensity{query}"))?;
    if hours {
        return intensity_hours(session, region, &answer);
    }
    if region.is_none() && !all {
        let of_hosts = answer.hosts.clone();
        answer.regions.retain(|row| {
            of_hosts.contains(&row.region)
                || !matches!(row.basis, IntensityBasis::AnnualAverage)
                || row.stale_since.is_some()
        });
    }
    if session.wants_json() {
        return json(&answer);
    }
    let row = |row: &IntensityInForce| {
        let table = row.table_mg_per_kwh.map(units::intensity);
        vec![row.region.to_string(), units::intensity(row.mg_per_kwh), or_dash(table), basis(row, answer.time)]
    };
    line(format!("At {}, the time of the last block:", units::utc(answer.time)));
    line(table(&["country", "g/kWh", "table", "source"], &[1, 2], answer.regions.iter().map(row).collect()));
    line(format!("Table: {}.", answer.table_source));
    for row in answer.regions.iter().filter(|row| row.basis == IntensityBasis::Fallback) {
        line(format!(
            "WARNING: {} is a FALLBACK: no table has this country; the mean of all countries stands in.",
            row.region
        ));
    }
    answer.own.as_ref().map_or_else(
        || line("This node reads no source of its own grid (carbon.source); its receipts state the ledger's figure."),
        |own| own_lines(own).iter().for_each(line),
    );
    Ok(())
}

fn basis(row: &IntensityInForce, now: TimeMs) -> String {
    let ago = |at: TimeMs| format!("{} min ago", now.since_ms(at) / 60_000);
    let stale = row.stale_since.map(|at| format!("; oracles last agreed {}, too long to count", ago(at)));
    let source = match row.basis {
        IntensityBasis::Oracles { words, updated_at } => {
            format!("live: median of {words} oracles, {}", ago(updated_at))
        }
        IntensityBasis::AnnualAverage => "annual average".to_owned(),
        IntensityBasis::Fallback => "FALLBACK: mean of all countries".to_owned(),
    };
    source + &stale.unwrap_or_default()
}

fn own_lines(own: &OwnIntensity) -> Vec<String> {
    let head = format!("This node's own source, {} (zone {}):", own.source, own.zone);
    let figure = match (own.mg_per_kwh, &own.fallback) {
        (Some(mg), _) => {
            let estimated = if own.is_estimated { ", estimated by the source" } else { "" };
            let at = or_dash(own.measured_at.map(units::utc));
            format!("  hourly: {} g/kWh for {at}{estimated}; {} readings failed", units::intensity(mg), own.failures)
        }
        (None, why) => {
            let why = why.as_deref().unwrap_or("nothing was read");
            format!("  WARNING: FALLBACK to the ledger's figure: {why}; {} readings failed", own.failures)
        }
    };
    vec![head, figure]
}

fn intensity_hours(session: &Session, region: Option<Region>, answer: &IntensityAnswer) -> Result<()> {
    let Some(region) = region else { return Err(UsageError("name a country for --hours, such as US".into()).into()) };
    let book = CarbonBook::fetch(&session.client()?)?;
    let hour_ms = 3_600_000;
    let last = book.time.0 / hour_ms;
    let points: Vec<_> = book.intensities.iter().filter(|point| point.region == region).copied().collect();
    if session.wants_json() {
        return json(&points);
    }
    let now = answer.regions.iter().find(|row| row.region == region);
    let table = now.and_then(|row| row.table_mg_per_kwh);
    let most = points.iter().map(|point| point.mg_per_kwh).chain(table).max().unwrap_or(0);
    line(format!("{region}, hour by hour (UTC), as oracles brought it in force; g/kWh"));
    for hour in last.saturating_sub(23)..=last {
        let time = TimeMs(hour * hour_ms);
        let point = points.iter().find(|point| point.hour == time && point.words > 0);
        let (mg, source) = match (point, table) {
            (Some(point), _) => (Some(point.mg_per_kwh), format!("live, {} oracles", point.words)),
            (None, Some(mg)) => {
                (Some(mg), "nobody reported; the last median while fresh, else the annual average".to_owned())
            }
            (None, None) => (None, "FALLBACK: mean of all countries".to_owned()),
        };
        let bar = mesh30k_testnet::render::bar(mg.unwrap_or(0), most, 30);
        line(format!(" {} │{bar:<30}│ {:>6}  {source}", units::hour(time), or_dash(mg.map(units::intensity))));
    }
    Ok(())
}

fn credits(session: &Session) -> Result<()> {
    let client = session.client()?;
    let answer: CreditsAnswer = client.get("/v1/carbon/credits")?;
    if session.wants_json() {
        return json(&answer);
    }
    let totals = answer.totals;
    let sign = if totals.is_conserved() { "=" } else { "IS NOT" };
    line(format!(
        "Credits issued {} {sign} held {} + retired {} (micrograms {} / {} / {})",
        units::carbon(totals.issued_ug),
        units::carbon(totals.held_ug),
        units::carbon(totals.retired_ug),
        totals.issued_ug,
        totals.held_ug,
        totals.retired_ug
    ));
    let rows = answer.accounts.iter();
    let rows: Vec<_> = rows
        .map(|row| vec![row.account.to_string(), units::carbon(row.held_ug), units::carbon(row.retired_ug)])
        .collect();
    if !rows.is_empty() {
        line(table(&["account", "held", "retired"], &[1, 2], rows));
    }
    if answer.is_cut {
        line("There are more accounts than are shown here.");
    }
    let status: Status = client.get("/v1/status")?;
    let rows: Vec<_> = answer
        .medians
        .iter()
        .map(|row| {
            let words: Vec<String> = row.words.iter().map(|mg| units::intensity(*mg)).collect();
            let age = row.updated_at.map(|at| format!("{} min", status.final_time.since_ms(at) / 60_000));
            let state = if row.is_fresh { "counts" } else { "does not count: too few words, or stale" };
            vec![row.region.to_string(), units::intensity(row.mg_per_kwh), or_dash(age), state.into(), words.join(" ")]
        })
        .collect();
    if rows.is_empty() {
        line("No oracle has reported on any grid yet; the annual averages hold.");
    } else {
        line(table(&["country", "median g/kWh", "age", "state", "words"], &[1, 2], rows));
    }
    Ok(())
}
