//! Throughput and latency of a lane between two nodes over loopback TCP, each with a runtime of its own, as two
//! processes would have: `cargo run -p mesh30k-p2p --example lanes [seconds]`.
#![allow(clippy::print_stdout, reason = "its whole purpose is to print")]

use std::error::Error;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mesh30k_p2p::{Config, Control, Events, Lane, PeerId, keypair_from_seed, spawn};
use tokio::runtime::{Builder, Runtime};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const BODY_BYTES: usize = 200;
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests that are under way at one time in the concurrent run.
const CONCURRENT: usize = 64;

fn node(seed: u8) -> Outcome<(Runtime, Control, Events)> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut config = Config::new("bench", keypair_from_seed([seed; 32])?, u64::from(seed));
    config.listen = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
    let (control, events) = runtime.block_on(async { spawn(config) })?;
    Ok((runtime, control, events))
}

#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn now() -> Instant {
    Instant::now()
}

async fn ask_for(control: Control, peer: PeerId, time: Duration) -> Outcome<Vec<Duration>> {
    let (start, body) = (now(), Bytes::from(vec![1; BODY_BYTES]));
    let mut taken = Vec::new();
    while start.elapsed() < time {
        let sent = now();
        control.request(peer, Lane::EVENT, body.clone(), PATIENCE).await?;
        taken.push(sent.elapsed());
    }
    Ok(taken)
}

fn report(what: &str, mut taken: Vec<Duration>, time: Duration) {
    taken.sort();
    let at = |share: f64| taken.get((taken.len() as f64 * share) as usize).map_or(0, Duration::as_micros);
    let rate = taken.len() as f64 / time.as_secs_f64();
    println!("{what:<24} {rate:>10.0} /s   p50 {:>6} us   p99 {:>6} us", at(0.5), at(0.99));
}

fn main() -> Outcome<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(2), |s| s.parse())?;
    let time = Duration::from_secs(seconds);
    let (left, a, _a_events) = node(1)?;
    let (right, b, mut b_events) = node(2)?;
    let peer = b.local_peer_id();
    let address = loop {
        match right.block_on(b_events.recv()) {
            Some(mesh30k_p2p::Event::Listening { address }) => break address,
            Some(_) => {}
            None => return Err("the node ended".into()),
        }
    };
    a.add_address(peer, address)?;
    let mut echo = b.accept(Lane::EVENT)?;
    right.spawn(async move {
        while let Some(inbound) = echo.recv().await {
            if let Some(reply) = inbound.reply {
                reply.send(inbound.body);
            }
        }
    });
    let mut sink = b.accept(Lane::BEAT)?;
    let counted = right.spawn(async move {
        let mut count = 0_u64;
        while sink.recv().await.is_some() {
            count += 1;
        }
        count
    });

    println!("bodies of {BODY_BYTES} bytes, {seconds} s each");
    left.block_on(ask_for(a.clone(), peer, Duration::from_millis(200)))?;
    report("requests, one by one", left.block_on(ask_for(a.clone(), peer, time))?, time);
    let tasks: Vec<_> = (0..CONCURRENT).map(|_| left.spawn(ask_for(a.clone(), peer, time))).collect();
    let mut taken = Vec::new();
    for task in tasks {
        taken.extend(left.block_on(task)??);
    }
    report("requests, 64 at a time", taken, time);

    let (start, body) = (now(), Bytes::from(vec![1; BODY_BYTES]));
    let (mut sent, mut full) = (0_u64, 0_u64);
    while start.elapsed() < time {
        match a.notify(peer, Lane::BEAT, body.clone()) {
            Ok(()) => sent += 1,
            Err(_) => {
                full += 1;
                std::thread::yield_now();
            }
        }
    }
    left.block_on(a.shutdown());
    right.block_on(b.shutdown());
    let arrived = right.block_on(counted)?;
    let rate = arrived as f64 / time.as_secs_f64();
    println!("notices                  {rate:>10.0} /s   sent {sent}, arrived {arrived}, queue full {full} times");
    Ok(())
}
