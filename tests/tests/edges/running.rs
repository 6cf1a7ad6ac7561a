//! Mistakes and attacks that meet a running mesh: one small mesh for all of them, each checked to have left it unharmed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh30k_ledger::types::Uftns;
use mesh30k_node::api::types::{AccountRow, TransactionRow};
use mesh30k_tests::cli::{Answer, Shell};
use mesh30k_tests::mesh::TestMesh;
use mesh30k_tests::wait::wait_until;

/// How long a stranger waits for an answer.
const STRANGER_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of garbage a stranger sends at a time.
const GARBAGE_BYTES: usize = 64 * 1_024;
/// Strangers that connect at the same time.
const STRANGERS: usize = 32;

struct Setup {
    mesh: TestMesh,
    shell: Shell,
    home: PathBuf,
}

#[test]
fn a_running_mesh_withstands_mistakes_and_strangers() {
    let home = tempfile::tempdir().unwrap();
    let mesh = TestMesh::start(3, 3, 6);
    let shell = Shell::of(home.path(), &mesh);
    let mut setup = Setup { mesh, shell, home: home.path().to_owned() };
    let before: Vec<u32> = [1, 2, 3].map(|number| setup.mesh.pid(number)).to_vec();
    data_directory_in_use(&mut setup);
    ports_in_use(&setup);
    refusals_of_the_ledger(&setup);
    strangers_at_the_p2p_port(&setup);
    strangers_at_the_api(&setup);
    foreign_hosts(&setup);
    for number in [1, 2, 3] {
        let status = setup.mesh.status(number).unwrap();
        assert!(status.not_ready.is_empty() && status.halted.is_none(), "node {number}: {status:?}");
        assert!(setup.mesh.ended(number).is_none());
        assert!(!setup.mesh.log(number).contains("panicked"), "node {number} panicked");
    }
    assert_eq!([1, 2, 3].map(|number| setup.mesh.pid(number)).to_vec(), before);
    receipts(setup);
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn says(answer: &Answer, code: i32, parts: &[&str]) {
    assert_eq!(answer.code, Some(code), "{answer:?}");
    for part in parts {
        assert!(answer.stderr.contains(part), "`{part}` is not in: {}", answer.stderr);
    }
}

fn data_directory_in_use(setup: &mut Setup) {
    let pid = format!("pid {}", setup.mesh.pid(2));
    let config = setup.mesh.node(2).config.clone();
    let answer = setup.shell.run(&["node", "run", "--config", text(&config)]);
    says(&answer, 1, &["in use", &pid]);
}

fn ports_in_use(setup: &Setup) {
    let (one, two) = (setup.mesh.node(1), setup.mesh.node(2));
    let run = ["node", "run", "--config", text(&one.config)];
    let own = setup.home.join("own");
    let elsewhere = || Shell::new(&setup.home).with("MESH30K_NODE_DATA_DIR", text(&own));
    // A data directory of its own, everything else as node 1 has it: both its ports are taken.
    let free = "/ip4/127.0.0.1/tcp/0";
    let answer = elsewhere().with("MESH30K_P2P_LISTEN", free).run(&run);
    says(&answer, 1, &["api.listen", &one.api.to_string(), "already in use"]);
    let taken = format!("/ip4/127.0.0.1/tcp/{}", two.p2p_port);
    let answer = elsewhere().with("MESH30K_API_LISTEN", "127.0.0.1:0").with("MESH30K_P2P_LISTEN", &taken).run(&run);
    says(&answer, 1, &[&two.p2p_port.to_string(), "in use"]);
}

fn refusals_of_the_ledger(setup: &Setup) {
    let bob = setup.mesh.account("bob").to_string();
    let send = |amount: &str| setup.shell.run(&["ledger", "send", amount, &bob, "--from", "alice", "--json"]);
    let balance = || {
        let row = setup.shell.run(&["ledger", "balance", "alice", "--json"]);
        serde_json::from_str::<AccountRow>(&row.stdout).unwrap().balance_uftns
    };
    let before = balance();
    let overdrawn = send("999999999");
    says(&overdrawn, 4, &["mesh30k: "]);
    assert_eq!(send("1").code, Some(0));
    let spent = before.0 - balance().0;
    assert!(spent > Uftns::ftns(1).0 && spent < Uftns::ftns(2).0, "{spent} uFTNS for a payment of 1 FTNS");
}

/// Bytes that follow no protocol, always the same.
fn garbage(seed: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32.wrapping_add(seed as u32);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..GARBAGE_BYTES).map(|_| next()).collect()
}

/// Sends `bytes` as far as the other side takes them; keeps the connection.
fn stranger(to: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect_timeout(&to, STRANGER_TIMEOUT).unwrap();
    stream.set_read_timeout(Some(STRANGER_TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(STRANGER_TIMEOUT)).unwrap();
    // The node may hang up at any moment, which is its right.
    let _ = stream.write_all(bytes);
    stream
}

fn still_works(setup: &Setup, after: &str) {
    for number in setup.mesh.numbers() {
        let status = setup.mesh.status(number).unwrap();
        assert!(status.not_ready.is_empty(), "node {number} after {after}: {:?}", status.not_ready);
        let api = setup.mesh.node(number).api;
        assert_eq!(http(api, &request("/readyz", &api.to_string())).0, 200, "after {after}");
    }
    let bob = setup.mesh.account("bob").to_string();
    let answer = setup.shell.run(&["ledger", "send", "0.5", &bob, "--from", "alice"]);
    assert_eq!(answer.code, Some(0), "a payment after {after}: {answer:?}");
}

fn strangers_at_the_p2p_port(setup: &Setup) {
    let to = SocketAddr::from(([127, 0, 0, 1], setup.mesh.node(1).p2p_port));
    // The beginning of a handshake that is then broken, a huge length, plain garbage; half of them stay connected.
    let openings: [&[u8]; 4] = [b"\x13/multistream/1.0.0\n\x07/noise\n", &[0xff; 16], b"GET / HTTP/1.1\r\n\r\n", b""];
    let strangers = (0..STRANGERS).map(|seed| stranger(to, &[openings[seed % 4], &garbage(seed)].concat()));
    let staying: Vec<TcpStream> = strangers.step_by(2).collect();
    still_works(setup, "garbage at the p2p port");
    drop(staying);
}

fn strangers_at_the_api(setup: &Setup) {
    let to = setup.mesh.node(1).api;
    let staying: Vec<TcpStream> = (0..STRANGERS).map(|seed| stranger(to, &garbage(seed))).collect();
    let body = "{\"hex\":\"".to_owned() + &"0".repeat(20 * 1_024 * 1_024);
    let huge = post(to, "/v1/transactions", &body);
    let half = stranger(to, &huge.as_bytes()[..1_000]);
    let (code, _) = http(to, &huge);
    assert!(code == 0 || code == 413, "20 MiB of transaction: {code}");
    for wrong in ["not json", "{}", "{\"hex\":\"zz\"}", "{\"hex\":\"00\",\"more\":1}", "{\"hex\":\"deadbeef\"}"] {
        let (code, text) = http(to, &post(to, "/v1/transactions", wrong));
        assert!((400..500).contains(&code), "{wrong}: {code} {text}");
        let (_, problem) = text.split_once("\r\n\r\n").unwrap();
        let problem: mesh30k_node::api::types::Problem = serde_json::from_str(problem).unwrap();
        assert!(problem.status == code && !problem.detail.is_empty(), "{problem:?}");
    }
    still_works(setup, "garbage at the API");
    drop((staying, half));
}

fn foreign_hosts(setup: &Setup) {
    let api = setup.mesh.node(1).api;
    let port = api.port();
    let rebound =
        [format!("evil.example:{port}"), format!("127.0.0.1.evil.example:{port}"), format!("10.0.0.1:{port}")];
    for host in rebound.iter().map(String::as_str).chain(["127.0.0.1:1", "127.0.0.1", ""]) {
        let (code, text) = http(api, &request("/v1/status", host));
        assert_eq!(code, 403, "Host: {host}: {text}");
    }
    for host in [api.to_string(), format!("localhost:{port}")] {
        assert_eq!(http(api, &request("/v1/status", &host)).0, 200, "Host: {host}");
    }
}

fn request(path: &str, host: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

fn post(to: SocketAddr, path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Status and whole text of the answer to a request written by hand.
fn http(to: SocketAddr, request: &str) -> (u16, String) {
    answer_of(stranger(to, request.as_bytes()))
}

/// 0 when the other side hung up without a word.
fn answer_of(mut stream: TcpStream) -> (u16, String) {
    let mut bytes = Vec::new();
    // Cut off in the middle is an answer too.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    (text.split_whitespace().nth(1).and_then(|code| code.parse().ok()).unwrap_or(0), text)
}

/// A receipt and proofs of state are fetched from the running mesh and checked when nothing of it runs any more.
fn receipts(setup: Setup) {
    let bob = setup.mesh.account("bob").to_string();
    let sent = setup.shell.run(&["ledger", "send", "2", &bob, "--from", "alice", "--json"]);
    let id = serde_json::from_str::<TransactionRow>(&sent.stdout).unwrap().id.to_string();
    let receipt = setup.shell.run(&["ledger", "receipt", &id]).stdout;
    let (held, absent) = proofs_of_state(&setup, &bob);
    let balance = setup.shell.run(&["ledger", "balance", "bob", "--json"]);
    let balance = serde_json::from_str::<AccountRow>(&balance.stdout).unwrap().balance_uftns;
    let genesis = setup.home.join("genesis.json");
    fs::copy(setup.mesh.layout().genesis_file(), &genesis).unwrap();
    let api = setup.mesh.node(1).api;
    drop(setup.mesh);
    wait_until("the mesh is gone", STRANGER_TIMEOUT, || {
        TcpStream::connect(api).map_or(Ok(()), |_| Err(api.to_string()))
    });

    let shell = Shell::new(&setup.home);
    let path = setup.home.join("receipt.json");
    let verify = |content: &str| {
        fs::write(&path, content).unwrap();
        shell.run(&["ledger", "verify", text(&path), "--genesis", text(&genesis)])
    };
    let valid = verify(&receipt);
    assert!(valid.code == Some(0) && valid.stdout.contains(&id) && valid.stdout.contains("final"), "{valid:?}");

    no_digit_may_change(&receipt, verify);
    let valid = verify(&held);
    for part in [&format!("account {bob} holds {balance} after block"), "certified by nodes", "block time 20"] {
        assert!(valid.code == Some(0) && valid.stdout.contains(part), "no `{part}`: {valid:?}");
    }
    no_digit_may_change(&held, verify);
    let valid = verify(&absent);
    assert!(valid.code == Some(0) && valid.stdout.contains("does not exist after block"), "{valid:?}");
    let hidden = verify(&absent.replace(&hex_text(&absent, "key"), &hex_text(&held, "key")));
    says(&hidden, 1, &["the proof of state proves nothing"]);
    says(&verify("{}"), 1, &["is neither a receipt", "nor a proof of state"]);
    let other = verify(&receipt.replace(&hex_text(&receipt, "tx_root"), &"0".repeat(64)));
    says(&other, 1, &["the certificate is for another block"]);
}

/// Proofs that an account holds something and that another does not exist, as they were written.
fn proofs_of_state(setup: &Setup, bob: &str) -> (String, String) {
    let nobody = mesh30k_ledger::types::AccountId([7; 20]).to_string();
    let prove = |account: &str, name: &str| {
        let path = setup.home.join(name);
        let answer = setup.shell.run(&["ledger", "prove", account, "--out", text(&path)]);
        assert!(answer.code == Some(0) && answer.stdout.contains("mesh30k ledger verify"), "{answer:?}");
        fs::read_to_string(path).unwrap()
    };
    let proofs = (prove(bob, "held.json"), prove(&nobody, "absent.json"));
    let again = setup.shell.run(&["ledger", "prove", bob, "--out", text(&setup.home.join("held.json"))]);
    says(&again, 1, &["can't be made"]);
    says(&setup.shell.run(&["ledger", "prove", "--out", "x.json"]), 2, &["ACCOUNT"]);
    says(&setup.shell.run(&["ledger", "prove", "--key", "6g", "--out", "x.json"]), 2, &["is not hexadecimal"]);
    let outside = setup.shell.run(&["ledger", "prove", "--key", "6d74", "--out", "x.json"]);
    says(&outside, 4, &["key 6d74 is not in the committed state"]);
    proofs
}

/// Whichever digit of a proof is another one: it is refused, with a reason.
fn no_digit_may_change(proof: &str, verify: impl Fn(&str) -> Answer) {
    let places = places(proof);
    assert!(places.len() >= 20, "a proof has hashes, signatures and numbers: {proof}");
    for place in places {
        let mut changed = proof.to_owned().into_bytes();
        changed[place] = flip(changed[place]);
        let answer = verify(std::str::from_utf8(&changed).unwrap());
        let around = proof.get(place.saturating_sub(60)..place + 10);
        assert!(answer.code.is_some_and(|code| code != 0), "a bit flipped in {around:?} passes: {answer:?}");
        assert!(answer.stderr.starts_with("mesh30k: ") && answer.stderr.len() > 20, "no reason: {answer:?}");
    }
}

/// One digit of every hexadecimal text and of every number of a JSON document.
fn places(json: &str) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 0;
    for (index, part) in json.split('"').enumerate() {
        let is_text = index % 2 == 1;
        if is_text && part.len() >= 40 && part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            places.push(at + part.len() / 2);
        }
        let bytes = part.as_bytes();
        let ends_number =
            |at: &usize| bytes[*at].is_ascii_digit() && !bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if !is_text {
            places.extend((0..bytes.len()).filter(ends_number).map(|inside| at + inside));
        }
        at += part.len() + 1;
    }
    places
}

/// Another hexadecimal digit, one bit away.
fn flip(digit: u8) -> u8 {
    let value = (digit as char).to_digit(16).unwrap() ^ 1;
    char::from_digit(value, 16).unwrap() as u8
}

/// The hexadecimal text of the first field of this name.
fn hex_text(json: &str, field: &str) -> String {
    let after = json.split_once(&format!("\"{field}\"")).unwrap().1;
    after.split('"').nth(1).unwrap().to_owned()
}
