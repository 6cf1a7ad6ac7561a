use mesh30k_consensus::finality::snapshot::{ChunkInfo, Manifest};
use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::finality::{Certificate, Commitment, Phase, SignedVote, Validator, ValidatorSet, Vote};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::signing::ChainContext;
use mesh30k_ledger::types::{AccountId, ChainId, NodeId};
use proptest::prelude::*;

use super::*;

const WINDOW_BLOCKS: u64 = 10;

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

fn validators() -> ValidatorSet {
    let seat = |n: u8| Validator { node: NodeId(n.into()), key: key(n).public(), account: AccountId([n; 20]) };
    ValidatorSet((1..=4).map(seat).collect())
}

/// A snapshot after the block of this height, certified by these; `list` makes its list of chunks another one.
fn manifest(height: u64, round: u32, chunks: usize, list: u8, signers: &[u8]) -> Manifest {
    let context = ChainContext { chain: ChainId::new("offers").unwrap(), genesis: Hash::of(b"genesis") };
    let (epoch, round, height) = (Epoch(round), Round(round), Height(height));
    let header = Header {
        chain: context.chain,
        epoch,
        round,
        height,
        parent: Hash::of(b"parent"),
        tx_root: Hash::ZERO,
        parent_state_root: Hash::ZERO,
        next_validators_hash: Hash::ZERO,
        time: TimeMs(height.0),
        term: 1,
        proposer: NodeId(1),
        reset: None,
    };
    let block = Block::sign(header, Vec::new(), &context, &key(1));
    let commitment = Commitment { state_root: Hash::of(b"state"), outcomes_root: Hash::ZERO, blocks_root: Hash::ZERO };
    let vote = |n: &u8| {
        let of = Vote {
            phase: Phase::First,
            context,
            epoch,
            round,
            height,
            block: block.id(),
            parent: block.header.parent,
            commitment: commitment.hash(),
            lock: None,
            validator: NodeId((*n).into()),
        };
        of.sign(&key(*n))
    };
    let votes: Vec<SignedVote> = signers.iter().map(vote).collect();
    let info = |n: usize| ChunkInfo { hash: Hash::of(&[list, u8::try_from(n).unwrap()]), bytes: 9 };
    Manifest {
        chain: context.chain,
        genesis: context.genesis,
        certificate: Certificate::assemble(&votes).unwrap(),
        commitment,
        validators: validators(),
        chunks: (0..chunks).map(info).collect(),
        header: block.header,
    }
}

fn offer_of(manifest: Manifest) -> Offer {
    let context = ChainContext { chain: manifest.chain, genesis: manifest.genesis };
    Offer { manifest: manifest.verify(&context, &validators(), Height(0)).unwrap(), handovers: Vec::new() }
}

fn offer(height: u64, round: u32, list: u8) -> Offer {
    offer_of(manifest(height, round, PER_SOURCE_MAX + 1, list, &[1, 2, 3]))
}

/// Everybody who offers something has answered.
fn gathered(offered: impl IntoIterator<Item = Offer>) -> Offers<usize> {
    let mut offers = Offers::new(WINDOW_BLOCKS);
    for (peer, offer) in offered.into_iter().enumerate() {
        assert_eq!(offers.to_ask(TimeMs(0), [peer]), [peer]);
        offers.on_offer(TimeMs(0), peer, offer);
    }
    offers
}

fn taken(offers: &Offers<usize>) -> Option<Height> {
    match offers.next_step(TimeMs(GATHER_MS)) {
        NextStep::Take(content) => offers.offer(content).map(Offer::height),
        _ => None,
    }
}

#[test]
fn peers_with_other_votes_in_their_certificates_offer_the_same_snapshot() {
    let (one, other) = (manifest(5, 0, 9, 0, &[1, 2, 3]), manifest(5, 0, 9, 0, &[2, 3, 4]));
    assert_ne!(one.encode(), other.encode());
    let content = one.content();
    let offers = gathered([offer_of(one), offer_of(other), offer(5, 0, 1), offer(6, 0, 0)]);
    assert_eq!(offers.sources(content), [0, 1], "neither another list nor another height");
}

#[test]
fn the_one_that_most_offer_is_taken_but_not_an_old_one_nor_one_of_validators_before() {
    assert_eq!(taken(&gathered([offer(95, 0, 0), offer(95, 0, 0), offer(99, 0, 0)])), Some(Height(95)));
    assert_eq!(taken(&gathered([offer(95, 0, 0), offer(99, 0, 0)])), Some(Height(99)), "the newest of equals");
    let old = [offer(20, 0, 0), offer(20, 0, 0), offer(20, 0, 0), offer(99, 0, 0)];
    assert_eq!(taken(&gathered(old)), Some(Height(99)));
    let before = [offer(900, 0, 0), offer(900, 0, 0), offer(99, 1, 0)];
    assert_eq!(taken(&gathered(before)), Some(Height(99)));
    let mut offers = gathered([offer(95, 0, 7), offer(95, 0, 7), offer(95, 0, 0)]);
    let NextStep::Take(content) = offers.next_step(TimeMs(GATHER_MS)) else { panic!("nothing to take") };
    assert_eq!(offers.sources(content), [0, 1]);
    offers.refuse(content);
    let NextStep::Take(content) = offers.next_step(TimeMs(GATHER_MS)) else { panic!("nothing to take") };
    assert_eq!(offers.sources(content), [2], "a list that led nowhere makes room for another");
    assert!(offers.is_spent(&0) && offers.to_ask(TimeMs(9_000), [0, 1]).is_empty());
}

#[test]
fn a_large_one_waits_for_others_and_a_small_one_for_nobody() {
    let offers = gathered([offer(9, 0, 0)]);
    assert_eq!(offers.next_step(TimeMs(GATHER_MS - 1)), NextStep::Wait);
    assert!(matches!(offers.next_step(TimeMs(GATHER_MS)), NextStep::Take(_)));
    let small = gathered([offer_of(manifest(9, 0, PER_SOURCE_MAX, 0, &[1, 2, 3]))]);
    assert!(matches!(small.next_step(TimeMs(0)), NextStep::Take(_)));
    let many = gathered((0..SOURCES_MAX).map(|_| offer(9, 0, 0)));
    assert!(matches!(many.next_step(TimeMs(0)), NextStep::Take(_)));
}

#[test]
fn who_is_not_far_behind_follows_and_so_does_who_finds_nobody() {
    let mut offers = Offers::new(WINDOW_BLOCKS);
    assert_eq!(offers.next_step(TimeMs(0)), NextStep::Wait, "nobody is connected");
    assert_eq!(offers.to_ask(TimeMs(0), ['a', 'b']), ['a', 'b']);
    offers.on_near(TimeMs(0), 'a');
    assert_eq!(offers.next_step(TimeMs(GATHER_MS - 1)), NextStep::Wait, "b may know better");
    assert_eq!(offers.next_step(TimeMs(GATHER_MS)), NextStep::Near);
    offers.on_offer(TimeMs(GATHER_MS), 'b', offer(50, 0, 0));
    assert!(matches!(offers.next_step(TimeMs(GATHER_MS)), NextStep::Take(_)), "a was wrong, or lied");
    offers.exclude('b');
    assert_eq!(offers.next_step(TimeMs(GATHER_MS)), NextStep::Near);

    let (mut offers, mut now) = (Offers::new(WINDOW_BLOCKS), TimeMs(0));
    for _ in 0..TRIES_MAX {
        assert_eq!(offers.to_ask(now, ['a']), ['a']);
        assert!(offers.to_ask(now, ['a']).is_empty(), "it is being asked");
        offers.on_failed(now, 'a');
        assert!(offers.to_ask(now.plus_ms(RETRY_MS - 1), ['a']).is_empty(), "too soon");
        now = now.plus_ms(RETRY_MS);
    }
    assert!(offers.to_ask(now, ['a']).is_empty() && offers.is_spent(&'a'));
    assert_eq!(offers.next_step(now), NextStep::Nobody);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever peers answer: few are asked at a time, none too often, and it ends.
    #[test]
    fn asking_is_bounded_and_ends(answers in proptest::collection::vec(0..4_u8, 300)) {
        let mut offers = Offers::new(WINDOW_BLOCKS);
        let (mut now, mut asks, mut waiting) = (TimeMs(0), BTreeMap::new(), BTreeSet::new());
        for answer in answers {
            for peer in offers.to_ask(now, 0..60_usize) {
                *asks.entry(peer).or_insert(0) += 1;
                prop_assert!(waiting.insert(peer), "it is being asked");
            }
            prop_assert!(waiting.len() <= SOURCES_MAX && asks.len() <= ASKED_MAX);
            let Some(peer) = waiting.pop_first() else {
                now = now.plus_ms(RETRY_MS);
                continue;
            };
            match answer {
                0 => offers.on_failed(now, peer),
                1 => offers.exclude(peer),
                2 => offers.on_near(now, peer),
                _ => {
                    offers.on_offer(now, peer, offer(30, 0, 0));
                    offers.refuse(offer(30, 0, 0).content());
                }
            }
        }
        prop_assert!(asks.values().all(|&tries| tries <= TRIES_MAX));
        prop_assert!(waiting.is_empty() && !offers.may_hear_more(), "{:?}", waiting);
        prop_assert!(matches!(offers.next_step(now.plus_ms(GATHER_MS)), NextStep::Near | NextStep::Nobody));
    }
}
