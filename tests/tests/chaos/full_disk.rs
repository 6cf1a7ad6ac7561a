//! A disk that fills up: the node says so before it is full, writes nothing, and goes on by itself once there is room. A leader that
//! is told to stop hands on.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use mesh30k_ledger::ops::{Operation, Transfer};
use mesh30k_ledger::types::{Height, NodeId, Uftns};
use mesh30k_node::api::types::Problem;
use mesh30k_testnet::client::ClientError;
use mesh30k_testnet::wallet::WalletError;
use mesh30k_tests::mesh::TestMesh;
use mesh30k_tests::wait::{Stopwatch, wait_since, wait_until};
use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// The small disk, and where this node's lines are on it, MiB.
const DISK_MIB: u64 = 320;
const READ_ONLY_MIB: u64 = 96;
const RESUME_MIB: u64 = 128;
/// What is left when it has filled up.
const LEFT_MIB: u64 = 48;
/// Time until a node has noticed; it looks each two seconds.
const NOTICED_MAX: Duration = Duration::from_secs(20);
/// Time until a new leader is known after the old one was told to stop; a kill costs about a second more than this.
const HANDED_ON_MAX: Duration = Duration::from_millis(500);
/// Blocks that were executed before there was no room, and become final without this node.
const ON_THE_WAY: u64 = 4;

/// A file system of its own over a folder, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Moves what is in the folder onto it; `None` where nobody may mount.
    fn over(folder: &Path) -> Option<Self> {
        let aside = folder.with_extension("aside");
        fs::rename(folder, &aside).unwrap();
        fs::create_dir(folder).unwrap();
        let run = |program: &str, arguments: &[&str]| {
            Command::new(program).args(arguments).output().is_ok_and(|run| run.status.success())
        };
        let (from, to) = (format!("{}/.", aside.display()), folder.display().to_string());
        if !run("mount", &["-t", "tmpfs", "-o", &format!("size={DISK_MIB}m,mode=0700"), "mesh30k-test", &to]) {
            fs::remove_dir(folder).unwrap();
            fs::rename(&aside, folder).unwrap();
            return None;
        }
        let disk = Self(folder.to_owned());
        assert!(run("cp", &["-a", &from, &to]), "the data directory could not be moved");
        Some(disk)
    }

    fn free_bytes(&self) -> u64 {
        let found = statvfs(&self.0).unwrap();
        found.f_bavail * found.f_frsize
    }

    fn fill(&self) {
        let file = File::create(self.0.join("ballast")).unwrap();
        fallocate(&file, FallocateFlags::empty(), 0, self.free_bytes() - (LEFT_MIB << 20)).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also while a killed node still has files open there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn chaos_of_a_full_disk_stops_nobody_else_and_ends_by_itself() {
    let mut mesh = TestMesh::start(5, 4, 20);
    let leader = mesh.leader();
    let other = (1..=4).find(|other| *other != leader).unwrap();
    hands_on(&mut mesh, leader);
    // A validator and an observer: the two that do different things about it.
    for number in [leader, 5] {
        mesh.stop(number);
        let Some(disk) = SmallDisk::over(&mesh.node(number).data_dir.clone()) else {
            println!("skipped: needs root, to mount a small disk");
            return;
        };
        let config = mesh.node(number).config.clone();
        let lines = format!("[node]\ndisk_read_only_mib = {READ_ONLY_MIB}\ndisk_resume_mib = {RESUME_MIB}\n");
        fs::write(&config, fs::read_to_string(&config).unwrap().replacen("[node]\n", &lines, 1)).unwrap();
        mesh.restart(number);
        mesh.wait_level(number, other);
        lives_through(&mut mesh, number, other, &disk);
        // Its folder goes with the disk.
        mesh.kill(number);
    }
}

/// A leader that is told to stop: another one leads without an election timeout.
fn hands_on(mesh: &mut TestMesh, leader: u32) {
    let others: Vec<u32> = (1..=4).filter(|number| *number != leader).collect();
    mesh.stop(leader);
    let stopped = Stopwatch::start();
    wait_since(stopped, "another leader", HANDED_ON_MAX, || {
        let said: Vec<Option<NodeId>> = others.iter().map(|number| mesh.status(*number).unwrap().leader).collect();
        let is_new = |one: &Option<NodeId>| one.is_some_and(|node| node != NodeId(u64::from(leader)));
        if said.iter().all(is_new) { Ok(()) } else { Err(format!("{said:?}")) }
    });
    mesh.pay(others[0]);
    mesh.restart(leader);
    mesh.wait_level(leader, others[0]);
}

fn lives_through(mesh: &mut TestMesh, number: u32, other: u32, disk: &SmallDisk) {
    assert_eq!(state(mesh, number).as_deref(), Ok("writable"));
    disk.fill();
    wait_until("the node notices", NOTICED_MAX, || is(mesh, number, "read-only"));
    let at = mesh.height(number);
    let refused = refusal(mesh, number);
    let path = mesh.node(number).data_dir.display().to_string();
    for part in [path.as_str(), "read-only", "MiB", "node.disk_resume_mib"] {
        assert!(refused.detail.contains(part), "{}", refused.detail);
    }
    // The others go on without it, and it stands still and says so.
    for _ in 0..5 {
        mesh.pay(other);
    }
    assert!(mesh.height(other) > Height(at.0 + ON_THE_WAY), "each payment took a block");
    assert!(mesh.height(number) <= Height(at.0 + ON_THE_WAY), "it writes nothing");
    let status = mesh.status(number).unwrap();
    assert!(status.leader != Some(NodeId(u64::from(number))), "it leads nobody");
    assert!(status.not_ready.iter().any(|reason| reason.contains("read-only")), "{:?}", status.not_ready);
    assert!(mesh.api(number).text("/metrics").unwrap().contains("\nmesh30k_disk_read_only 1\n"));

    // It can be stopped and started like this; nothing changes.
    assert!(mesh.stop(number), "it leaves when it is told to:\n{}", mesh.log(number));
    mesh.restart(number);
    wait_until("it is read-only again", NOTICED_MAX, || is(mesh, number, "read-only"));
    mesh.pay(other);
    assert!(mesh.height(number) <= Height(at.0 + ON_THE_WAY), "it writes nothing");

    disk.make_room();
    wait_until("it goes on", NOTICED_MAX, || is(mesh, number, "writable"));
    mesh.wait_level(number, other);
    mesh.pay(number);
}

fn state(mesh: &TestMesh, number: u32) -> Result<String, String> {
    mesh.status(number).map(|status| status.disk.state).map_err(|error| error.to_string())
}

fn is(mesh: &TestMesh, number: u32, wanted: &str) -> Result<(), String> {
    let found = state(mesh, number)?;
    if found == wanted { Ok(()) } else { Err(found) }
}

/// What the node answers to a payment.
fn refusal(mesh: &TestMesh, number: u32) -> Problem {
    let wallet = mesh.wallet("alice", number);
    let transfer = Transfer { to: mesh.account("bob"), amount: Uftns(1), memo: String::new() };
    let signed = wallet.sign(wallet.row().unwrap().next_nonce, Operation::Transfer(transfer));
    match wallet.submit(&signed) {
        Err(WalletError::Client(ClientError::Refused(problem))) => {
            assert_eq!(problem.status, 503, "{}", problem.detail);
            problem
        }
        other => panic!("a node without room took a payment: {other:?}"),
    }
}
