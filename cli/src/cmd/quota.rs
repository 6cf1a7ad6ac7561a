//! `mesh30k quota`: the right to work at the voted price, lent, sold and set aside.

use anyhow::Result;
use clap::Subcommand;
use mesh30k_ledger::ops::{DrawQuota, OfferQuota, Operation, ReserveQuota, TakeQuota, WithdrawQuota};
use mesh30k_ledger::records::QuotaRecord;
use mesh30k_ledger::types::{EscrowId, Hash, Uftns};
use mesh30k_node::api::types::{EscrowAnswer, QuotaOfferRow, QuotaRow};
use mesh30k_testnet::carbon::utc;

use super::market::capability;
use crate::output::{json, line, or_dash, table};
use crate::session::{FINAL_TIMEOUT, Session};

/// The right to work at the voted price, lent, sold and set aside.
#[derive(Subcommand)]
pub(crate) enum Quota {
    /// What an account has.
    #[command(after_help = "Example: mesh30k quota show alice")]
    Show {
        /// An account (ftns1...) or the name of a key.
        account: String,
    },
    /// What is offered, and what is lent.
    #[command(after_help = "Example: mesh30k quota list")]
    List,
    /// Offer units for sale, or to lend for some periods.
    #[command(
        after_help = "Examples:\n  mesh30k quota offer 100 --price 0.5 --key keys/account.key\n  mesh30k quota offer 100 --price 0.1 \
                            --periods 7 --key keys/account.key"
    )]
    Offer {
        /// Units a period.
        units: u64,
        /// For all of it, in FTNS.
        #[arg(long)]
        price: Uftns,
        /// Of which capability.
        #[arg(long, default_value = "compute")]
        capability: String,
        /// Lend it for so many periods, the running one included; sold for good without.
        #[arg(long)]
        periods: Option<u32>,
        /// The owner's key.
        #[arg(long)]
        key: String,
    },
    /// Buy or borrow what is offered.
    #[command(after_help = "Example: mesh30k quota take \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --key alice")]
    Take {
        /// Name of the offer.
        offer: Hash,
        /// The key that pays.
        #[arg(long)]
        key: String,
    },
    /// Call off an offer of yours.
    #[command(after_help = "Example: mesh30k quota withdraw \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e --key keys/account.key")]
    Withdraw {
        /// Name of the offer.
        offer: Hash,
        /// The owner's key.
        #[arg(long)]
        key: String,
    },
    /// Set units aside for a task of yours; 0 sets them free.
    #[command(after_help = "Example: mesh30k quota reserve \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e 50 --key alice")]
    Reserve {
        /// The task's escrow.
        escrow: EscrowId,
        /// In all.
        units: u64,
        /// The key that opened the escrow.
        #[arg(long)]
        key: String,
    },
    /// Draw units from less urgent tasks for one of disaster response, in an emergency.
    #[command(after_help = "Example: mesh30k quota draw \
                            5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e5f0c9a1e 50 --key alice")]
    Draw {
        /// The task's escrow.
        escrow: EscrowId,
        /// At most.
        units: u64,
        /// The key that opened the escrow.
        #[arg(long)]
        key: String,
    },
}

impl Quota {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Show { account } => show(session, &account),
            Self::List => list(session),
            Self::Offer { units, price, capability: name, periods, key } => {
                let op = OfferQuota { capability: capability(&name)?, units, price, periods };
                session.done(&key, Operation::OfferQuota(op), "offered as")
            }
            Self::Take { offer, key } => session.done(&key, Operation::TakeQuota(TakeQuota { offer }), "quota taken"),
            Self::Withdraw { offer, key } => {
                session.done(&key, Operation::WithdrawQuota(WithdrawQuota { offer }), "offer called off")
            }
            Self::Reserve { escrow, units, key } => {
                session.done(&key, Operation::ReserveQuota(ReserveQuota { escrow, units }), "quota set aside")
            }
            Self::Draw { escrow, units, key } => draw(session, escrow, units, &key),
        }
    }
}

fn show(session: &Session, account: &str) -> Result<()> {
    let account = session.account(account)?;
    let rows: Vec<QuotaRow> = session.client()?.get(&format!("/v1/quotas/{account}"))?;
    if session.wants_json() {
        return json(&rows);
    }
    if rows.is_empty() {
        line(format!("{account} has no quota"));
        return Ok(());
    }
    let cells = rows.iter().map(|QuotaRow { capability, record }| {
        let QuotaRecord { allocated, lent, offered, borrowed, drawn, yielded, .. } = record;
        let (set_aside, free) = (record.reserved_units(), record.free());
        let figures = [*allocated, *lent, *offered, *borrowed, *drawn, *yielded, set_aside, free];
        std::iter::once(capability.clone()).chain(figures.map(|units| units.to_string())).collect()
    });
    let headings = ["capability", "own", "lent", "offered", "borrowed", "drawn", "yielded", "set aside", "free"];
    line(table(&headings, &[1, 2, 3, 4, 5, 6, 7, 8], cells.collect()));
    Ok(())
}

fn draw(session: &Session, escrow: EscrowId, units: u64, key: &str) -> Result<()> {
    let row = session.wallet(key)?.execute(Operation::DrawQuota(DrawQuota { escrow, units }), FINAL_TIMEOUT)?;
    if session.wants_json() {
        return json(&row);
    }
    let seen: EscrowAnswer = session.client()?.get(&format!("/v1/escrows/{escrow}"))?;
    // Gone again already when the emergency ended just now.
    let (units, tasks) = seen.draw.map_or((0, 0), |draw| (draw.units(), draw.taken.len()));
    line(format!("{units} units of quota of {tasks} less urgent tasks drawn: final in block {}", or_dash(row.height)));
    line("  they go back when the emergency or the task ends");
    Ok(())
}

fn list(session: &Session) -> Result<()> {
    let rows: Vec<QuotaOfferRow> = session.client()?.get("/v1/quotas")?;
    if session.wants_json() {
        return json(&rows);
    }
    let cells = rows.iter().map(|QuotaOfferRow { offer, record }| {
        let names: Vec<&str> = record.capability.names().collect();
        let how = match (record.periods, record.lent) {
            (_, Some(loan)) => format!("lent until {}", utc(loan.until)),
            (Some(periods), None) => format!("to lend for {periods} periods"),
            (None, None) => "for sale".to_owned(),
        };
        vec![offer.to_string(), names.join(" "), record.units.to_string(), record.price.to_string(), how]
    });
    line(table(&["offer", "capability", "units", "price", "how"], &[2, 3], cells.collect()));
    Ok(())
}
