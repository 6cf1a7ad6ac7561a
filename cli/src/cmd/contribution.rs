//! `mesh30k contribution`: what was given to the mesh and what it is paid; what speaks for an account.

use anyhow::Result;
use clap::Subcommand;
use mesh30k_ledger::ops::{AttestContribution, ClaimContribution, Operation};
use mesh30k_ledger::records::{CONFIDENCE_MAX_PPM, Contribution as Kind, ContributionRecord, REPUTATION_START};
use mesh30k_ledger::types::{TimeMs, Uftns};
use mesh30k_node::api::types::{ContributionRow, ContributionsAnswer, EmissionRow, OwnContentRow, StandingAnswer};
use mesh30k_testnet::carbon::utc;
use mesh30k_testnet::render::bar;

use crate::output::{from_now, hash_of, json, line, or_dash, percent, table};
use crate::session::{Names, Session};

/// Characters of a full bar.
const BAR_WIDTH: usize = 20;

/// Contributions and what they are paid; what speaks for an account.
#[derive(Subcommand)]
pub(crate) enum Contribution {
    /// Claim payment for a contribution; reviewers attest it before anything is paid.
    #[command(
        after_help = "Examples:\n  mesh30k contribution claim research paper.pdf 25 --key alice\n  mesh30k contribution claim \
                            data 5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e 25 --key alice"
    )]
    Claim {
        /// data, model, research, teaching, governance, safety, hosting, relaying or validating.
        kind: Kind,
        /// What proves it, once on the whole ledger: a hash, or a file that is hashed. With your own content, its impact adds a bonus.
        evidence: String,
        /// What is asked, in FTNS.
        amount: Uftns,
        /// The contributor's key.
        #[arg(long)]
        key: String,
    },
    /// Say, as a reviewer, that a contribution is worth what is asked; the last word needed pays it.
    #[command(after_help = "Example: mesh30k contribution attest \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --key keys/account.key")]
    Attest {
        /// The evidence it was claimed with: a hash, or the file itself.
        evidence: String,
        /// The reviewer's key.
        #[arg(long)]
        key: String,
    },
    /// One contribution.
    #[command(after_help = "Example: mesh30k contribution show \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e")]
    Show {
        /// The evidence it was claimed with: a hash, or the file itself.
        evidence: String,
    },
    /// Contributions, and what each kind has left today.
    #[command(after_help = "Examples:\n  mesh30k contribution list\n  mesh30k contribution list --of alice")]
    List {
        /// Only those of this account (ftns1... or a key).
        #[arg(long, value_name = "ACCOUNT")]
        of: Option<String>,
    },
    /// What speaks for an account: reputation, offices, content with its impact, contributions.
    #[command(after_help = "Example: mesh30k contribution standing alice")]
    Standing {
        /// An account (ftns1...) or a key.
        account: String,
    },
}

impl Contribution {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Claim { kind, evidence, amount, key } => {
                let evidence = hash_of(&evidence)?;
                let op = ClaimContribution { kind, evidence, amount };
                let said = format!("contribution of {kind} claimed with {evidence}");
                session.done(&key, Operation::ClaimContribution(op), &said)
            }
            Self::Attest { evidence, key } => {
                let op = AttestContribution { evidence: hash_of(&evidence)? };
                session.told(&key, Operation::AttestContribution(op))
            }
            Self::Show { evidence } => show(session, &evidence),
            Self::List { of } => list(session, of.as_deref()),
            Self::Standing { account } => standing(session, &account),
        }
    }
}

fn show(session: &Session, evidence: &str) -> Result<()> {
    let evidence = hash_of(evidence)?;
    let row: ContributionRow = session.client()?.get(&format!("/v1/contributions/{evidence}"))?;
    if session.wants_json() {
        return json(&row);
    }
    let (record, names) = (&row.record, session.names());
    line(format!("contribution {evidence}"));
    line(format!("  {} of {}, {} asked", record.kind, names.of(&record.account), record.amount));
    match record.paid_at {
        Some(at) => line(format!("  paid {} at {}", record.paid, utc(at))),
        None => line("  not paid yet"),
    }
    if !record.attested_by.is_empty() {
        line(format!("  attested by {}", names.of_all(&record.attested_by)));
    }
    Ok(())
}

fn list(session: &Session, of: Option<&str>) -> Result<()> {
    let of = of.map(|text| session.account(text)).transpose()?;
    let query = of.map_or_else(String::new, |account| format!("?account={account}"));
    let answer: ContributionsAnswer = session.client()?.get(&format!("/v1/contributions{query}"))?;
    if session.wants_json() {
        return json(&answer);
    }
    if answer.contributions.is_empty() {
        line("No contribution was claimed.");
    } else {
        line(contribution_table(&answer.contributions, answer.needed, answer.time, &session.names()));
    }
    if answer.is_cut {
        line("There are more contributions than are shown here.");
    }
    line("What each kind has for today (a day of block time, UTC):");
    let most = answer.shares.iter().map(|row| row.share.0).max().unwrap_or(0);
    let cells = answer.shares.iter().map(|EmissionRow { kind, share, paid }| {
        let left = Uftns(share.0.saturating_sub(paid.0));
        let cells = [kind.to_string(), share.to_string(), paid.to_string(), left.to_string()];
        cells.into_iter().chain([bar(left.0, most, BAR_WIDTH)]).collect()
    });
    line(table(&["kind", "share", "paid", "left", ""], &[1, 2, 3], cells.collect()));
    Ok(())
}

fn contribution_table(rows: &[ContributionRow], needed: u64, now: TimeMs, names: &Names) -> comfy_table::Table {
    let cells = rows.iter().map(|ContributionRow { evidence, record }| {
        vec![
            evidence.to_string(),
            record.kind.to_string(),
            record.amount.to_string(),
            paid_words(record, needed, now),
            names.of(&record.account),
        ]
    });
    table(&["evidence", "kind", "asked", "paid", "by"], &[2], cells.collect())
}

fn paid_words(record: &ContributionRecord, needed: u64, now: TimeMs) -> String {
    match record.paid_at {
        Some(at) => format!("{}, {}", record.paid, from_now(now, at)),
        None => format!("not yet, {} of {needed} words", record.attested_by.len()),
    }
}

fn standing(session: &Session, account: &str) -> Result<()> {
    let account = session.account(account)?;
    let answer: StandingAnswer = session.client()?.get(&format!("/v1/accounts/{account}/standing"))?;
    if session.wants_json() {
        return json(&answer);
    }
    let names = session.names();
    let name = names.of(&account);
    line(if name == account.to_string() { name } else { format!("{name} {account}") });
    line(format!(
        "  reputation {:>4} of 1000 │{:<BAR_WIDTH$}│",
        answer.reputation,
        bar(answer.reputation.into(), 1_000, BAR_WIDTH)
    ));
    match answer.changed {
        Some(last) => {
            line(format!(
                "    was {} {}, because of {}",
                last.score,
                from_now(answer.time, last.updated_at),
                last.because
            ));
        }
        None => line(format!("    never changed; everybody begins with {REPUTATION_START}")),
    }
    line(format!(
        "  confidence {:>8}     │{:<BAR_WIDTH$}│",
        percent(answer.confidence_ppm),
        bar(answer.confidence_ppm.into(), CONFIDENCE_MAX_PPM.into(), BAR_WIDTH)
    ));
    match answer.calibrated {
        Some(last) => {
            let when = from_now(answer.time, last.updated_at);
            line(format!(
                "    {} predictions met a receipt, the last one {when} in order {}",
                last.predictions, last.because
            ));
        }
        None => line("    no prediction met a receipt yet; everybody begins in the middle"),
    }
    for office in &answer.offices {
        line(format!("  {} until {}", office.office, utc(office.term.until)));
    }
    if !answer.contents.is_empty() {
        line(content_table(&answer.contents));
    }
    if !answer.contributions.is_empty() {
        let needed =
            session.client()?.get::<ContributionsAnswer>(&format!("/v1/contributions?account={account}"))?.needed;
        line(contribution_table(&answer.contributions, needed, answer.time, &names));
    }
    if answer.is_cut {
        line("There is more than is shown here.");
    }
    Ok(())
}

fn content_table(rows: &[OwnContentRow]) -> comfy_table::Table {
    let cells = rows.iter().map(|row| {
        let stars = row.record.stars.saturating_mul(10).checked_div(row.record.ratings);
        vec![
            row.content.to_string(),
            percent(row.share_ppm),
            row.impact.to_string(),
            percent(row.bonus_ppm),
            of_kind(row.impact_by_kind.uses, row.record.uses),
            of_kind(row.impact_by_kind.downloads, row.record.downloads),
            of_kind(row.impact_by_kind.citations, row.record.cited),
            or_dash(stars.map(|tenths| format!("{}.{}", tenths / 10, tenths % 10))),
        ]
    });
    let headings = ["content", "own share", "impact", "bonus", "of uses", "of downloads", "of citations", "stars"];
    table(&headings, &[1, 2, 3, 4, 5, 6, 7], cells.collect())
}

/// What a kind weighs in the impact now, and how often it happened in all.
fn of_kind(impact: u64, times: u64) -> String {
    format!("{impact} ({times})")
}
