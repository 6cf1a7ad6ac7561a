//! The report as text.

use std::str::FromStr;

use mesh30k_ledger::carbon::{FundCheck, Use, UseKey};
use mesh30k_ledger::ops::EnergyMethod;
use mesh30k_ledger::types::TimeMs;

use super::book::CarbonBook;
use super::units::{carbon, energy, ftns, hour, intensity, utc};
use crate::render::{bar, grouped, percent, table, wrap};

/// Columns of text, at most.
const COLUMNS: usize = 100;
/// Columns of a bar.
const BAR_COLUMNS: usize = 40;
/// Hours that are drawn, at most: the last ones.
const HOURS: usize = 24;
/// Accounts and agents listed unless one asks for them.
const TOP: usize = 8;

/// What lines are summed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Who asks.
    Account,
    /// Who works.
    Agent,
    /// Class of agents.
    Class,
    /// Country of who asks.
    Country,
    /// Country of the electricity.
    Grid,
    /// What for.
    Purpose,
    /// Sector of agents.
    Sector,
    /// How the energy was measured.
    Method,
    /// Hour.
    Hour,
}

impl Grouping {
    const ALL: [(Self, &str); 9] = [
        (Self::Account, "account"),
        (Self::Agent, "agent"),
        (Self::Class, "class"),
        (Self::Country, "country"),
        (Self::Grid, "grid"),
        (Self::Purpose, "purpose"),
        (Self::Sector, "sector"),
        (Self::Method, "method"),
        (Self::Hour, "hour"),
    ];

    fn heading(self) -> &'static str {
        Self::ALL.iter().find(|(grouping, _)| *grouping == self).map_or("", |(_, name)| name)
    }

    fn label(self, book: &CarbonBook, key: &UseKey) -> String {
        match self {
            Self::Account => book.name(&key.requester),
            Self::Agent => format!("agent {} ({}, node {}, {})", key.agent, key.class, key.host, key.host_region),
            Self::Class => key.class.to_string(),
            Self::Country => key.requester_region.map_or_else(|| "not said".to_owned(), |region| region.to_string()),
            Self::Grid => key.host_region.to_string(),
            Self::Purpose => key.purpose.to_string(),
            Self::Sector => format!("sector {}", key.sector),
            Self::Method => method(key.method).to_owned(),
            Self::Hour => utc(key.hour),
        }
    }
}

impl FromStr for Grouping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
        let found = Self::ALL.iter().find(|(_, name)| *name == text).map(|(grouping, _)| *grouping);
        found.ok_or_else(|| format!("`{text}` is not one of {}", names()))
    }
}

const fn method(method: EnergyMethod) -> &'static str {
    match method {
        EnergyMethod::Rapl => "processor's counter (RAPL)",
        EnergyMethod::Fuel => "metered fuel, calibrated",
        EnergyMethod::ClassDefault => "default power of the class",
    }
}

/// One table: sums by `grouping`, the largest footprint first (hours in order), at most `limit` lines.
#[must_use]
pub fn table_by(book: &CarbonBook, grouping: Grouping, limit: usize) -> Vec<String> {
    let mut sums: Vec<(String, Use)> = book.report().by(|key| grouping.label(book, key)).into_iter().collect();
    if grouping != Grouping::Hour {
        sums.sort_by(|(a, one), (b, two)| two.carbon_ug.cmp(&one.carbon_ug).then(a.cmp(b)));
    }
    let all = sums.len();
    let rows = sums.into_iter().take(limit).map(|(label, sum)| row(label, &sum)).collect();
    let headings =
        [grouping.heading(), "parts", "energy", "CO2e", "SCI", "carbon", "premium", "discount", "green", "paid"];
    let mut lines = table(&headings, &[1, 2, 3, 4, 5, 6, 7, 8, 9], rows);
    if all > limit {
        lines.push(format!(" and {} more; see --by {}", all - limit, grouping.heading()));
    }
    lines
}

fn row(label: String, sum: &Use) -> Vec<String> {
    vec![
        label,
        grouped(sum.parts),
        energy(sum.energy_mj),
        carbon(sum.carbon_ug),
        sum.sci_ug_per_part().map_or_else(|| "-".to_owned(), carbon),
        ftns(sum.carbon_uftns),
        ftns(sum.premium_uftns),
        ftns(sum.discount_uftns),
        ftns(sum.green_uftns),
        ftns(sum.total_uftns),
    ]
}

/// The whole report, with the funds.
#[must_use]
pub fn lines(book: &CarbonBook) -> Vec<String> {
    let mut lines = part_lines(book);
    section(&mut lines, "The two funds, to the uFTNS", funds(book));
    let failures = book.failures();
    if failures.is_empty() {
        lines.push("Balances to the unit: both funds, every price, the whole supply.".to_owned());
    }
    lines.extend(failures.into_iter().map(|failure| format!("DOES NOT BALANCE: {failure}")));
    lines
}

fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// The report of some accounts or hours; the funds of all make no sense beside it.
#[must_use]
pub fn part_lines(book: &CarbonBook) -> Vec<String> {
    let report = book.report();
    let total = report.total();
    let mut lines = Vec::new();
    let (agents, requesters) = (report.by(|key| key.agent).len(), report.by(|key| key.requester).len());
    lines.extend(wrap(
        &format!(
            "Up to block {} ({}): {} of tasks by {} for {}. Energy {}, footprint {} CO2e, paid {} FTNS.",
            book.height,
            utc(book.time),
            counted(total.parts, "part"),
            counted(agents as u64, "agent"),
            counted(requesters as u64, "account"),
            energy(total.energy_mj),
            carbon(total.carbon_ug),
            ftns(total.total_uftns)
        ),
        "",
        COLUMNS,
    ));
    if total.avoided_ug > 0 {
        lines.push(format!("On-site and contracted renewable energy avoided {} CO2e.", carbon(total.avoided_ug)));
    }
    if report.is_empty() {
        lines.push("Nothing was paid yet; `mesh30k task run` has something done.".to_owned());
    } else {
        section(&mut lines, "Hour by hour: footprint, energy, mean grid intensity", hours(book));
        section(&mut lines, "Who asked, by country (amounts in FTNS)", table_by(book, Grouping::Country, usize::MAX));
        section(&mut lines, "Accounts", table_by(book, Grouping::Account, TOP));
        section(&mut lines, "What for", table_by(book, Grouping::Purpose, usize::MAX));
        section(&mut lines, "Whose electricity", table_by(book, Grouping::Grid, usize::MAX));
        section(&mut lines, "Classes of agents", table_by(book, Grouping::Class, usize::MAX));
        section(&mut lines, "Agents", table_by(book, Grouping::Agent, TOP));
        section(
            &mut lines,
            "How the energy was measured, by the receipts",
            table_by(book, Grouping::Method, usize::MAX),
        );
        let sci = total.sci_ug_per_part().map_or_else(|| "-".to_owned(), carbon);
        let text = format!(
            "SCI = (E x I + M) per R, R = one part: {sci} CO2e. E x I is location based; M is left out, for no host declares \
             what its hardware cost to make, so this is a lower bound."
        );
        lines.push(String::new());
        lines.extend(wrap(&text, "", COLUMNS));
    }
    lines
}

fn section(lines: &mut Vec<String>, title: &str, content: Vec<String>) {
    lines.push(String::new());
    lines.push(title.to_owned());
    lines.extend(content);
}

fn hours(book: &CarbonBook) -> Vec<String> {
    let by: Vec<(TimeMs, Use)> = book.report().by(|key| key.hour).into_iter().collect();
    let shown = by.get(by.len().saturating_sub(HOURS)..).unwrap_or_default();
    let most = shown.iter().map(|(_, sum)| sum.carbon_ug).max().unwrap_or(0);
    let line = |(time, sum): &(TimeMs, Use)| {
        format!(
            " {} │{:<width$}│ {:>9} {:>10} {:>6} g/kWh",
            hour(*time),
            bar(sum.carbon_ug, most, BAR_COLUMNS),
            carbon(sum.carbon_ug),
            energy(sum.energy_mj),
            sum.mean_mg_per_kwh().map_or_else(|| "-".to_owned(), intensity),
            width = BAR_COLUMNS
        )
    };
    shown.iter().map(line).collect()
}

fn funds(book: &CarbonBook) -> Vec<String> {
    let (pool, access) = book.funds();
    let row = |name: &str, from: &str, to: &str, fund: FundCheck| {
        let FundCheck { opening_uftns, in_uftns, out_uftns, held_uftns } = fund;
        let sign = if fund.balances() { "=" } else { "IS NOT" };
        vec![
            format!(
                " {name}: {} + {} ({from}) - {} ({to}) {sign} {}",
                grouped(opening_uftns),
                grouped(in_uftns),
                grouped(out_uftns),
                grouped(held_uftns)
            ),
            format!("   in  {}", bar(in_uftns, in_uftns.max(out_uftns), BAR_COLUMNS)),
            format!(
                "   out {} {} of what came in",
                bar(out_uftns, in_uftns.max(out_uftns), BAR_COLUMNS),
                percent(out_uftns, in_uftns)
            ),
        ]
    };
    let mut lines = row("carbon pool", "carbon charges, credits owed", "green discounts", pool);
    lines.extend(row("access fund", "premiums", "access discounts", access));
    let total = book.report().total();
    if total.unfunded_uftns > 0 {
        lines.push(format!(" Discounts the funds could not pay: {} uFTNS.", grouped(total.unfunded_uftns)));
    }
    if total.uncovered_uftns > 0 {
        lines.push(format!(" Charges no reserve covered: {} uFTNS.", grouped(total.uncovered_uftns)));
    }
    lines
}
