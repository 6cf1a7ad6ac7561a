//! `mesh30k ledger send --at` and `mesh30k ledger schedule`: payments to come.

use anyhow::Result;
use clap::{Args, Subcommand};
use mesh30k_ledger::ops::{MAX_SCHEDULED, Operation, Schedule as ScheduleOperation, Unschedule};
use mesh30k_ledger::types::{AccountId, Hash, Uftns};
use mesh30k_node::api::types::{ScheduleRow, SchedulesPage};
use mesh30k_testnet::carbon::utc;

use crate::exit::UsageError;
use crate::output::{json, line, or_dash, table};
use crate::session::{FINAL_TIMEOUT, Session};
use crate::when::{Span, When};

/// Pages of schedules that are fetched, at most.
const PAGES_MAX: usize = 20;

/// Payments to come.
#[derive(Subcommand)]
pub(crate) enum Schedule {
    /// All payments to come, or what one account pays and is paid.
    #[command(after_help = "Examples:\n  mesh30k ledger schedule list\n  mesh30k ledger schedule list alice")]
    List {
        /// An account (ftns1...) or the name of a key.
        account: Option<String>,
    },
    /// Call off payments of yours that are still to come; what was set aside for them comes back.
    #[command(after_help = "Example: mesh30k ledger schedule cancel \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --key alice")]
    Cancel {
        /// Name of the schedule.
        schedule: Hash,
        /// The key that pays.
        #[arg(long)]
        key: String,
    },
}

/// When it is paid, if not at once.
#[derive(Args)]
pub(crate) struct Timing {
    /// Not before then: 2026-12-01T08:00Z (UTC), or +36h. The money is set aside at once.
    #[arg(long, value_name = "TIME")]
    at: Option<When>,
    /// Again and again, so long after each other: 90s, 10m, 36h, 7d or 4w.
    #[arg(long, value_name = "SPAN", requires = "at", requires = "times")]
    every: Option<Span>,
    /// So often in all.
    #[arg(long, requires = "every", value_parser = clap::value_parser!(u32).range(2..=i64::from(MAX_SCHEDULED)))]
    times: Option<u32>,
}

/// Who pays whom what.
pub(super) struct Order<'a> {
    pub(super) from: &'a str,
    pub(super) to: AccountId,
    pub(super) amount: Uftns,
    pub(super) memo: String,
}

impl Timing {
    /// When the first payment is due, if it is one for later.
    pub(super) const fn at(&self) -> Option<When> {
        self.at
    }
}

/// Sets money aside for later payments.
pub(super) fn set(session: &Session, order: Order<'_>, at: When, timing: &Timing) -> Result<()> {
    let Order { from, to, amount, memo } = order;
    let times = timing.times.unwrap_or(1);
    let every_ms = timing.every.map_or(0, |span| span.ms);
    let total = amount.checked_mul(u64::from(times));
    let total = total.ok_or_else(|| UsageError(format!("{times} times {amount} is more than there can be")))?;
    let wallet = session.wallet(from)?;
    let now = session.now()?;
    let first_at = at.seen_at(now);
    if first_at <= now {
        return Err(UsageError(format!("{} is past, it is {} on the ledger", utc(first_at), utc(now))).into());
    }
    let op = ScheduleOperation { to, amount, times, first_at, every_ms, memo };
    let row = wallet.execute(Operation::Schedule(op), FINAL_TIMEOUT)?;
    if session.wants_json() {
        return json(&row);
    }
    let how_often = match timing.every {
        Some(every) => format!("{times} times {amount}, every {every}, the first"),
        None => amount.to_string(),
    };
    line(format!("{how_often} to {to} at {}", utc(first_at)));
    let named = row.created.join(" ");
    line(format!("  {total} set aside as {named}: final in block {}", or_dash(row.height)));
    Ok(())
}

impl Schedule {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::List { account } => list(session, account.as_deref()),
            Self::Cancel { schedule, key } => {
                session.done(&key, Operation::Unschedule(Unschedule { schedule }), "payments called off")
            }
        }
    }
}

fn list(session: &Session, account: Option<&str>) -> Result<()> {
    let account = account.map(|text| session.account(text)).transpose()?;
    let client = session.client()?;
    let only = account.map_or_else(String::new, |account| format!("&account={account}"));
    let (mut rows, mut from): (Vec<ScheduleRow>, _) = (Vec::new(), Some(Hash::ZERO));
    for _ in 0..PAGES_MAX {
        let Some(first) = from else { break };
        let page: SchedulesPage = client.get(&format!("/v1/schedules?from={first}{only}"))?;
        rows.extend(page.rows);
        from = page.next;
    }
    rows.sort_by_key(|row| row.record.next_at);
    if session.wants_json() {
        return json(&rows);
    }
    if rows.is_empty() {
        line("No payment is to come.");
    } else {
        let headings = ["next at", "amount", "left", "every", "from", "to", "memo", "schedule"];
        line(table(&headings, &[1, 2], rows.into_iter().map(cells).collect()));
    }
    if from.is_some() {
        line("There are more payments to come than are shown here.");
    }
    Ok(())
}

fn cells(row: ScheduleRow) -> Vec<String> {
    let ScheduleRow { schedule, record } = row;
    let every = (record.left > 1).then(|| Span::of_ms(record.every_ms));
    vec![
        utc(record.next_at),
        record.amount.to_string(),
        record.left.to_string(),
        or_dash(every),
        record.from.to_string(),
        record.to.to_string(),
        record.memo,
        schedule.to_string(),
    ]
}
