//! Writes the inputs that fuzzing begins with: `.tools/fuzz.sh corpus`. Always the same bytes.

use borsh::BorshSerialize;
// What the instrumented crates call on every edge.
use libfuzzer_sys as _;
use mesh30k_chain::{Restart, SignedRestart, SignedStatement, Statement, TailBlock};
use mesh30k_consensus::finality::snapshot::Pair;
use mesh30k_consensus::finality::{Evidence, SignedHeader};
use mesh30k_core::beat::{BatchKind, HostBatch};
use mesh30k_core::lead::{Fencing, LeaseGrant, SectorEntry};
use mesh30k_core::time::TimeUs;
use mesh30k_core::wire::Hlc;
use mesh30k_fuzz::common::{key, operator, vote};
use mesh30k_fuzz::files::ARCHIVE;
use mesh30k_fuzz::operations::Step;
use mesh30k_fuzz::wire::{ledger, sectors, tasks};
use mesh30k_fuzz::world::CERTIFIED;
use mesh30k_fuzz::{lanes, raft, scene, sign_log, snapshot, wire};
use mesh30k_ledger::codec::encode;
use mesh30k_ledger::export::export;
use mesh30k_ledger::restore::travels;
use mesh30k_ledger::state::StateRead as _;
use mesh30k_ledger::types::{AgentId, ClusterId, Epoch, Hash, Height, NodeId, Round, SectorId, TimeMs};
use std::collections::BTreeMap;
use std::path::Path;

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut files = 0;
    for (target, name, bytes) in all() {
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        std::fs::write(folder.join(name), bytes).expect("the file can be written");
        files += 1;
    }
    println!("{files} inputs in {}", folder.display());
}

type Input = (&'static str, String, Vec<u8>);

fn all() -> Vec<Input> {
    let parts =
        [objects(), operations(), snapshots(), ledger_files(), restarts(), logs_and_frames(), messages(), texts()];
    parts.into_iter().flatten().collect()
}

fn input(target: &'static str, name: &str, bytes: impl Into<Vec<u8>>) -> Input {
    (target, name.to_owned(), bytes.into())
}

/// A value of a target that reads several kinds.
fn kind<T: BorshSerialize>(target: &'static str, name: &str, kind: u8, value: &T) -> Input {
    input(target, name, [&[kind], encode(value).as_slice()].concat())
}

fn objects() -> Vec<Input> {
    let (world, certified) = (&CERTIFIED.world, &*CERTIFIED);
    let double = |block| vote(world.context, 2, 7, block).sign(&key(52));
    let evidence = Evidence::DoubleVote { first: double(b"a"), second: double(b"b") };
    let mut other = certified.block.clone();
    other.header.time = TimeMs(other.header.time.0 + 1);
    let other = mesh30k_ledger::block::Block::sign(other.header, Vec::new(), &world.context, &key(51));
    let headers =
        Evidence::DoubleHeader { first: SignedHeader::of(&certified.block), second: SignedHeader::of(&other) };
    let signed = certified.certificate.vote_of(NodeId(1)).sign(&key(51));
    vec![
        input("block", "two-payments", encode(&certified.block)),
        input("block", "next-empty", encode(&world.block(10, Vec::new()))),
        input("block", "header", encode(&certified.block.header)),
        input("transaction", "payment", certified.block.transactions[0].to_bytes()),
        input(
            "transaction",
            "next-payment",
            world.signed(&operator(), certified.block.transactions[0].tx.op.clone()).to_bytes(),
        ),
        input("vote", "signed", encode(&signed)),
        input("vote", "unsigned", encode(&signed.vote)),
        input("certificate", "of-the-block", encode(&certified.certificate)),
        input("receipt", "first", encode(&certified.receipt(0))),
        input("receipt", "second", encode(&certified.receipt(1))),
        input("evidence", "double-vote", evidence.encode()),
        input("evidence", "double-header", headers.encode()),
    ]
}

fn operations() -> Vec<Input> {
    let scene = scene::scene();
    let examples = scene::examples(&scene).into_iter().enumerate();
    let signers = [101, 102, 110, 1, 2, 3, 4].map(key);
    examples
        .map(|(number, (who, op))| {
            let signer = signers.iter().position(|known| known.public() == who.public()).unwrap_or(0);
            let name = format!("{number:02}");
            let step = Step { signer: u8::try_from(signer).expect("seven"), after_ms: 1, op };
            ("operations", name, encode(&vec![step]))
        })
        .collect()
}

fn snapshots() -> Vec<Input> {
    let state = &CERTIFIED.world.state;
    // A few of everything that travels.
    let mut pairs: Vec<Pair> = Vec::new();
    for domain in 0..=u8::MAX {
        let page = state.scan(&[domain], &[], 4).expect("memory can be read");
        pairs.extend(page.into_iter().filter(|(key, value)| travels(key) && value.len() < 200));
    }
    pairs.truncate(12);
    let bytes = encode(&pairs);
    vec![
        input("snapshot_manifest", "one-chunk", snapshot::genuine(vec![snapshot::info(&bytes)]).encode()),
        input("snapshot_chunk", "some-records", bytes),
        input("snapshot_chunk", "empty", encode(&Vec::<Pair>::new())),
    ]
}

fn ledger_files() -> Vec<Input> {
    let world = &CERTIFIED.world;
    let mut lines = Vec::new();
    export(&world.state, |line| lines.push(line)).expect("memory can be read");
    // The first of each kind that is short: the root no longer fits, which the target mends.
    let (mut kinds, mut some) = (BTreeMap::new(), vec![lines[0].clone()]);
    for line in &lines[1..] {
        let kind = line.split_once("\"kind\":").map_or("", |(_, rest)| rest.split(',').next().unwrap_or(""));
        let seen = kinds.entry(kind.to_owned()).or_insert(0);
        *seen += 1;
        if *seen <= 2 && line.len() < 500 {
            some.push(line.clone());
        }
    }
    vec![
        input("export", "some-records", some.join("\n")),
        input("archive", "head", ARCHIVE[..3].join("\n")),
        input("genesis", "test", serde_json::to_string(&world.genesis).expect("it can be written")),
    ]
}

fn restarts() -> Vec<Input> {
    let (world, certified) = (&CERTIFIED.world, &*CERTIFIED);
    let said = |n: u8| {
        let tail = TailBlock {
            block: world.block(10, Vec::new()),
            vote: vote(world.context, u64::from(n), certified.block.header.height.0 + 1, b"a").sign(&key(50 + n)),
        };
        let statement = Statement {
            context: world.context,
            node: NodeId(u64::from(n)),
            epoch: Epoch(0),
            round: Round(0),
            last_final: certified.certificate.clone(),
            log_end: (1, 2),
            tail: if n == 1 { vec![tail] } else { Vec::new() },
        };
        let signature = key(50 + n).sign(statement.signing_hash().as_bytes());
        SignedStatement { statement, signature }
    };
    let order = Restart {
        stays: Vec::new(),
        context: world.context,
        base: certified.certificate.clone(),
        epoch: Epoch(0),
        round: Round(1),
        new_chain: None,
        validators: world.genesis.validators.clone(),
        statements: vec![said(2), said(3)],
        valid_until: TimeMs(u64::MAX),
    };
    let signatures = vec![order.sign(&operator())];
    let signed = SignedRestart { order, signatures };
    let json = |text: String, kind: u8| [&[kind], text.as_bytes()].concat();
    let text = serde_json::to_string(&signed).expect("it can be written");
    let word = serde_json::to_string(&said(1)).expect("it can be written");
    vec![
        input("restart_order", "order-json", json(text, 0)),
        kind("restart_order", "order", 1, &signed),
        input("restart_order", "word-json", json(word, 2)),
        kind("restart_order", "word", 3, &said(1)),
    ]
}

fn logs_and_frames() -> Vec<Input> {
    let mut bodies = Vec::new();
    let mut body = |parts: &[&[u8]]| {
        let mut bytes = parts.concat();
        bytes.resize(96, 0);
        bodies.extend_from_slice(&bytes);
    };
    body(&[b"M30KSIGN", &key(51).public().0, &[0; 4], &[0]]);
    for height in 1..=3_u64 {
        body(&[b"M30KVOTE", &[1, 1], &[0; 4], &[0; 4], &height.to_le_bytes(), &Hash::of(&height.to_le_bytes()).0]);
    }
    body(&[b"M30KVOTE", &[1, 2], &[0; 4], &[0; 4], &3_u64.to_le_bytes(), &Hash::ZERO.0]);
    body(&[b"M30KVOTE", &[2, 0], &1_u32.to_le_bytes()]);
    let file = sign_log::seal(&bodies);
    let mut inputs = vec![
        input("sign_log", "file", [&[0], file.as_slice()].concat()),
        input("sign_log", "torn", [&[0], &file[..file.len() - 60]].concat()),
        input("sign_log", "bodies", [&[1], bodies.as_slice()].concat()),
        input("lane_frame", "six-frames", lanes::sample()),
    ];
    inputs.extend(raft::samples().into_iter().map(|(name, bytes)| input("raft_frame", name, bytes)));
    inputs.extend(wire::event::samples().into_iter().map(|(name, bytes)| input("event_wire", name, bytes)));
    inputs
}

fn messages() -> Vec<Input> {
    let (world, certified) = (&CERTIFIED.world, &*CERTIFIED);
    let announcement = ledger::Announcement {
        header: certified.block.header,
        certificate: certified.certificate.clone(),
        block: Some(certified.block.clone()),
    };
    let blocks = ledger::SyncAnswer::Blocks(vec![(certified.block.clone(), certified.certificate.clone())]);
    let ask = ledger::SyncRequest::Blocks { from: Height(1), to: Height(2) };
    let submit = ledger::TxMessage::Submit(vec![certified.block.transactions[0].clone()]);
    let cluster = ClusterId { sector: SectorId(1), index: 2 };
    let batch = HostBatch {
        host: NodeId(1),
        sequence: 3,
        sent: Hlc { wall: TimeUs(1_000_000), logical: 0 },
        kind: BatchKind::Delta { base: 2 },
        reports: Vec::new(),
    };
    let batch = batch.sign(&world.context, &key(1));
    let lease = LeaseGrant {
        cluster,
        lead: NodeId(1),
        deputy: Some(NodeId(2)),
        from: TimeUs(1),
        until: TimeUs(2),
        after: Fencing { term: 1, index: 2 },
    };
    let notice = sectors::BeatNotice::Batch { sector: SectorId(1), batch: batch.clone() };
    let coordinator = sectors::Coordinator { term: 4, node: NodeId(1) };
    let leads = sectors::SectorGossip::Leads { sector: SectorId(1), coordinator };
    let request = tasks::TaskRequest {
        escrow: Hash([1; 32]),
        part: 3,
        agent: AgentId(5),
        module: tasks::TaskModule::Builtin("hello".to_owned()),
        input: b"a".to_vec(),
    };
    vec![
        kind("ledger_wire", "announcement", 0, &announcement),
        kind("ledger_wire", "ask-blocks", 1, &ask),
        kind("ledger_wire", "blocks", 2, &blocks),
        kind("ledger_wire", "submit", 3, &submit),
        kind("ledger_wire", "refused", 4, &ledger::SponsorAnswer::Refused("no".to_owned())),
        kind("sector_wire", "batch", 0, &sectors::BeatMessage::Notice(notice)),
        kind("sector_wire", "leads", 1, &leads),
        kind("sector_wire", "batches", 2, &SectorEntry::HostBatches(vec![batch])),
        kind("sector_wire", "leases", 2, &SectorEntry::Leases(vec![lease])),
        kind("task_wire", "request", 0, &request),
    ]
}

fn texts() -> Vec<Input> {
    let signed = hex::encode(CERTIFIED.block.transactions[0].to_bytes());
    let body = |kind: u8, text: String| [&[kind], text.as_bytes()].concat();
    let escrow = Hash([1; 32]);
    let plan = r#"{"strategy":"hold","at_us":5,"sector":1,"classes":["A"],"capabilities":["compute"],"agents":[1,2],"sample":2}"#;
    let point = r#"{"zone":"DE","carbonIntensity":390.5,"datetime":"2026-11-28T20:00:00.000Z","isEstimated":true}"#;
    // Magic, number of entries, lines, refused, and one authority.
    let mut output = b"MCA1".to_vec();
    output.extend_from_slice(&1_u32.to_le_bytes());
    for word in [9, 1, u64::from_be_bytes(*b"CISO\0\0\0\0"), 4, 0, 400, 90, 110] {
        output.extend_from_slice(&word.to_le_bytes());
    }
    vec![
        input("api_body", "hex", body(0, format!(r#"{{"hex":"{signed}"}}"#))),
        input("api_body", "batch", body(1, format!(r#"{{"hex":["{signed}"]}}"#))),
        input("api_body", "plan", body(2, plan.to_owned())),
        input(
            "api_body",
            "dispatch",
            body(3, format!(r#"{{"escrow":"{escrow}","part":0,"module_name":"hello","input_hex":"00"}}"#)),
        ),
        input("grid_document", "latest", point),
        input("grid_document", "history", format!(r#"{{"zone":"DE","history":[{point}]}}"#)),
        input("task_output", "one", output.clone()),
        input("task_output", "two", [output.as_slice(), &output].concat()),
    ]
}
