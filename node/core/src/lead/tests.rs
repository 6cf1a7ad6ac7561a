use super::*;
use crate::beat::{BatchKind, VerifiedBatch};
use crate::registry::Registry;
use crate::test_support::{batch, context, key, report, seat};
use crate::time::MeshTimeUs;
use crate::wire::Hlc;
use mesh30k_ledger::types::{AgentClass, ClusterId, NodeId, SectorId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const T0: MeshTimeUs = MeshTimeUs(1_000_000_000);
const CLUSTER: ClusterId = ClusterId { sector: SectorId(0), index: 0 };

fn grant(lead: u64, deputy: u64, from: MeshTimeUs, after: Fencing) -> LeaseGrant {
    let deputy = (deputy > 0).then_some(NodeId(deputy));
    LeaseGrant { cluster: CLUSTER, lead: NodeId(lead), deputy, from, until: from.plus_us(LEASE_US), after }
}

fn book(hosts: &[u64], others: &[u64]) -> LeadBook {
    let mut book = LeadBook::new();
    let hosts = hosts.iter().map(|host| (NodeId(*host), 10)).collect();
    book.set_members(BTreeMap::from([(CLUSTER, hosts)]), others.iter().map(|n| NodeId(*n)).collect(), T0);
    book
}

#[test]
fn the_deputy_takes_over_when_the_lease_ends_and_not_before() {
    let mut table = LeaseTable::new();
    let lease = table.grant(Fencing::new(1, 1), grant(1, 2, T0, Fencing::NONE)).unwrap();
    let who = |now| lease.holder(now).map(|(node, tenure)| (node.0, tenure.rank));
    assert_eq!(who(T0.plus_us(-1)), None);
    assert_eq!(who(T0), Some((1, Rank::Lead)));
    assert_eq!(who(lease.until.plus_us(-1)), Some((1, Rank::Lead)));
    assert_eq!(who(lease.until), None);
    assert_eq!(who(lease.until.plus_us(DEPUTY_MARGIN_US)), Some((2, Rank::Deputy)));
    assert_eq!(who(lease.until.plus_us(DEPUTY_MARGIN_US + LEASE_US)), None);
}

#[test]
fn stale_decisions_and_stale_leads_are_refused_with_the_newer_number() {
    let mut table = LeaseTable::new();
    let (first, second) = (Fencing::new(1, 1), Fencing::new(2, 5));
    let old = table.grant(first, grant(1, 2, T0, Fencing::NONE)).unwrap();
    assert!(matches!(table.grant(second, grant(2, 1, T0, first)), Err(LeaseError::Held { .. })));
    table.grant(second, grant(2, 3, old.until, first)).unwrap();
    let stale = LeaseError::Stale { cluster: CLUSTER, found: first, newest: second };
    assert_eq!(table.grant(Fencing::new(2, 6), grant(1, 2, old.until, first)), Err(stale));
    let claim = Tenure { fencing: first, rank: Rank::Lead };
    assert_eq!(table.check(CLUSTER, NodeId(1), claim, T0), Err(stale));
    assert_eq!(table.follow(old), Err(stale));
    let newest = Tenure { fencing: second, rank: Rank::Lead };
    assert!(table.check(CLUSTER, NodeId(2), newest, old.until).is_ok());
    assert!(matches!(table.check(CLUSTER, NodeId(9), newest, old.until), Err(LeaseError::NotHolder { .. })));
}

#[test]
fn a_lead_whose_renewal_others_heard_of_first_is_still_the_lead() {
    let mut table = LeaseTable::new();
    let (first, second, third) = (Fencing::new(1, 1), Fencing::new(1, 4), Fencing::new(1, 9));
    let lease = table.grant(first, grant(1, 2, T0, Fencing::NONE)).unwrap();
    let claim = |fencing, rank| Tenure { fencing, rank };
    let renewed = table.grant(second, grant(1, 2, T0.plus_us(1), first)).unwrap();
    assert!(table.check(CLUSTER, NodeId(1), claim(first, Rank::Lead), T0.plus_us(2)).is_ok());
    assert!(
        table.check(CLUSTER, NodeId(2), claim(first, Rank::Deputy), T0.plus_us(2)).is_err(),
        "no deputy of an old lease"
    );
    assert!(table.check(CLUSTER, NodeId(1), claim(first, Rank::Lead), renewed.until).is_err(), "not after its lease");
    table.grant(third, grant(2, 1, renewed.until, second)).unwrap();
    assert!(table.check(CLUSTER, NodeId(1), claim(second, Rank::Lead), renewed.until).is_err(), "not once deposed");
    assert!(lease.until < renewed.until);
}

/// Commits what the book wants, in order.
fn commit(book: &mut LeadBook, table: &mut LeaseTable, index: &mut u64, now: MeshTimeUs) {
    for grant in book.decide(table, now) {
        *index += 1;
        table.grant(Fencing::new(1, *index), grant).unwrap();
    }
}

#[test]
fn a_dead_lead_is_replaced_within_ten_seconds_and_a_living_one_never() {
    let mut book = book(&[1, 2, 3], &[]);
    let (mut table, mut index, mut now) = (LeaseTable::new(), 0, T0);
    let mut first = None;
    let mut dead_since = None;
    for step in 0..400 {
        now = T0.plus_us(step * 100_000);
        for node in [1, 2, 3].map(NodeId) {
            if dead_since.is_none() || Some(node) != first {
                book.on_seen(node, now);
            }
        }
        commit(&mut book, &mut table, &mut index, now);
        let holder = table.holder(CLUSTER, now).map(|(node, _)| node);
        match dead_since {
            None => {
                first = first.or(holder);
                assert_eq!(holder, first, "no change and no pause while the lead lives");
                if step == 200 {
                    dead_since = Some(now);
                }
            }
            Some(since) if now.since_us(since) >= 10_000_000 => {
                assert!(holder.is_some() && holder != first);
            }
            Some(_) => {}
        }
    }
    assert_eq!(table.get(CLUSTER).map(|lease| lease.deputy.is_some()), Some(true), "a new deputy is named");
    assert!(now > T0);
}

#[test]
fn a_cluster_without_live_hosts_is_led_from_the_sector() {
    let mut book = book(&[1], &[8, 9]);
    book.on_down(NodeId(1));
    let grants = book.decide(&LeaseTable::new(), T0);
    assert_eq!(grants.iter().map(|g| (g.lead.0, g.deputy.map(|d| d.0))).collect::<Vec<_>>(), [(8, Some(9))]);
    assert!(book.decide(&LeaseTable::new(), T0.plus_us(1)).is_empty(), "proposed once, and again only after a while");
    assert_eq!(book.decide(&LeaseTable::new(), T0.plus_us(1_000_000)).len(), 1);
}

#[test]
fn leads_are_spread() {
    let mut book = LeadBook::new();
    let hosts: BTreeMap<NodeId, u32> = (1..=4).map(|n| (NodeId(n), 10)).collect();
    let clusters = (0..4).map(|index| (ClusterId { sector: SectorId(0), index }, hosts.clone())).collect();
    book.set_members(clusters, BTreeSet::new(), T0);
    let leads: BTreeSet<u64> = book.decide(&LeaseTable::new(), T0).iter().map(|grant| grant.lead.0).collect();
    assert_eq!(leads.len(), 4);
}

fn signed(host: u64, sequence: u64, kind: BatchKind) -> crate::beat::SignedHostBatch {
    batch(host, sequence, kind, T0, vec![report(host, sequence * 1_000)]).sign(&context(), &key(1))
}

#[test]
fn duties_end_in_news_that_a_reader_follows() {
    let mut state = SectorState::new(SectorId(0));
    let mut duties = CoordinatorDuties::new(SectorId(0));
    let (mut ours, mut reader) = (Registry::new(SectorId(0)), Registry::new(SectorId(0)));
    ours.set_seats([seat(1, 1, AgentClass::A)]);
    reader.set_seats([seat(1, 1, AgentClass::A)]);
    duties.set_members(
        BTreeMap::from([(CLUSTER, BTreeMap::from([(NodeId(1), 1), (NodeId(2), 1)]))]),
        BTreeSet::new(),
        T0,
    );
    assert!(duties.poll(T0, Hlc::default(), &state, ours.view()).is_empty(), "idle until elected");
    duties.on_elected(3, &state, T0);
    duties.on_forward(NodeId(1), [VerifiedBatch::trusted(signed(1, 1, BatchKind::Full)).unwrap()], T0);
    let mut index = 0;
    let mut leases = LeaseTable::new();
    let (mut summaries, mut now) = (0, T0);
    for _ in 0..50 {
        for action in duties.poll(now, Hlc::default(), &state, ours.view()) {
            match action {
                CoordinatorAction::Propose(entry) => {
                    index += 1;
                    let position = Fencing::new(3, index);
                    let effects = state.apply(position, &entry.encode());
                    assert!(effects.iter().all(SectorEffect::took_effect), "{effects:?}");
                    let batches = effects.iter().filter_map(|effect| match effect {
                        SectorEffect::Batch(b) => Some(VerifiedBatch::trusted(b.signed.clone()).unwrap()),
                        _ => None,
                    });
                    assert!(ours.apply(position, batches).is_empty());
                    duties.on_applied(&effects);
                }
                CoordinatorAction::GossipNews(news) => {
                    let news = SectorNews::decode(&news.encode()).unwrap();
                    let told =
                        news.batches.into_iter().map(|b| (b.position, VerifiedBatch::trusted(b.signed).unwrap()));
                    reader.follow(news.sector, (news.from, news.to), told).unwrap();
                    news.leases.into_iter().for_each(|lease| assert!(leases.follow(lease).unwrap()));
                }
                CoordinatorAction::GossipSummary(_) => summaries += 1,
                CoordinatorAction::AskFull { .. } => panic!("nothing is missing"),
            }
        }
        now = now.max(duties.next_wakeup(&state, now).unwrap());
    }
    assert!(summaries >= 1 && leases == *state.leases() && leases.get(CLUSTER).is_some());
    assert_eq!(reader.view().get(1.into_agent()), ours.view().get(1.into_agent()));
    assert!(reader.view().get(1.into_agent()).is_some());
    duties.on_deposed();
    assert_eq!(duties.next_wakeup(&state, now), None);
}

trait IntoAgent {
    fn into_agent(self) -> mesh30k_ledger::types::AgentId;
}
impl IntoAgent for u64 {
    fn into_agent(self) -> mesh30k_ledger::types::AgentId {
        mesh30k_ledger::types::AgentId(self)
    }
}

fn arb_entry() -> impl Strategy<Value = Vec<u8>> {
    let lease = (1..4_u64, 0..4_u64, 0..20_i64, 0..12_u64).prop_map(|(lead, deputy, at, after)| {
        let after = if after == 0 { Fencing::NONE } else { Fencing::new(1, after) };
        SectorEntry::Leases(vec![grant(lead, deputy, T0.plus_us(at * 1_000_000), after)]).encode()
    });
    let batches = (1..4_u64, 1..12_u64, any::<bool>()).prop_map(|(host, sequence, full)| {
        let kind = if full || sequence == 1 { BatchKind::Full } else { BatchKind::Delta { base: sequence - 1 } };
        SectorEntry::HostBatches(vec![signed(host, sequence, kind)]).encode()
    });
    prop_oneof![lease, batches, prop::collection::vec(any::<u8>(), 0..40)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn voters_agree_replay_is_harmless_and_snapshots_are_whole(entries in prop::collection::vec(arb_entry(), 1..40), cut in 0..40_usize) {
        let mut one = SectorState::new(SectorId(0));
        let mut two = SectorState::new(SectorId(0));
        let mut holders: BTreeMap<Tenure, NodeId> = BTreeMap::new();
        for (at, entry) in entries.iter().enumerate() {
            let position = Fencing::new(1, at as u64 + 1);
            if at == cut {
                two = SectorState::restore(SectorId(0), &two.snapshot()).unwrap();
            }
            let effects = one.apply(position, entry);
            prop_assert_eq!(&effects, &two.apply(position, entry));
            prop_assert!(two.apply(position, entry).is_empty());
            prop_assert_eq!(one.snapshot(), two.snapshot());
            for second in 0..40 {
                if let Some((node, tenure)) = one.leases().holder(CLUSTER, T0.plus_us(second * 1_000_000)) {
                    prop_assert_eq!(*holders.entry(tenure).or_insert(node), node, "two hold one right");
                }
            }
        }
        prop_assert!(SectorState::restore(SectorId(1), &one.snapshot()).is_err());
    }

    #[test]
    fn a_lead_never_leads_into_another_lease(grants in prop::collection::vec((1..4_u64, 0..20_i64), 1..30)) {
        let mut table = LeaseTable::new();
        let mut past: Vec<Lease> = Vec::new();
        for (index, (lead, at)) in grants.into_iter().enumerate() {
            let after = table.fencing(CLUSTER);
            if let Ok(lease) = table.grant(Fencing::new(1, index as u64 + 1), grant(lead, 0, T0.plus_us(at * 1_000_000), after)) {
                let overlaps = past.last().is_some_and(|old| old.lead != lease.lead && old.until > lease.from);
                prop_assert!(!overlaps);
                past.push(lease);
            }
        }
    }
}

#[test]
fn all_sectors_together_summarise_at_most_once_a_second() {
    assert_eq!(summary_period_us(0), SUMMARY_EVERY_US);
    assert_eq!(summary_period_us(10), SUMMARY_EVERY_US, "a small mesh hears of each sector every 10 s");
    for sectors in [50, 100, 1_000] {
        let per_second = sectors as f64 * 1e6 / summary_period_us(sectors) as f64;
        assert!((0.9..=1.0).contains(&per_second), "{sectors}: {per_second}");
    }
}
