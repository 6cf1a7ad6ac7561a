//! Frames over the lanes of the mesh: notices on lane "event", as a host sends them to a lead.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use mesh30k_core::time::MeshTimeUs;
use mesh30k_ledger::types::NodeId;
use mesh30k_p2p::{Config, Control, Event, Events, Lane, PeerId, keypair_from_seed, spawn};
use tokio::runtime::{Builder, Runtime};

use super::child::{CONFIRM_EVERY, Counter, Part, WINDOW, Word, say};
use super::frames::{Desk, answer_batch};

/// How long the connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What the receiver's confirmations come on.
const CONFIRM_LANE: Lane = Lane::BEAT;

fn node(number: u8) -> Result<(Runtime, Control, Events)> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut config = Config::new("bench", keypair_from_seed([number.wrapping_add(1); 32])?, u64::from(number));
    if number == 0 {
        config.listen = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
    }
    config.wanted_peers = 0;
    let (control, events) = runtime.block_on(async { spawn(config) })?;
    Ok((runtime, control, events))
}

fn receiver() -> Result<PeerId> {
    Ok(PeerId::from(keypair_from_seed([1; 32])?.public()))
}

/// The receiver: opens, counts, confirms.
///
/// # Errors
/// See [`super::child::run`].
pub fn receive(part: &Part) -> Result<()> {
    let (runtime, control, mut events) = node(0)?;
    let mut counter = Counter::new(part)?;
    runtime.block_on(async {
        let mut inbox = control.accept(Lane::EVENT)?;
        let address = loop {
            match events.recv().await {
                Some(Event::Listening { address }) => break address,
                Some(_) => {}
                None => bail!("the node ended before it listened"),
            }
        };
        say(&Word::Address(address.to_string()))?;
        // Events of no interest must not pile up.
        tokio::spawn(async move { while events.recv().await.is_some() {} });
        let mut taken: HashMap<PeerId, u64> = HashMap::new();
        while let Some(inbound) = inbox.recv().await {
            if counter.take(&inbound.body)? {
                return Ok(());
            }
            let frames = taken.entry(inbound.peer).or_insert(0);
            *frames += 1;
            if frames.is_multiple_of(CONFIRM_EVERY) {
                control.notify(inbound.peer, CONFIRM_LANE, Bytes::copy_from_slice(&frames.to_be_bytes()))?;
            }
        }
        bail!("the node ended before the time was over")
    })
}

/// A sender: seals each batch anew and keeps the window full.
///
/// # Errors
/// See [`super::child::run`].
pub fn send(part: &Part) -> Result<()> {
    let (runtime, control, mut events) = node(part.number)?;
    let receiver = receiver()?;
    let address = part.address.as_deref().context("a sender needs an address")?.parse()?;
    let batch = answer_batch(NodeId(u64::from(part.number)), part.per_frame);
    let mut desk = Desk::new(NodeId(u64::from(part.number)))?;
    runtime.block_on(async {
        let mut confirmed_by = control.accept(CONFIRM_LANE)?;
        control.add_address(receiver, address)?;
        control.reserve(receiver, Vec::new())?;
        tokio::spawn(async move { while events.recv().await.is_some() {} });
        let connected = async {
            while !control.is_connected(&receiver) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(CONNECT_TIMEOUT, connected).await.context("the receiver can't be reached")?;
        let (mut sent, mut confirmed) = (0_u64, 0_u64);
        loop {
            while sent < confirmed + WINDOW {
                let frame = desk.seal(MeshTimeUs(1), &batch)?;
                control.notify(receiver, Lane::EVENT, Bytes::from(frame))?;
                sent += 1;
            }
            let Some(word) = confirmed_by.recv().await else { return Ok(()) };
            let number: [u8; 8] = word.body.as_ref().try_into().context("a confirmation of another length")?;
            confirmed = u64::from_be_bytes(number);
        }
    })
}
