//! A validator whose books do not balance halts with a report that says so, and builds nothing on them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use mesh30k_chain::{Applied, Core, LedgerStore, Verdicts};
use mesh30k_consensus::app::LogPosition;
use mesh30k_consensus::finality::{
    ChainAction, ChainTracker, FinalTip, HaltCause, HaltReport, Proposer, TrackerConfig,
};
use mesh30k_consensus::storage::{FlushMode, MemDisk};
use mesh30k_ledger::block::{Block, Header};
use mesh30k_ledger::codec::{decode, encode};
use mesh30k_ledger::finality::{Validator, ValidatorSet};
use mesh30k_ledger::genesis::{Genesis, GenesisAccount, GenesisNode, GenesisPools};
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::operators::Operators;
use mesh30k_ledger::ops::NodeRegistration;
use mesh30k_ledger::parameters::Parameters;
use mesh30k_ledger::query;
use mesh30k_ledger::records::{Globals, Regions};
use mesh30k_ledger::types::{ChainId, Epoch, Hash, Height, NodeId, Round, TimeMs, Uftns};

/// Where the running totals are.
const GLOBALS: &[u8] = b"cg";
const NOW: TimeMs = TimeMs(1_000);

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

fn genesis() -> Genesis {
    let policy = KeyPolicy::single(key(1).public());
    let registration = NodeRegistration {
        transport_key: vec![1; 38],
        host_key: key(9).public(),
        store_id: Hash::ZERO,
        addresses: vec![],
        region: "DE".parse().unwrap(),
    };
    Genesis {
        chain: ChainId::new("test").unwrap(),
        time: TimeMs(1),
        validators: ValidatorSet(vec![Validator { node: NodeId(1), key: key(9).public(), account: policy.account() }]),
        nodes: vec![GenesisNode { account: policy.account(), registration, renewable_ppm: 0 }],
        accounts: vec![GenesisAccount { policy, balance: Uftns::ftns(1_000), region: None }],
        operators: Operators { threshold: 1, keys: vec![key(9).public()] },
        parameters: Parameters::default(),
        regions: Regions::default(),
        pools: GenesisPools::default(),
        supply_cap: Uftns::ftns(1_000_000),
        offices: Vec::new(),
    }
}

/// A validator's core on a genesis whose totals were bent by so much.
fn core(genesis: &Genesis, bent_by: u64) -> Core {
    let mut changes = genesis.initial_changes().unwrap();
    let bytes = changes.get(GLOBALS).cloned().flatten().unwrap();
    let mut globals: Globals = decode(&bytes, bytes.len()).unwrap();
    globals.totals.balances.0 += bent_by;
    changes.insert(GLOBALS.to_vec(), Some(encode(&globals)));
    let store = LedgerStore::new(Arc::new(MemDisk::new(FlushMode::Immediate).open()));
    store.replace_state(&changes, None).unwrap();
    let tip = query::tip(&store).unwrap();
    let tip = FinalTip { height: tip.height, block: tip.block, commitment: Hash::ZERO, time: tip.time };
    let config = TrackerConfig {
        context: genesis.context(),
        validators: genesis.validators.clone(),
        epoch: Epoch(0),
        round: Round(0),
        own: Some(NodeId(1)),
    };
    Core::new(ChainTracker::new(config, tip), Proposer::new(NOW), store, Arc::new(Verdicts::default()))
}

fn block(core: &Core, genesis: &Genesis) -> Vec<u8> {
    let tip = query::tip(core.state()).unwrap();
    let header = Header {
        chain: genesis.chain,
        epoch: Epoch(0),
        round: Round(0),
        height: tip.height.next(),
        parent: tip.block,
        tx_root: Block::transactions_root(&[]),
        parent_state_root: tip.state_root,
        next_validators_hash: genesis.validators.hash(),
        time: tip.time.plus_ms(100),
        term: 1,
        proposer: NodeId(1),
        reset: None,
    };
    encode(&Block::sign(header, Vec::new(), &genesis.context(), &key(9)))
}

#[test]
fn a_breach_halts_and_says_what_does_not_hold() {
    let genesis = genesis();
    let mut sound = core(&genesis, 0);
    let bytes = block(&sound, &genesis);
    let applied = sound.apply(NOW, LogPosition { term: 1, index: 1 }, &bytes).unwrap();
    assert_eq!(applied, Applied::Executed(Height(1)));

    let mut bent = core(&genesis, 1);
    let bytes = block(&bent, &genesis);
    let applied = bent.apply(NOW, LogPosition { term: 1, index: 1 }, &bytes).unwrap();
    assert!(matches!(&applied, Applied::NoOp(why) if why.contains("money is not conserved")), "{applied:?}");
    assert_eq!(query::tip(bent.state()).unwrap().height, Height(0), "nothing of the block was kept");
    let Some(ChainAction::Halt { report }) = bent.next_action() else { panic!("it goes on") };
    assert_eq!((report.cause, report.height, report.final_height), (HaltCause::BooksBroken, Height(1), Height(0)));
    for part in ["block 1", "money is not conserved", "defect of this build or damage to its state", "node recover"] {
        assert!(report.sentence.contains(part), "`{part}` is missing in: {}", report.sentence);
    }
    assert!(bent.tracker.halted().is_some(), "it proposes and votes no more");
    // What is written to disk reads back, so that a restart stays halted.
    let text = serde_json::to_string(&*report).unwrap();
    assert_eq!(serde_json::from_str::<HaltReport>(&text).unwrap(), *report);
    let applied = bent.apply(NOW, LogPosition { term: 1, index: 2 }, &bytes).unwrap();
    assert!(matches!(applied, Applied::NoOp(_)), "{applied:?}");
}
