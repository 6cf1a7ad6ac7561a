//! Envelopes, and the messages of events in them.

#[allow(dead_code, unreachable_pub, clippy::all)]
#[path = "../../../../node/src/mesh/arrival/refusal.rs"]
mod refusal;
#[allow(dead_code, unreachable_pub, clippy::all)]
#[path = "../../../../node/src/mesh/arrival/wire.rs"]
mod wire;

use mesh30k_core::event::{DownMessage, EventId, SignedEvent};
use mesh30k_core::time::TimeUs;
use mesh30k_core::wire::{Envelope, Frame, Hlc, MAX_BODY_BYTES, MessageIdSource, Priority, context_digest};
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::types::{NodeId, Scope, SectorId};

use crate::common::key;
use crate::strict::{choose, strict, through_json};
use crate::world::CERTIFIED;

/// For the source of the messages: the one clock they ask for.
mod view {
    pub(super) struct Now {
        pub(super) mesh: super::TimeUs,
    }
}

/// A frame as it comes, a message alone, a message in a sound envelope, or a signed event as the API takes it.
pub fn event_wire(bytes: &[u8]) {
    let Some((kind, bytes)) = choose(bytes, 4) else { return };
    match kind {
        0 => frame(bytes),
        1 => drop(strict::<wire::Message>(bytes, MAX_BODY_BYTES)),
        2 => opened(bytes),
        _ => {
            let Some(event) = strict::<SignedEvent>(bytes, MAX_BODY_BYTES) else { return };
            through_json(&event);
            let _ = event.event.expires();
        }
    }
}

fn frame(bytes: &[u8]) {
    let Ok(frame) = Frame::decode(bytes) else { return };
    let Frame::Message(envelope) = frame else { return };
    assert_eq!(envelope.encode().expect("it is not too large"), bytes);
    let world = &CERTIFIED.world;
    let _ = envelope.check(context_digest(&world.context), TimeUs(0));
    assert!(envelope.signature.is_some() || envelope.signer(DOMAIN, &world.context).is_err());
}

const DOMAIN: mesh30k_ledger::signing::Domain = mesh30k_ledger::signing::Domain::FoldedAck;

/// What is opened is what was put in, once; the second time it is a repetition.
fn opened(body: &[u8]) {
    if body.len() > MAX_BODY_BYTES {
        return;
    }
    let envelope = sound(body.to_vec());
    let bytes = envelope.encode().expect("it is not too large");
    let mut sealer = wire::Sealer::new(CERTIFIED.world.context, NodeId(2), key(2), 0);
    let now = view::Now { mesh: TimeUs(1_000_000) };
    let Ok(opened) = sealer.open(&now, &bytes) else { return };
    assert_eq!(encode(&opened.message), body);
    assert!(sealer.open(&now, &bytes).is_err(), "a message was taken twice");
}

fn sound(body: Vec<u8>) -> Envelope {
    let context = &CERTIFIED.world.context;
    let id = MessageIdSource::new(NodeId(1), 0).next_id(1_000);
    let stamp = Hlc { wall: TimeUs(1_000_000), logical: 0 };
    Envelope::new(context_digest(context), id, stamp, TimeUs(9_000_000), Priority::Normal, body)
}

/// Inputs of every kind, for the corpus.
pub fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let watch = encode(&wire::Message::Watch { sector: SectorId(3), is_news: true });
    let cancel = encode(&wire::Message::Down {
        child: Scope::Sector(SectorId(3)),
        message: DownMessage::Cancel(EventId([5; 16])),
    });
    let with = |kind: u8, bytes: &[u8]| [&[kind], bytes].concat();
    vec![
        ("frame", with(0, &sound(watch.clone()).encode().expect("it is small"))),
        ("versions", with(0, &Frame::versions_answer())),
        ("watch", with(1, &watch)),
        ("cancel", with(1, &cancel)),
        ("opened", with(2, &cancel)),
    ]
}
