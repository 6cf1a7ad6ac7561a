//! A validator that forgot what it signed.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use mesh30k_tests::mesh::TestMesh;
use mesh30k_tests::wait::wait_until;

/// Time until a node that is refused has ended.
const REFUSED_MAX: Duration = Duration::from_secs(20);

#[test]
fn wiped_validator_is_refused_under_its_old_id_and_the_others_go_on() {
    let mut mesh = TestMesh::start(4, 4, 8);
    let wiped = 4;
    mesh.pay(1);
    mesh.kill(wiped);

    // The database is gone; keys, store id and sign-log are there.
    let data = mesh.node(wiped).data_dir.clone();
    fs::remove_dir_all(data.join("db")).unwrap();
    refused(&mut mesh, wiped, "has lost its database");

    // The whole directory is new, but for the keys: a replaced disk, and the keys from a backup.
    for entry in fs::read_dir(&data).unwrap().map(Result::unwrap).filter(|entry| entry.file_name() != "keys") {
        let path = entry.path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
    refused(&mut mesh, wiped, "node 4 is registered with another one");

    mesh.pay(1);
}

/// Starts the wiped node, which has to end by itself, not well, and say what to do.
fn refused(mesh: &mut TestMesh, number: u32, why: &str) {
    let before = mesh.log(number).len();
    mesh.restart(number);
    let status = wait_until("the wiped node ends", REFUSED_MAX, || mesh.ended(number).ok_or_else(|| mesh.log(number)));
    let said = mesh.log(number).split_off(before);
    assert!(!status.success() && status.signal().is_none(), "{status}:\n{said}");
    for part in [why, "old id", "restore the old directory", "join as a new node"] {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
}
