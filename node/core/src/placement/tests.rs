use super::*;
use crate::beat::{AgentReport, BatchKind, VerifiedBatch};
use crate::freeze::Frozen;
use crate::lead::Fencing;
use crate::registry::{AgentState, Registry};
use crate::test_support::{batch, context, key, report, seat};
use mesh30k_ledger::types::{Height, Scope, SectorId, TimeMs};
use proptest::prelude::*;
use std::sync::Arc;

const NOW: MeshTimeUs = MeshTimeUs(1_000_000_000);

/// Agents 1.. with these reports, agent n on host n % 3 + 1.
fn view(reports: &[AgentReport]) -> RegistryView {
    let mut registry = Registry::new(SectorId(0));
    registry.set_seats(reports.iter().map(|r| seat(r.agent.0, r.agent.0 % 3 + 1, AgentClass::C)));
    for host in 1..=3 {
        let own = reports.iter().filter(|r| r.agent.0 % 3 + 1 == host).copied().collect();
        let batch = batch(host, 1, BatchKind::Full, NOW, own).sign(&context(), &key(1));
        assert!(registry.apply(Fencing::new(1, host), [VerifiedBatch::trusted(batch).unwrap()]).is_empty());
    }
    RegistryView::new().with_sector(Arc::clone(registry.view()))
}

fn agents(view: &RegistryView, board: &FreezeBoard, request: &PlacementRequest) -> Result<Vec<u64>, PlacementError> {
    let choices = place(view, board, &CarbonTable::default(), request, NOW)?;
    Ok(choices.iter().map(|choice| choice.agent.0).collect())
}

#[test]
fn price_and_carbon_turn_the_choice_only_when_asked() {
    let fast = report(1, 100_000);
    let cheap = AgentReport { price_uftns: 50, ..report(2, 120_000) };
    let green = AgentReport { energy: EnergySource::Wind, ..report(3, 130_000) };
    let view = view(&[fast, cheap, green]);
    let carbon = CarbonTable { regions: BTreeMap::new(), default_g_per_kwh: 400 };
    let best =
        |request: &PlacementRequest| place(&view, &FreezeBoard::new(), &carbon, request, NOW).unwrap()[0].agent.0;
    let mut request = PlacementRequest { parts: 1, ..PlacementRequest::default() };
    assert_eq!(best(&request), 1);
    request.price_weight_ppm = 1_000_000;
    assert_eq!(best(&request), 2);
    request.price_weight_ppm = 0;
    request.carbon_weight_ppm = 1_000_000;
    assert_eq!(best(&request), 3);
}

#[test]
fn frozen_excluded_and_quarantined_agents_get_nothing() {
    let quarantined = AgentReport { state: AgentState::Quarantined, ..report(1, 1) };
    let view = view(&[quarantined, report(2, 5), report(3, 6), report(4, 7)]);
    let mut board = FreezeBoard::new();
    let freeze = Frozen { scope: Scope::Agent(AgentId(2)), reason: "drill".into(), until: TimeMs(u64::MAX) };
    board.on_ledger(Height(1), [freeze], []);
    let mut request =
        PlacementRequest { parts: 1, exclude: BTreeSet::from([AgentId(3)]), ..PlacementRequest::default() };
    assert_eq!(agents(&view, &board, &request), Ok(vec![4]));
    request.exclude.insert(AgentId(4));
    assert_eq!(agents(&view, &board, &request), Err(PlacementError::Nobody { able: 2, active: 1, unfrozen: 0 }));
}

#[test]
fn ties_spread_over_hosts_then_by_id() {
    let reports: Vec<_> = (1..=6).map(|agent| report(agent, 1_000)).collect();
    let request = PlacementRequest { parts: 3, ..PlacementRequest::default() };
    assert_eq!(agents(&view(&reports), &FreezeBoard::new(), &request), Ok(vec![1, 2, 3]));
    let request = PlacementRequest { parts: 0, ..request };
    assert!(matches!(
        agents(&view(&reports), &FreezeBoard::new(), &request),
        Err(PlacementError::Parts { parts: 0, .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn parts_go_to_distinct_agents_the_fastest_first(zs in prop::collection::vec(1..1_000_000_u64, 1..20), parts in 1..40_usize) {
        let reports: Vec<_> = zs.iter().enumerate().map(|(at, z)| report(at as u64 + 1, *z)).collect();
        let request = PlacementRequest { parts, ..PlacementRequest::default() };
        let placed = place(&view(&reports), &FreezeBoard::new(), &CarbonTable::default(), &request, NOW).unwrap();
        prop_assert_eq!(placed.len(), parts);
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        placed.iter().for_each(|choice| *counts.entry(choice.agent.0).or_default() += 1);
        let (most, least) = (*counts.values().max().unwrap(), parts / zs.len());
        prop_assert!(most <= parts.div_ceil(zs.len()) && (parts < zs.len() || counts.values().all(|n| *n >= least)));
        let first: Vec<u64> = placed.iter().take(zs.len()).map(|choice| choice.finish_us).collect();
        prop_assert!(first.is_sorted());
        let mut sorted = zs;
        sorted.sort_unstable();
        prop_assert_eq!(first, sorted.into_iter().take(parts).collect::<Vec<_>>());
    }
}
