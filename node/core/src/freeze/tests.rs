use super::*;
use mesh30k_ledger::types::{Hash, SectorId};
use proptest::prelude::*;

const NOW: MeshTimeUs = MeshTimeUs(1_000_000_000);
const CLUSTER: ClusterId = ClusterId { sector: SectorId(1), index: 2 };
const UNTIL: TimeMs = TimeMs(2_000_000);

fn order(id: u8, scope: Scope, until: Option<TimeMs>) -> FreezeOrder {
    FreezeOrder { id: Hash([id; 32]), scope, reason: format!("order {id}"), until }
}

fn frozen(scope: Scope) -> Frozen {
    Frozen { scope, reason: "ledger".into(), until: UNTIL }
}

#[test]
fn a_freeze_reaches_its_scope_until_it_expires() {
    let scopes = [Scope::Global, Scope::Sector(SectorId(1)), Scope::Cluster(CLUSTER), Scope::Agent(AgentId(7))];
    for scope in scopes {
        let mut board = FreezeBoard::new();
        assert_eq!(board.on_order(order(1, scope, Some(UNTIL)), NOW), Merged::New);
        assert_eq!(board.on_order(order(1, scope, Some(UNTIL)), NOW), Merged::Known);
        let end = MeshTimeUs(2_000_000_000);
        assert!(board.is_frozen(AgentId(7), CLUSTER, end.plus_us(-1)) && !board.is_frozen(AgentId(7), CLUSTER, end));
        let elsewhere = ClusterId { sector: SectorId(9), index: 2 };
        assert_eq!(board.is_frozen(AgentId(8), elsewhere, NOW), scope == Scope::Global);
        assert_eq!((board.next_change(NOW), board.list(end)), (Some(end), vec![]));
    }
}

#[test]
fn the_ledger_has_the_last_word_and_late_copies_change_nothing() {
    let mut board = FreezeBoard::new();
    let (freeze, thaw) = (order(1, Scope::Global, Some(UNTIL)), order(2, Scope::Global, None));
    board.on_order(freeze.clone(), NOW);
    board.on_ledger(Height(5), [frozen(Scope::Global)], [freeze.id]);
    assert_eq!(board.list(NOW), [frozen(Scope::Global)]);
    board.on_order(thaw.clone(), NOW);
    assert!(board.list(NOW).is_empty(), "a thaw counts on receipt");
    board.on_ledger(Height(6), [], [thaw.id]);
    assert_eq!(board.on_order(freeze, NOW), Merged::Known, "a late copy does not freeze again");
    assert!(board.list(NOW).is_empty());
    assert_eq!(board.on_ledger(Height(5), [frozen(Scope::Global)], []), Merged::Known, "an older height");
    assert!(board.list(NOW).is_empty());
}

#[test]
fn a_thaw_that_is_never_recorded_lapses() {
    let mut board = FreezeBoard::new();
    let far = Frozen { until: TimeMs(100_000_000), ..frozen(Scope::Global) };
    board.on_ledger(Height(1), [far.clone()], []);
    board.on_order(order(2, Scope::Global, None), NOW);
    let lapse = NOW.plus_us(PENDING_THAW_US);
    assert_eq!(board.next_change(NOW), Some(lapse));
    assert!(board.list(lapse.plus_us(-1)).is_empty());
    assert_eq!(board.list(lapse), [far]);
}

#[test]
fn pending_orders_are_bounded_and_the_newest_count() {
    let mut board = FreezeBoard::new();
    for id in 0..=u8::MAX {
        board.on_order(order(id, Scope::Agent(AgentId(u64::from(id))), Some(UNTIL)), NOW);
    }
    board.on_order(FreezeOrder { id: Hash::of(b"last"), ..order(0, Scope::Global, Some(UNTIL)) }, NOW);
    assert_eq!((board.dropped(), board.list(NOW).len()), (1, MAX_PENDING_ORDERS));
    assert!(board.scope(Scope::Global, NOW).is_some());
}

#[derive(Clone, Debug)]
enum Step {
    Order(u8, Scope, bool),
    Ledger(u64, Vec<Scope>),
    Wait(i64),
}

fn arb_scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::Global),
        (0..2_u32).prop_map(|s| Scope::Sector(SectorId(s))),
        (0..6_u64).prop_map(|a| Scope::Agent(AgentId(a)))
    ]
}

fn arb_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (any::<u8>(), arb_scope(), any::<bool>()).prop_map(|(id, scope, freeze)| Step::Order(id, scope, freeze)),
        (0..9_u64, prop::collection::vec(arb_scope(), 0..3)).prop_map(|(height, scopes)| Step::Ledger(height, scopes)),
        (0..900_000_000_i64).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn the_watch_pauses_exactly_whoever_is_frozen_and_says_each_change_once(steps in prop::collection::vec(arb_step(), 1..40)) {
        let mut board = FreezeBoard::new();
        let mut watch = FreezeWatch::new();
        let hosted: BTreeMap<AgentId, ClusterId> =
            (0..6).map(|a| (AgentId(a), ClusterId { sector: SectorId((a % 2) as u32), index: 0 })).collect();
        watch.set_hosted(hosted.clone());
        let (mut now, mut paused) = (NOW, BTreeSet::new());
        for step in steps {
            match step {
                Step::Order(id, scope, freeze) => { board.on_order(order(id, scope, freeze.then_some(UNTIL)), now); }
                Step::Ledger(height, scopes) => { board.on_ledger(Height(height), scopes.into_iter().map(frozen), []); }
                Step::Wait(us) => now = now.plus_us(us),
            }
            for action in watch.update(&board, now) {
                match action {
                    FreezeAction::Pause { agent, by } => prop_assert!(paused.insert(agent) && by.scope.covers(agent, hosted[&agent])),
                    FreezeAction::Resume { agent } => prop_assert!(paused.remove(&agent)),
                }
            }
            let listed = board.list(now);
            let expected: BTreeSet<AgentId> = hosted.iter()
                .filter(|(agent, cluster)| listed.iter().any(|frozen| frozen.scope.covers(**agent, **cluster)))
                .map(|(agent, _)| *agent).collect();
            prop_assert_eq!(&paused, &expected);
            prop_assert_eq!(watch.paused(), &expected);
            prop_assert!(watch.update(&board, now).is_empty());
        }
    }
}
