//! The same records, changes and questions at Redis: a hash for each agent, a sorted set for each capability.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use mesh30k_core::lead::Fencing;
use mesh30k_core::registry::{AgentSeat, Record};
use mesh30k_core::wire::Hlc;
use mesh30k_ledger::types::AgentId;

use super::load::{BEST, Load, MAX_SCORE, Question};
use super::ours::{LEAD_IN, ppm};
use super::population::{NOW, Population, SECTORS};
use super::redis_server::RedisServer;
use super::resp::{Client, Reply};
use super::result::Side;
use crate::bench::tools::{Spread, cpu_of, cpu_of_thread, now, rss_of, spin_until};

/// Reads asked together in the pipelined figure.
const TOGETHER: u32 = 16;
/// A sleeping thread wakes late by about this; so long it looks at the clock instead.
const SPIN: Duration = Duration::from_micros(70);
/// Rounds of the figures that are taken one after the other.
const ROUNDS: u32 = 500;

/// A Redis filled with the population.
pub struct Theirs {
    server: RedisServer,
    seats: BTreeMap<AgentId, AgentSeat>,
    rss_bytes: u64,
}

/// One entry's records.
type Entry = Vec<Record>;

impl Theirs {
    /// Starts a server and fills it; nothing where it is not installed.
    ///
    /// # Errors
    /// The server does not come up or refuses.
    pub fn fill(population: &Population) -> Result<Option<Self>> {
        let Some(server) = RedisServer::start()? else { return Ok(None) };
        let mut seats = BTreeMap::new();
        for sector in 0..SECTORS {
            seats.extend(Population::seats(sector)?.into_iter().map(|seat| (seat.agent, seat)));
        }
        let mut theirs = Self { server, seats, rss_bytes: 0 };
        let before = rss_of(theirs.server.pid())?;
        let mut client = theirs.server.connect()?;
        let agents: Vec<AgentId> = theirs.seats.keys().copied().collect();
        for some in agents.chunks(500) {
            for record in theirs.records(population, some)? {
                let seat = seat_fields(&record);
                queue_hash(&mut client, record.agent, &seat);
                queue_change(&mut client, &record);
            }
            client.flush()?;
        }
        theirs.rss_bytes = rss_of(theirs.server.pid())?.saturating_sub(before);
        Ok(Some(theirs))
    }

    fn records(&self, population: &Population, agents: &[AgentId]) -> Result<Entry> {
        let record = |agent: &AgentId| {
            let (seat, report) = self.seats.get(agent).zip(population.report_of(*agent)).context("an unknown agent")?;
            Ok(Record::new(seat, report, Hlc { wall: NOW, logical: 0 }, 1))
        };
        agents.iter().map(record).collect()
    }

    /// Puts the load on it. `pipelined`: each entry's changes and each query's records in one go; else every command is
    /// awaited.
    ///
    /// # Errors
    /// The server refuses or goes away.
    pub fn run(&self, population: &mut Population, load: &Load, pipelined: bool) -> Result<Side> {
        let entries = self.entries(population, load)?;
        let is_over = AtomicBool::new(false);
        let (mut writer, mut reader) = (self.server.connect()?, self.server.connect()?);
        let start = now() + LEAD_IN;
        let (writes, reads) = thread::scope(|scope| {
            let over = &is_over;
            let reads = scope.spawn(move || ask(&mut reader, load, start, pipelined, over));
            let writes = write(&mut writer, load, start, &entries, pipelined);
            is_over.store(true, Ordering::Release);
            (writes, reads.join())
        });
        let Ok(reads) = reads else { bail!("the reading thread failed") };
        let ((reads, queries), lags) = (reads?, writes?);
        // The server answers both: what changes alone cost takes a run without questions.
        let entries = self.entries(population, load)?;
        let (server, client) = (cpu_of(self.server.pid())?, cpu_of_thread()?);
        write(&mut writer, load, now(), &entries, pipelined)?;
        let cpu = (cpu_of(self.server.pid())? - server) + (cpu_of_thread()? - client);
        let together = pipelined.then(|| self.one_after_the_other()).transpose()?;
        Ok(Side {
            rss_bytes: self.rss_bytes,
            read: Spread::of(reads),
            read_pipelined: together.map(|(reads, _)| reads),
            query: Spread::of(queries),
            query_ids: together.map(|(_, names)| names),
            lag: Spread::of(lags),
            changes_cpu_ppm: ppm(cpu, load.duration),
        })
    }

    fn entries(&self, population: &mut Population, load: &Load) -> Result<Vec<Entry>> {
        let sectors = (0..SECTORS).cycle().take(load.entries());
        sectors
            .map(|sector| {
                let (_, changed) = population.next_news(sector, Fencing::NONE);
                self.records(population, &changed)
            })
            .collect()
    }

    /// Sixteen reads in one go, and names without records.
    fn one_after_the_other(&self) -> Result<(Spread, Spread)> {
        let mut client = self.server.connect()?;
        let (mut reads, mut names) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let start = now();
            (0..TOGETHER)
                .for_each(|at| client.queue(&[b"HGETALL", &key(AgentId(u64::from(round * TOGETHER + at) + 1))]));
            client.flush()?;
            reads.push(now() - start);
            let start = now();
            names_of(&mut client, 1 + round % 16)?;
            names.push(now() - start);
        }
        Ok((Spread::of(reads), Spread::of(names)))
    }
}

fn write(
    client: &mut Client,
    load: &Load,
    start: Instant,
    entries: &[Entry],
    pipelined: bool,
) -> Result<Vec<Duration>> {
    let mut lags = Vec::with_capacity(entries.len());
    for (at, entry) in (0_u32..).zip(entries) {
        let due = start + load.entry_gap() * at;
        thread::sleep(due.saturating_duration_since(now()));
        for record in entry {
            queue_change(client, record);
            if !pipelined {
                client.flush_each()?;
            }
        }
        client.flush()?;
        lags.push(now().saturating_duration_since(due));
    }
    Ok(lags)
}

type Asked = (Vec<Duration>, Vec<Duration>);

fn ask(client: &mut Client, load: &Load, start: Instant, pipelined: bool, is_over: &AtomicBool) -> Result<Asked> {
    let (mut reads, mut queries) = Asked::default();
    for (at, question) in load.questions() {
        if is_over.load(Ordering::Acquire) {
            break;
        }
        let due = start + at;
        // The server may need this core until shortly before.
        thread::sleep((due - SPIN).saturating_duration_since(now()));
        spin_until(due);
        match question {
            Question::Read(agent) => {
                let record = client.call(&[b"HGETALL", &key(agent)])?;
                if record.items().is_empty() {
                    bail!("Redis lost agent {agent}");
                }
                reads.push(now().saturating_duration_since(due));
            }
            Question::Best(capability) => {
                let names = names_of(client, capability)?;
                for name in names.items().iter().filter_map(Reply::bytes) {
                    client.queue(&[b"HGETALL", &[b"a:", name].concat()]);
                    if !pipelined {
                        client.flush()?;
                    }
                }
                client.flush()?;
                queries.push(now().saturating_duration_since(due));
            }
        }
    }
    Ok((reads, queries))
}

fn names_of(client: &mut Client, capability: u32) -> Result<Reply> {
    let (max, best) = (MAX_SCORE.to_string(), BEST.to_string());
    let set = format!("c:{capability}");
    client.call(&[b"ZRANGEBYSCORE", set.as_bytes(), b"0", max.as_bytes(), b"LIMIT", b"0", best.as_bytes()])
}

fn key(agent: AgentId) -> Vec<u8> {
    format!("a:{}", agent.0).into_bytes()
}

/// What the ledger says of an agent; written once.
fn seat_fields(record: &Record) -> Vec<(&'static str, String)> {
    vec![
        ("class", record.class.to_string()),
        ("host", record.host.to_string()),
        ("cluster", record.cluster.to_string()),
        ("capabilities", record.capabilities.0.to_string()),
        ("region", record.region.to_string()),
    ]
}

/// What a report changes: the rest of the record, and its place among those of each of its capabilities.
fn queue_change(client: &mut Client, record: &Record) {
    let impedance = &record.impedance;
    let fields = [
        ("one_way_p50_us", impedance.one_way_p50_us.to_string()),
        ("one_way_p95_us", impedance.one_way_p95_us.to_string()),
        ("processing_p50_us", impedance.processing_p50_us.to_string()),
        ("processing_p95_us", impedance.processing_p95_us.to_string()),
        ("queue_depth", impedance.queue_depth.to_string()),
        ("z_us", record.z_us.to_string()),
        ("score", record.score.to_string()),
        ("reliability_ppm", record.reliability_ppm.to_string()),
        ("drift_ppm", record.drift_ppm.to_string()),
        ("calibration_ppm", record.calibration_ppm.to_string()),
        ("state", "active".to_owned()),
        ("context", record.context.to_string()),
        ("last_beat", record.last_beat.wall.0.to_string()),
        ("energy", format!("{:?}", record.energy)),
        ("price_uftns", record.price_uftns.to_string()),
        ("version", record.version.to_string()),
    ];
    queue_hash(client, record.agent, &fields);
    let (score, name) = (record.score.to_string(), record.agent.0.to_string());
    for bit in (0..64).filter(|bit| record.capabilities.0 >> bit & 1 == 1) {
        client.queue(&[b"ZADD", format!("c:{bit}").as_bytes(), score.as_bytes(), name.as_bytes()]);
    }
}

fn queue_hash(client: &mut Client, agent: AgentId, fields: &[(&'static str, String)]) {
    let key = key(agent);
    let mut command: Vec<&[u8]> = vec![b"HSET", &key];
    command.extend(fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
    client.queue(&command);
}
