//! The day, hour by hour: oracles report, work is asked for, done and paid, the sums are audited.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mesh30k_ledger::carbon::{self, IntensityBasis};
use mesh30k_ledger::codec::CodecError;
use mesh30k_ledger::ops::{
    AgentRegistration, AttestSaving, Capabilities, ClaimSaving, DeclarePurpose, EscrowOpen, EscrowRelease, Operation,
    RegisterHost, ReportIntensity, RetireCredits, SignalEmergency, carbon_ug,
};
use mesh30k_ledger::outcome::{Effect, Outcome};
use mesh30k_ledger::query;
use mesh30k_ledger::transaction::SignedTransaction;
use mesh30k_ledger::types::{AccountId, AgentClass, Hash, TimeMs, Uftns};
use mesh30k_node::grid::{Basis, GridBook, read_document};
use serde::Serialize;

use super::audit::{Answered, Audit, Sent};
use super::cast::{AGENTS_PER_CLASS, BALANCE, Cast, FUND, account};
use super::chain::Chain;
use super::data::{Day, HOUR_MS};
use super::plan::{MODULE, Order, Plan, TASK};
use crate::carbon::CarbonBook;

/// Which day, and who asks for what.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// A date of the hourly series.
    pub date: String,
    /// Decides who asks for what and who works.
    pub seed: u64,
    /// Where the sums go, for `carbon report --file`.
    pub out: Option<PathBuf>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct ReplaySummary {
    /// The date.
    pub date: String,
    /// The seed.
    pub seed: u64,
    /// Jobs that ran.
    pub jobs: u32,
    /// Transactions carried out.
    pub transactions: u64,
    /// The state after the day: same date, same seed, same root.
    pub state_root: Hash,
    /// Parts by where their intensity came from.
    pub intensity_sources: BTreeMap<&'static str, u64>,
    /// The region with an emergency, and until when.
    pub emergencies: Vec<(String, TimeMs)>,
    /// Credits issued and retired, micrograms.
    pub credits_ug: (u64, u64),
    /// The auditor's own sums.
    pub audit: Audit,
    /// The ledger's sums, as `carbon report` draws them.
    pub book: CarbonBook,
}

/// Why a day was not replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// No such day.
    #[error("`{0}` is no day of the hourly series; it has 2022-01-01 to 2022-08-31")]
    Date(String),
    /// A shipped set is damaged.
    #[error("the shipped {set} cannot be used: {reason}")]
    Data {
        /// Which.
        set: &'static str,
        /// How.
        reason: String,
    },
    /// The ledger refused a block or is broken.
    #[error("the ledger does not take it: {0}")]
    Ledger(String),
    /// A transaction that should have passed.
    #[error("the ledger rejected {what}: {why}")]
    Rejected {
        /// Which.
        what: String,
        /// Its reason.
        why: String,
    },
    /// The sums cannot be written.
    #[error("the sums cannot be written to {path}")]
    Write {
        /// Where to.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Bytes that are none.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

struct Replay {
    day: Day,
    cast: Cast,
    plan: Plan,
    chain: Chain,
    audit: Audit,
    books: Vec<Option<GridBook>>,
    sources: BTreeMap<&'static str, u64>,
}

/// Replays a day and audits it.
///
/// # Errors
/// [`ReplayError`]; sums that differ are no error but stand in the summary.
pub fn run(options: &ReplayOptions) -> Result<ReplaySummary, ReplayError> {
    let (day, cast) = (Day::load(&options.date)?, Cast::new()?);
    let plan = Plan::draw(&day, &cast, options.seed);
    let genesis = cast.genesis(TimeMs(day.starts.0 - 120_000))?;
    let chain = Chain::new(genesis, cast.validator.clone())?;
    let book = |zone: &str| GridBook::new("the hourly series".to_owned(), zone.to_owned(), HOUR_MS - 1);
    let books = cast.hosts.iter().map(|host| host.grid.map(|(_, zone)| book(zone))).collect();
    let audit = Audit { carbon_pool: i128::from(FUND.0), access_fund: i128::from(FUND.0), ..Audit::default() };
    let mut replay = Replay { day, cast, plan, chain, audit, books, sources: BTreeMap::new() };
    replay.set_up()?;
    for hour in 0..24 {
        replay.open_hour(hour, &options.date)?;
        replay.work_hour(hour)?;
    }
    replay.save()?;
    replay.chain.check()?;
    replay.compare()?;
    let summary = replay.summary(options)?;
    if let Some(path) = &options.out {
        let text = serde_json::to_vec(&summary.book).map_err(std::io::Error::from);
        let written = text.and_then(|text| std::fs::write(path, text));
        written.map_err(|source| ReplayError::Write { path: path.clone(), source })?;
    }
    Ok(summary)
}

impl Replay {
    fn set_up(&mut self) -> Result<(), ReplayError> {
        let owners: Vec<AccountId> = self.chain.genesis.accounts.iter().map(|entry| entry.policy.account()).collect();
        owners.into_iter().for_each(|id| self.audit.owns(id, BALANCE.0));
        let mut batch = Vec::new();
        for host in &self.cast.hosts {
            let agent = |nth: u64| AgentRegistration {
                key: host.agent_key(nth).public(),
                class: if nth < AGENTS_PER_CLASS { AgentClass::D } else { AgentClass::C },
                capabilities: Capabilities::COMPUTE,
            };
            let agents = (0..2 * AGENTS_PER_CLASS).map(agent).collect();
            batch.push(self.chain.sign(&host.key, Operation::RegisterHost(RegisterHost { node: None, agents })));
        }
        self.carry_out(TimeMs(self.day.starts.0 - 60_000), batch).map(drop)
    }

    /// Carries out a block in which everything must pass; the auditor hears of the fees.
    fn carry_out(&mut self, time: TimeMs, batch: Vec<SignedTransaction>) -> Result<Vec<Effect>, ReplayError> {
        let senders: Vec<AccountId> = batch.iter().map(|signed| signed.tx.account).collect();
        let outcomes = self.chain.block(time, batch)?;
        let mut effects = Vec::with_capacity(outcomes.len());
        for (sender, outcome) in senders.into_iter().zip(outcomes) {
            self.audit.paid_fee(sender, outcome.fee().0);
            match outcome {
                Outcome::Executed { effect, .. } => effects.push(effect),
                Outcome::Rejected { rejection, .. } => {
                    let what = format!("a transaction of {sender}");
                    return Err(ReplayError::Rejected { what, why: rejection.to_string() });
                }
            }
        }
        Ok(effects)
    }

    /// Oracles report, hosts look at their grids, escrows of the hour are opened.
    fn open_hour(&mut self, hour: usize, date: &str) -> Result<(), ReplayError> {
        let time = self.day.starts.plus_ms(hour as u64 * HOUR_MS + 1);
        let mut batch = Vec::new();
        if let Some(mean) = self.day.mean(hour) {
            let region = self.cast.hosts.first().map(|host| host.region);
            for officer in &self.cast.officers {
                let Some(region) = region else { continue };
                let word = ReportIntensity { region, mg_per_kwh: (mean * 1_000.0).round() as u64 };
                batch.push(self.chain.sign(officer, Operation::ReportIntensity(word)));
            }
        }
        if hour == self.plan.emergency.from_hour {
            let until = Some(self.day.starts.plus_ms(self.plan.emergency.to_hour as u64 * HOUR_MS));
            for officer in self.cast.officers.iter().take(2) {
                let (region, kind) = (self.plan.emergency.region, "flood".to_owned());
                batch.push(
                    self.chain.sign(officer, Operation::SignalEmergency(SignalEmergency { region, kind, until })),
                );
            }
        }
        for (host, book) in self.cast.hosts.iter().zip(&mut self.books) {
            let (Some((grid, zone)), Some(book)) = (host.grid, book) else { continue };
            let grams = self.day.grids.get(grid).and_then(|hours| hours.get(hour).copied().flatten());
            let document = serde_json::json!({
                "zone": zone, "carbonIntensity": grams, "datetime": format!("{date}T{hour:02}:00:00Z")
            });
            book.take(read_document(document.to_string().as_bytes(), zone, time));
        }
        let end = self.day.starts.plus_ms(48 * HOUR_MS);
        for order in self.plan.orders.iter_mut().filter(|order| order.hour == hour) {
            let Some(who) = self.cast.requesters.get(order.requester) else { continue };
            let open = EscrowOpen {
                task: Hash::of(TASK),
                module: Hash::of(MODULE),
                capability: Capabilities::COMPUTE,
                parts: order.parts,
                amount_per_part: Uftns(order.amount()),
                reserve_per_part: Uftns(order.amount()),
                release_deadline: end,
            };
            let opened = self.chain.sign(&who.key, Operation::EscrowOpen(open));
            let escrow = opened.id();
            order.escrow = Some(escrow);
            self.audit.locked(who.id, i128::from(order.locked_per_part()) * i128::from(order.parts));
            let purpose = DeclarePurpose { escrow, purpose: order.purpose };
            batch.extend([opened, self.chain.sign(&who.key, Operation::DeclarePurpose(purpose))]);
        }
        self.carry_out(time, batch).map(drop)
    }

    /// A block a minute with what was finished in it.
    fn work_hour(&mut self, hour: usize) -> Result<(), ReplayError> {
        for minute in 0..60 {
            let ends_ms = (hour as u64 * 60 + minute + 1) * 60_000;
            let time = self.day.starts.plus_ms(ends_ms - 500);
            let mut batch = Vec::new();
            let mut sent = Vec::new();
            while let Some(work) = self.plan.take(&self.day, ends_ms) {
                let (mg_per_kwh, source) = self.intensity(work.host, time)?;
                *self.sources.entry(source).or_default() += 1;
                let (Some(host), Some(order)) = (self.cast.hosts.get(work.host), self.plan.orders.get(work.order))
                else {
                    continue;
                };
                let (Some(who), Some(escrow)) = (self.cast.requesters.get(order.requester), order.escrow) else {
                    continue;
                };
                let report = work.report(host, mg_per_kwh);
                sent.push(Sent {
                    requester: who.id,
                    worker: host.id,
                    has_access: self.chain.genesis.regions.access_list.contains(&who.region),
                    energy_mj: report.energy_mj,
                    mg_per_kwh,
                    renewable_ppm: report.renewable_ppm,
                    locked: order.locked_per_part(),
                });
                let receipt = report.sign(&self.chain.context, &host.key, &host.agent_key(work.nth));
                let release = Operation::EscrowRelease(EscrowRelease { escrow, receipt });
                batch.push(self.chain.sign(&who.key, release));
            }
            if batch.is_empty() {
                continue;
            }
            for (sent, effect) in sent.iter().zip(self.carry_out(time, batch)?) {
                let Effect::PartReleased { price: p, returned, .. } = effect else { continue };
                let all = [p.base, p.carbon, p.premium, p.discount, p.green, p.total, returned];
                self.audit.paid_part(sent, &Answered(all.map(|amount| amount.0)));
            }
        }
        Ok(())
    }

    /// What a host states, and where that is from: chosen by the code that a node runs.
    fn intensity(&self, host: usize, now: TimeMs) -> Result<(u64, &'static str), ReplayError> {
        let missing = || ReplayError::Ledger("a host is missing".to_owned());
        let (record, book) =
            (self.cast.hosts.get(host).ok_or_else(missing)?, self.books.get(host).ok_or_else(missing)?);
        let ledger = carbon::intensity(&self.chain.state, record.region);
        let ledger = ledger.map_err(|error| ReplayError::Ledger(error.to_string()))?;
        let of_ledger = match ledger.basis {
            IntensityBasis::Oracles { .. } => "live: median of oracles",
            IntensityBasis::AnnualAverage => "annual average of the country",
            IntensityBasis::Fallback => "FALLBACK: the mean of all countries, for this one has no figure",
        };
        let Some(book) = book else { return Ok((ledger.mg_per_kwh, of_ledger)) };
        let chosen = book.choose(now, ledger.mg_per_kwh);
        let source = match chosen.basis {
            Basis::Own => "hourly: the host's own grid",
            Basis::OwnRaised => "hourly, raised to a quarter of what is in force: the ledger believes no less",
            Basis::Fallback(_) => "FALLBACK: the host's grid reported nothing, so the ledger's figure",
        };
        Ok((chosen.mg_per_kwh, source))
    }

    /// At the end of the day the cleanest host claims what it saved against the ledger's figure, and retires half of it.
    fn save(&mut self) -> Result<(), ReplayError> {
        let failed = |error: mesh30k_ledger::state::StateError| ReplayError::Ledger(error.to_string());
        let Some(host) = self.cast.hosts.iter().find(|host| host.grid.is_some_and(|(grid, _)| grid == "BPAT")) else {
            return Ok(());
        };
        let used = self.chain.sums.by(|key| key.host).remove(&host.node).unwrap_or_default();
        let in_force = carbon::intensity(&self.chain.state, host.region).map_err(failed)?.mg_per_kwh;
        let baseline_ug = carbon_ug(used.energy_mj, in_force, 0).unwrap_or(u64::MAX);
        if baseline_ug <= used.carbon_ug {
            return Ok(());
        }
        let evidence = Hash::of(b"the day's receipts against the median in force at its end");
        let claim = ClaimSaving { evidence, baseline_ug, actual_ug: used.carbon_ug };
        let mut batch = vec![self.chain.sign(&host.key, Operation::ClaimSaving(claim))];
        for officer in self.cast.officers.iter().take(2) {
            batch.push(self.chain.sign(officer, Operation::AttestSaving(AttestSaving { evidence })));
        }
        let amount_ug = ((baseline_ug - used.carbon_ug) / 2).max(1);
        batch.push(self.chain.sign(&host.key, Operation::RetireCredits(RetireCredits { amount_ug })));
        self.carry_out(self.day.starts.plus_ms(24 * HOUR_MS), batch).map(drop)
    }

    /// The auditor's predictions against the state and against the report.
    fn compare(&mut self) -> Result<(), ReplayError> {
        let failed = |error: mesh30k_ledger::state::StateError| ReplayError::Ledger(error.to_string());
        let (state, validator) = (&self.chain.state, account(&self.cast.validator));
        let totals = query::totals(state).map_err(failed)?;
        let found = |amount: Uftns| i128::from(amount.0);
        let mut free = 0;
        for (id, predicted) in self.audit.accounts.clone() {
            let balance = query::account(state, &id).map_err(failed)?.map_or(0, |account| found(account.balance));
            free += balance;
            // What the validator gets of the fees and what is burned of them are told apart by the ledger alone.
            if id != validator {
                self.audit.same(&format!("balance of {id}"), predicted, balance);
            }
        }
        let earned = query::account(state, &validator).map_err(failed)?.map_or(0, |account| found(account.balance))
            - self.audit.accounts.get(&validator).copied().unwrap_or_default();
        let (fees, pool, access, locked) =
            (self.audit.fees, self.audit.carbon_pool, self.audit.access_fund, self.audit.locked);
        self.audit.same("fees burned and earned", fees, found(totals.burned) + earned);
        self.audit.same("carbon pool", pool, found(totals.carbon_pool));
        self.audit.same("access fund", access, found(totals.access_fund));
        self.audit.same("escrows", locked, found(totals.escrows));
        self.audit.same("supply", found(totals.minted) - found(totals.burned), free + locked + pool + access);
        let sums = self.chain.sums.total();
        let reported = [sums.parts, sums.energy_mj, sums.carbon_ug, sums.total_uftns].map(i128::from);
        let own = [self.audit.parts, self.audit.energy_mj, self.audit.carbon_ug, self.audit.paid];
        for ((what, own), reported) in ["parts", "energy", "footprint", "paid"].into_iter().zip(own).zip(reported) {
            self.audit.same(&format!("{what} of the report"), own, reported);
        }
        Ok(())
    }

    fn summary(self, options: &ReplayOptions) -> Result<ReplaySummary, ReplayError> {
        let failed = |error: mesh30k_ledger::state::StateError| ReplayError::Ledger(error.to_string());
        let tip = query::tip(&self.chain.state).map_err(failed)?;
        let totals = query::totals(&self.chain.state).map_err(failed)?;
        let credits = query::credit_totals(&self.chain.state).map_err(failed)?;
        let emergencies = carbon::emergencies(&self.chain.state).map_err(failed)?;
        let opening = self.chain.genesis.pools;
        let mut book = CarbonBook::of(&self.chain.sums, tip.height, tip.time, 0, opening, totals);
        book.names.extend(self.cast.requesters.iter().map(|who| (who.id, who.name.clone())));
        book.names.extend(self.cast.hosts.iter().map(|host| (host.id, host.name.clone())));
        Ok(ReplaySummary {
            date: options.date.clone(),
            seed: options.seed,
            jobs: self.day.jobs,
            transactions: self.chain.transactions,
            state_root: tip.state_root,
            intensity_sources: self.sources,
            emergencies: emergencies
                .into_iter()
                .flat_map(|(region, record)| record.0.into_iter().map(move |(kind, said)| (region, kind, said.until)))
                .filter_map(|(region, kind, until)| Some((format!("{region} {kind}"), until?)))
                .collect(),
            credits_ug: (credits.issued_ug, credits.retired_ug),
            audit: self.audit,
            book,
        })
    }
}

impl Order {
    /// Set aside for each part: amount and reserve.
    fn locked_per_part(&self) -> u64 {
        self.amount().saturating_mul(2)
    }
}

impl ReplaySummary {
    /// What does not hold; empty when everything does.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = self.book.failures();
        failures.extend(self.audit.failures.iter().cloned());
        failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_balances_to_the_unit_and_follows_from_its_seed() {
        let options = |seed| ReplayOptions { date: "2022-06-13".to_owned(), seed, out: None };
        let summary = run(&options(1)).unwrap();
        assert!(summary.failures().is_empty(), "{:?}", summary.failures());
        assert!(summary.audit.parts > 14_000 && summary.audit.checks > 80_000, "{:?}", summary.audit.checks);
        let fallbacks: Vec<_> = summary.intensity_sources.keys().filter(|name| name.starts_with("FALLBACK")).collect();
        assert_eq!(fallbacks.len(), 2, "the hour CISO did not report, and the place without a grid");
        assert!(summary.credits_ug.0 > summary.credits_ug.1 && summary.credits_ug.1 > 0);
        // A book that lost a line does not balance.
        let mut book = summary.book.clone();
        book.uses.pop();
        assert!(!book.failures().is_empty());
    }
}
