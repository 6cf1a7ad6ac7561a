//! Our registry under an open-loop load: news of the sector groups come at their times whether or not the node keeps
//! up; reads and queries are asked at theirs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use mesh30k_core::lead::{Fencing, SectorNews};
use mesh30k_core::registry::{Capabilities, Order, Query};
use mesh30k_core::time::TimeUs;
use mesh30k_ledger::types::SectorId;
use mesh30k_node::sectors::{PublishedRegistry, Replica, Trust};

use super::load::{Load, Question};
use super::population::{NOW, Population, SECTORS};
use super::result::Side;
use crate::bench::tools::{Spread, cpu_of_thread, now, rss_of, spin_until};

/// Changes that may be on their way from the writer to the watcher's book.
const BOOK: usize = 65_536;
/// Time until the first thing is due, for threads to start.
pub const LEAD_IN: Duration = Duration::from_millis(20);

/// A registry filled with the population.
pub struct Ours {
    replicas: Vec<Replica>,
    published: Arc<PublishedRegistry>,
    rss_bytes: u64,
}

/// News as they come from the network.
struct Entry {
    sector: SectorId,
    position: Fencing,
    bytes: Vec<u8>,
}

/// A change that somebody waits to see.
struct Awaited {
    sector: SectorId,
    position: Fencing,
    due: Instant,
}

impl Ours {
    /// Takes in everything once; measures the memory it takes.
    ///
    /// # Errors
    /// The news are refused, or `/proc` can't be read.
    pub fn fill(population: &mut Population) -> Result<Self> {
        let news: Vec<SectorNews> = (0..SECTORS).map(|sector| population.first_news(sector)).collect();
        let bytes: Vec<Vec<u8>> = news.iter().map(SectorNews::encode).collect();
        drop(news);
        let before = rss_of(std::process::id())?;
        let mut ours = Self { replicas: Vec::new(), published: Arc::default(), rss_bytes: 0 };
        for (sector, bytes) in (0..SECTORS).zip(&bytes) {
            let mut replica = Replica::new(SectorId(sector as u32));
            replica.set_seats(Population::seats(sector)?);
            ours.replicas.push(replica);
            ours.follow(population, bytes)?;
        }
        ours.rss_bytes = rss_of(std::process::id())?.saturating_sub(before);
        Ok(ours)
    }

    /// What a node does with news from a peer: read, check the hosts' signatures, take in, publish.
    fn follow(&mut self, population: &Population, bytes: &[u8]) -> Result<()> {
        let (context, key) = population.signer();
        let host_key = |_| Some(key.public());
        let news = SectorNews::decode(bytes)?;
        let sector = news.sector;
        let replica = self.replicas.get_mut(sector.0 as usize).context("news of an unknown sector")?;
        let taken = replica.follow(news, Trust::Checked { context, host_key: &host_key }, TimeUs(1))?;
        if taken.unsigned > 0 || !taken.is_new {
            bail!("the news of sector {sector} were not taken in: {taken:?}");
        }
        self.published.publish(replica.registry().view());
        Ok(())
    }

    /// Puts the load on it.
    ///
    /// # Errors
    /// The news are refused.
    pub fn run(mut self, population: &mut Population, load: &Load) -> Result<Side> {
        let entries = self.entries(population, load)?;
        let (book, awaited) = sync_channel(BOOK);
        let is_over = AtomicBool::new(false);
        let start = now() + LEAD_IN;
        let published = Arc::clone(&self.published);
        let (writes, reads) = thread::scope(|scope| {
            let over = &is_over;
            let reads = scope.spawn(move || read(&published, load, start, &awaited, over));
            let writes = self.write(population, load, start, entries, &book);
            is_over.store(true, Ordering::Release);
            (writes, reads.join())
        });
        let cpu = writes?;
        let Ok(taken) = reads else { bail!("the reading thread failed") };
        Ok(Side {
            rss_bytes: self.rss_bytes,
            read: Spread::of(taken.reads),
            read_pipelined: None,
            query: Spread::of(taken.queries),
            query_ids: None,
            lag: Spread::of(taken.lags),
            changes_cpu_ppm: ppm(cpu, load.duration),
        })
    }

    /// The entries to come, as they arrive from the network.
    fn entries(&self, population: &mut Population, load: &Load) -> Result<Vec<Entry>> {
        let mut known: Vec<Fencing> = self.replicas.iter().map(Replica::version).collect();
        let sectors = (0..SECTORS).cycle().take(load.entries());
        let next = sectors.map(|sector| {
            let version = known.get_mut(sector as usize).context("a sector too many")?;
            let (news, _) = population.next_news(sector, *version);
            *version = news.to;
            Ok(Entry { sector: news.sector, position: news.to, bytes: news.encode() })
        });
        next.collect()
    }

    /// The writer's thread: each entry at its time. Gives the processor time it took.
    fn write(
        &mut self,
        population: &Population,
        load: &Load,
        start: Instant,
        entries: Vec<Entry>,
        book: &SyncSender<Awaited>,
    ) -> Result<Duration> {
        let before = cpu_of_thread()?;
        for (at, entry) in (0_u32..).zip(entries) {
            let due = start + load.entry_gap() * at;
            thread::sleep(due.saturating_duration_since(now()));
            let awaited = Awaited { sector: entry.sector, position: entry.position, due };
            if book.try_send(awaited).is_err() {
                bail!("the reader is {BOOK} changes behind");
            }
            self.follow(population, &entry.bytes)?;
        }
        Ok(cpu_of_thread()?.saturating_sub(before))
    }
}

/// Share of one core, in ppm.
pub fn ppm(cpu: Duration, of: Duration) -> u64 {
    (cpu.as_secs_f64() / of.as_secs_f64() * 1e6) as u64
}

/// How long each took.
#[derive(Default)]
struct Taken {
    reads: Vec<Duration>,
    queries: Vec<Duration>,
    lags: Vec<Duration>,
}

/// The reading thread: each read and query at its time, and in between a look whether an awaited change is there.
fn read(
    shown: &PublishedRegistry,
    load: &Load,
    start: Instant,
    awaited: &Receiver<Awaited>,
    is_over: &AtomicBool,
) -> Taken {
    let mut taken = Taken::default();
    let mut waiting: Option<Awaited> = None;
    let mut questions = load.questions();
    let mut next = questions.next();
    while !is_over.load(Ordering::Acquire) {
        waiting = waiting.or_else(|| awaited.try_recv().ok());
        if let Some(change) = &waiting
            && shown.read(|view| view.sector(change.sector).is_some_and(|view| view.version() >= change.position))
        {
            taken.lags.push(now().saturating_duration_since(change.due));
            waiting = None;
        }
        let Some((at, question)) = &next else { continue };
        let due = start + *at;
        if now() < due {
            std::hint::spin_loop();
            continue;
        }
        spin_until(due);
        match question {
            Question::Read(agent) => {
                let is_there = shown.read(|view| view.get(*agent).is_some_and(|record| record.agent == *agent));
                taken.reads.extend(is_there.then(|| now().saturating_duration_since(due)));
            }
            Question::Best(capability) => {
                let found = shown.load().find(&best(*capability), NOW);
                taken.queries.extend((!found.is_empty()).then(|| now().saturating_duration_since(due)));
            }
        }
        next = questions.next();
    }
    taken
}

/// The question both sides are asked: the best 50 for a capability below a score of 500.
#[must_use]
pub fn best(capability: u32) -> Query {
    Query {
        capabilities: Capabilities(1_u64.checked_shl(capability).unwrap_or(0)),
        n: super::load::BEST,
        max_score: Some(super::load::MAX_SCORE),
        order: Order::Score,
        ..Query::default()
    }
}
