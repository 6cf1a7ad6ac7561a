use super::*;
use crate::beat::{BatchKind, VerifiedBatch};
use crate::lead::Fencing;
use crate::test_support::{batch, context, key, report, seat};
use crate::time::MeshTimeUs;
use mesh30k_ledger::types::{AgentClass, AgentId, SectorId};

const SECTOR: SectorId = SectorId(0);

/// A sector of two hosts with two agents each, as it stands when both reported at `now`.
fn registry(now: MeshTimeUs, agents: &[(u64, u64, u64)]) -> Registry {
    let mut registry = Registry::new(SECTOR);
    registry.set_seats(agents.iter().map(|(agent, host, _)| seat(*agent, *host, AgentClass::C)));
    for host in [1, 2] {
        let of_host = agents.iter().filter(|(_, own, _)| *own == host);
        let reports = of_host.map(|(agent, _, z_us)| report(*agent, *z_us)).collect();
        let batch = batch(host, 1, BatchKind::Full, now, reports);
        let trusted = VerifiedBatch::trusted(batch.sign(&context(), &key(1))).unwrap();
        assert!(registry.apply(Fencing::new(1, host), [trusted]).is_empty());
    }
    registry
}

#[test]
fn a_slower_agent_shows_against_its_day_and_a_silent_one_adds_nothing() {
    let minutes = |n: i64| MeshTimeUs(n * HISTORY_STEP_US);
    let mut trends = Trends::new();
    let agents = |z_us| [(1, 1, z_us), (2, 1, 100_000), (3, 2, 50_000), (4, 2, 50_000)];
    for minute in 1_000..1_060 {
        let now = minutes(minute);
        trends.record(now, registry(now, &agents(100_000)).view());
    }
    for minute in 1_060..1_065 {
        let now = minutes(minute);
        trends.record(now, registry(now, &agents(200_000)).view());
    }
    assert_eq!(trends.agents(), 4);
    let of = |trends: &Trends, agent| trends.agent(AgentId(agent)).unwrap().trend(1_064);
    let slower = of(&trends, 1).change_ppm().unwrap();
    // Half hours of 100, 100 and (10 x 100 + 5 x 200) / 15 = 133 ms make a day of 111 ms: 200 is 80 % above, within the
    // error of the sketch.
    assert!((770_000..830_000).contains(&slower), "{slower}");
    assert_eq!(of(&trends, 2).change_ppm(), Some(0));
    let whole = trends.sector(SECTOR).unwrap().trend(1_064);
    assert!(whole.now_us.is_some() && whole.week_us.is_some());

    // Ten minutes later nobody was heard of since: the view is the old one, and nothing is added.
    let old = registry(minutes(1_064), &agents(200_000));
    trends.record(minutes(1_074), old.view());
    assert_eq!(trends.agent(AgentId(1)).unwrap().trend(1_074).now_us, None);

    trends.record(minutes(1_075), registry(minutes(1_075), &[(1, 1, 5), (3, 2, 5)]).view());
    assert_eq!((trends.agents(), trends.agent(AgentId(2)).is_none()), (2, true), "who is gone is forgotten");
    trends.retain(|sector| sector != SECTOR);
    assert_eq!((trends.agents(), trends.agent(AgentId(1)).is_none()), (0, true));
}
