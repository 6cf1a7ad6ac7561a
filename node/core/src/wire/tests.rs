use super::*;
use crate::test_support::{context, key};
use crate::time::MeshTimeUs;
use mesh30k_ledger::signing::Domain;
use mesh30k_ledger::types::{Hash, NodeId};
use proptest::prelude::*;

fn envelope() -> Envelope {
    let id = MessageId::from_parts(1_700_000_000_000, NodeId(3), 9);
    let hlc = Hlc { wall: MeshTimeUs(1_700_000_000_000_000), logical: 2 };
    let mut envelope =
        Envelope::new(Hash([9; 32]), id, hlc, MeshTimeUs(1_700_000_005_000_000), Priority::High, b"body".to_vec());
    envelope.extensions.set(77, vec![1, 2]).unwrap();
    envelope
}

#[test]
fn golden_bytes() {
    // 1,700,000,000,000 ms (6 bytes) above node 3 (6 bytes) above counter 9 (4 bytes), least significant byte first.
    let id = [9, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0x00, 0x68, 0xe5, 0xcf, 0x8b, 0x01];
    let written: Vec<u8> = [
        &[1, 0][..],
        &[9; 32],
        &id,
        &id,
        &[0],
        &1_700_000_000_000_000_i64.to_le_bytes(),
        &[2, 0, 0, 0],
        &1_700_000_005_000_000_i64.to_le_bytes(),
        &[2],
        &[1, 0, 0, 0, 77, 0, 2, 0, 0, 0, 1, 2],
        &[4, 0, 0, 0],
        b"body",
        &[0],
    ]
    .concat();
    assert_eq!(envelope().encode().unwrap(), written);
    assert_eq!(Frame::versions_answer(), [0, 0, 1, 0, 0, 0, 1, 0], "must never change");
}

#[test]
fn unknown_versions_are_told_apart_from_garbage() {
    let mut bytes = envelope().encode().unwrap();
    bytes[0] = 200;
    assert!(matches!(Frame::decode(&bytes), Err(WireError::UnknownVersion { version: 200 })));
    assert_eq!(Frame::decode(&Frame::versions_answer()).unwrap(), Frame::VersionsKnown(vec![PROTOCOL_VERSION]));
    assert!(matches!(Frame::decode(&[1]), Err(WireError::NoVersion { bytes: 1 })));
    assert!(matches!(Frame::decode(&vec![1; MAX_ENVELOPE_BYTES + 1]), Err(WireError::TooLarge { .. })));
}

#[test]
fn chain_expiry_and_signature_are_checked() {
    let signed = envelope().sign(Domain::Summary, &context(), &key(1));
    assert_eq!(signed.signer(Domain::Summary, &context()).unwrap(), key(1).public());
    assert!(matches!(signed.signer(Domain::Event, &context()), Err(WireError::BadSignature { .. })));
    assert!(matches!(envelope().signer(Domain::Event, &context()), Err(WireError::Unsigned { .. })));
    let mut changed = signed.clone();
    changed.priority = Priority::Critical;
    assert!(changed.signer(Domain::Summary, &context()).is_err());
    assert!(matches!(signed.check(Hash([1; 32]), MeshTimeUs(0)), Err(WireError::WrongChain { .. })));
    assert!(matches!(signed.check(signed.chain, signed.expires), Err(WireError::Expired { late_us: 0 })));
    assert!(signed.check(signed.chain, signed.expires.plus_us(-1)).is_ok());
}

#[test]
fn extensions_are_bounded_and_sorted() {
    let mut extensions = Extensions::new();
    assert!(matches!(extensions.set(1, vec![0; MAX_EXTENSION_BYTES + 1]), Err(ExtensionsError::TooLarge { .. })));
    (0..MAX_EXTENSIONS as u16).rev().for_each(|tag| extensions.set(tag, vec![]).unwrap());
    assert!(matches!(extensions.set(99, vec![]), Err(ExtensionsError::TooMany { .. })));
    extensions.set(3, vec![5]).unwrap();
    assert_eq!(extensions.get(3), Some(&[5][..]));
    let unsorted = borsh::to_vec(&vec![(2_u16, Vec::<u8>::new()), (1, vec![])]).unwrap();
    assert!(borsh::from_slice::<Extensions>(&unsorted).is_err());
    let twice = borsh::to_vec(&vec![(2_u16, Vec::<u8>::new()), (2, vec![])]).unwrap();
    assert!(borsh::from_slice::<Extensions>(&twice).is_err());
}

proptest! {
    #[test]
    fn envelopes_come_back_whole_and_nothing_else_does(
        body in prop::collection::vec(any::<u8>(), 0..200), tags in prop::collection::btree_set(any::<u16>(), 0..5),
        cut in any::<prop::sample::Index>(), extra in 1..4_usize,
    ) {
        let mut sent = envelope();
        sent.body = body;
        tags.into_iter().for_each(|tag| sent.extensions.set(tag, vec![7]).unwrap());
        let bytes = sent.encode().unwrap();
        prop_assert_eq!(Frame::decode(&bytes).unwrap(), Frame::Message(Box::new(sent)));
        prop_assert!(Frame::decode(&bytes[..cut.index(bytes.len())]).is_err());
        let mut longer = bytes;
        longer.extend(vec![0; extra]);
        prop_assert!(Frame::decode(&longer).is_err());
    }

    #[test]
    fn decoding_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Frame::decode(&bytes);
        if let Some(first) = bytes.get_mut(..2) {
            first.copy_from_slice(&[1, 0]);
        }
        let _ = Frame::decode(&bytes);
    }

    #[test]
    fn stamps_rise_whatever_the_clocks_do(steps in prop::collection::vec((0..1_000_i64, prop::option::of((0..1_000_i64, 0..3_u32))), 1..60)) {
        let mut clock = HlcClock::new();
        let mut last = clock.last();
        for (now, remote) in steps {
            let stamp = match remote {
                Some((wall, logical)) => {
                    let remote = Hlc { wall: MeshTimeUs(wall), logical };
                    let stamp = clock.observe(MeshTimeUs(now), remote).unwrap();
                    prop_assert!(stamp > remote);
                    stamp
                }
                None => clock.tick(MeshTimeUs(now)),
            };
            prop_assert!(stamp > last);
            last = stamp;
        }
        let too_far = Hlc { wall: MeshTimeUs(MAX_AHEAD_US + 1), logical: 0 };
        prop_assert!(clock.observe(MeshTimeUs(0), too_far).is_err());
        prop_assert_eq!(clock.last(), last);
    }

    #[test]
    fn ids_rise_and_duplicates_are_caught(times in prop::collection::vec(0..50_u64, 1..60), start in prop_oneof![Just(0), Just(u32::MAX - 3)]) {
        let mut source = MessageIdSource::new(NodeId(5), start);
        let mut seen = SeenIds::new(1_000);
        let mut last = MessageId::default();
        for now in times {
            let id = source.next_id(now);
            prop_assert!(id > last && id.node() == NodeId(5));
            prop_assert_eq!(seen.insert(id, MeshTimeUs(100), MeshTimeUs(0)), Seen::New);
            prop_assert_eq!(seen.insert(id, MeshTimeUs(100), MeshTimeUs(50)), Seen::Duplicate);
            last = id;
        }
        prop_assert_eq!(seen.insert(last, MeshTimeUs(100), MeshTimeUs(100)), Seen::Expired);
        prop_assert!(seen.is_empty());
    }

    #[test]
    fn the_filter_is_bounded(count in 1..100_u128) {
        let mut seen = SeenIds::new(10);
        (0..count).for_each(|id| { seen.insert(MessageId(id), MeshTimeUs(id as i64 + 1), MeshTimeUs(0)); });
        prop_assert_eq!(seen.len() as u128, count.min(10));
        prop_assert_eq!(u128::from(seen.evicted()), count.saturating_sub(10));
    }
}
