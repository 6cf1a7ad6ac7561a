//! A sector's coordinator is killed, then an observer under load.

use std::time::Duration;

use mesh30k_core::event::Strategy;
use mesh30k_ledger::types::{AgentClass, Height, NodeId};
use mesh30k_node::api::types::{AgentRow, EventReport, SectorRow};
use mesh30k_testnet::events::{EventOrder, start, wait};
use mesh30k_testnet::layout::OPERATOR;
use mesh30k_tests::history::Acknowledged;
use mesh30k_tests::load::Load;
use mesh30k_tests::mesh::{RETURN_MAX, TestMesh};
use mesh30k_tests::wait::{Stopwatch, wait_since, wait_until};

/// Agents of the mesh, five nodes of twelve: they fit into one sector.
const AGENTS: usize = 60;
/// Time until a sector has another coordinator and every other node knows it.
const COORDINATOR_MAX: Duration = Duration::from_secs(5);
/// Time until the clusters that a killed node led are led by their deputies.
const LEADS_MAX: Duration = Duration::from_secs(30);
/// Time until the mesh can plan right after that.
const PLAN_MAX: Duration = Duration::from_secs(10);
/// Time from T to the summary.
const SUMMARY_MAX: Duration = Duration::from_secs(30);
/// Blocks an observer misses.
const MISSED_BLOCKS: u64 = 20;

#[test]
fn kill_of_a_coordinator_and_of_an_observer_is_survived() {
    let mut mesh = TestMesh::start(5, 4, AGENTS as u32);
    coordinator(&mut mesh);
    observer(&mut mesh);
}

fn coordinator(mesh: &mut TestMesh) {
    let first = sector(mesh, 1).unwrap();
    let id = first.coordinator.expect("a formed mesh has coordinators");
    let number = mesh.number_of(id);
    let others = mesh.others(number);
    let agents: Vec<AgentRow> = mesh.api(others[0]).get("/v1/mesh/agents?limit=1000").unwrap();
    let machines = |host: Option<NodeId>| {
        let is_wanted = |row: &&AgentRow| row.class != AgentClass::F && host.is_none_or(|host| row.host == host);
        agents.iter().filter(is_wanted).count() as u64
    };
    assert_eq!(agents.len(), AGENTS);

    mesh.kill(number);
    let killed = Stopwatch::start();
    wait_since(killed, "every other node knows another coordinator", COORDINATOR_MAX, || {
        for other in &others {
            let seen = sector(mesh, *other)?;
            if seen.coordinator.is_none_or(|coordinator| coordinator == id) {
                return Err(format!("node {other} says {:?}, term {}", seen.coordinator, seen.term));
            }
        }
        Ok(())
    });
    let missing = machines(Some(id));
    assert!(missing > 0, "the killed node hosts machines");
    // At once: clusters that the killed node led are silent until their leases end, and are counted as what they are.
    let report = cascade(mesh, others[0]);
    whole(&report, machines(None), missing);
    let is_led = |row: &AgentRow| first.clusters.iter().any(|c| c.cluster == row.cluster && c.lead != Some(id));
    let led = agents.iter().filter(|row| row.class != AgentClass::F && row.host != id && is_led(row)).count() as u64;
    assert!(report.ready * 2 >= led, "{led} machines live and have a lead that does: {report:?}");
    wait_since(killed, "every cluster has a lead that lives", LEADS_MAX, || {
        let leads: Vec<_> = sector(mesh, others[0])?.clusters.iter().map(|cluster| cluster.lead).collect();
        let is_led = leads.iter().all(|lead| lead.is_some_and(|lead| lead != id));
        if is_led { Ok(()) } else { Err(format!("led by {leads:?}")) }
    });
    let report = cascade(mesh, others[0]);
    whole(&report, machines(None), missing);
    let there = machines(None) - missing;
    assert!(report.ready * 2 >= there, "{there} machines are there: {report:?}");

    mesh.restart(number);
    mesh.wait_level(number, others[0]);
    wait_until("every agent is active again", RETURN_MAX, || {
        let seen = sector(mesh, number)?;
        if seen.active == AGENTS { Ok(()) } else { Err(format!("{} of {AGENTS} are", seen.active)) }
    });
    let _ = mesh.wait_same_chain();
}

/// A report whose denominators are whole and that counts the missing as missing, unless a standby was sent for them.
fn whole(report: &EventReport, everybody: u64, missing: u64) {
    assert_eq!(report.enrolled, everybody, "the denominator is everybody: {report:?}");
    assert_eq!(report.ready + report.conflict + report.transit, report.enrolled, "{report:?}");
    assert!(report.transit + report.hedged >= missing, "{missing} agents are gone: {report:?}");
    for row in &report.classes {
        assert_eq!(row.ready + row.conflict + row.transit, row.enrolled, "{row:?}");
    }
    let (ready, transit, hedged) = (report.ready, report.transit, report.hedged);
    eprintln!("{ready} ready, {transit} in transit of {}; {missing} are gone, {hedged} had standbys", report.enrolled);
}

fn observer(mesh: &mut TestMesh) {
    let observer = 5;
    let load = Load::start(vec![mesh.client("alice", "bob", &[1, 2]), mesh.client("bob", "alice", &[2, 1])]);
    load.wait_for_more(10, RETURN_MAX);
    mesh.kill(observer);
    let missed = Height(mesh.height(1).0 + MISSED_BLOCKS);
    wait_until(&format!("the others reach block {missed}"), RETURN_MAX, || {
        let height = mesh.height(1);
        if height >= missed { Ok(()) } else { Err(format!("they are at {height}")) }
    });
    mesh.restart(observer);
    mesh.wait_level(observer, 1);
    let history = load.finish();
    let chain = mesh.wait_same_chain();
    assert_eq!(history.count(Acknowledged::Final), history.payments.len());
    let breaches = history.breaches(&chain, &mesh.balances(observer, &["alice", "bob"]));
    assert!(breaches.is_empty(), "{} breaches:\n{}", breaches.len(), breaches.join("\n"));
}

/// The only sector, as a node sees it.
fn sector(mesh: &TestMesh, number: u32) -> Result<SectorRow, String> {
    let tree = mesh.tree(number).map_err(|error| error.to_string())?;
    match &tree.sectors[..] {
        [only] => Ok(only.clone()),
        other => Err(format!("{} sectors", other.len())),
    }
}

fn cascade(mesh: &TestMesh, number: u32) -> EventReport {
    let operator = mesh.wallet(OPERATOR, number);
    let started = wait_until("the mesh plans a cascade", PLAN_MAX, || {
        start(&operator, &EventOrder::cascade(Strategy::Hold)).map_err(|error| error.to_string())
    });
    wait(operator.client(), &started, SUMMARY_MAX).unwrap()
}
