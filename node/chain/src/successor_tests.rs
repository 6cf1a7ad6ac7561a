use std::sync::Arc;

use mesh30k_consensus::storage::{FlushMode, MemDisk};
use mesh30k_ledger::block::Header;
use mesh30k_ledger::finality::{Phase, SignedVote, Validator, Vote};
use mesh30k_ledger::genesis::GenesisPools;
use mesh30k_ledger::handover::{HandoverError, RestartTerms, SignedRestartTerms};
use mesh30k_ledger::keys::SecretKey;
use mesh30k_ledger::operators::Operators;
use mesh30k_ledger::parameters::Parameters;
use mesh30k_ledger::query;
use mesh30k_ledger::records::Regions;
use mesh30k_ledger::transaction::KeyedSignature;
use mesh30k_ledger::types::{AccountId, ChainId, Hash, NodeId, TimeMs, Uftns};

use super::*;

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

fn set(nodes: std::ops::RangeInclusive<u8>) -> ValidatorSet {
    let seat = |n: u8| Validator { node: NodeId(n.into()), key: key(n).public(), account: AccountId([n; 20]) };
    ValidatorSet(nodes.map(seat).collect())
}

fn genesis() -> Genesis {
    let registration = |n: u8| mesh30k_ledger::ops::NodeRegistration {
        transport_key: vec![n; 38],
        host_key: key(n).public(),
        store_id: Hash::of(&[n]),
        addresses: Vec::new(),
        region: "DE".parse().unwrap(),
    };
    let node = |n: u8| mesh30k_ledger::genesis::GenesisNode {
        account: AccountId([n; 20]),
        registration: registration(n),
        renewable_ppm: 0,
    };
    Genesis {
        chain: ChainId::new("successor").unwrap(),
        time: TimeMs(1),
        validators: set(1..=4),
        nodes: (1..=4).map(node).collect(),
        accounts: Vec::new(),
        operators: Operators { threshold: 2, keys: (101..=103).map(|n| key(n).public()).collect() },
        parameters: Parameters::default(),
        regions: Regions::default(),
        pools: GenesisPools::default(),
        supply_cap: Uftns(1),
        offices: Vec::new(),
    }
}

fn block(height: u64, at: (u32, u32)) -> Block {
    let context = genesis().context();
    let header = Header {
        chain: context.chain,
        epoch: Epoch(at.0),
        round: Round(at.1),
        height: Height(height),
        parent: Hash::of(&height.to_be_bytes()),
        tx_root: Hash::ZERO,
        parent_state_root: Hash::ZERO,
        next_validators_hash: Hash::ZERO,
        time: TimeMs(height),
        term: 1,
        proposer: NodeId(1),
        reset: None,
    };
    Block::sign(header, Vec::new(), &context, &key(1))
}

fn certificate(block: &Block, signers: &[u8]) -> Certificate {
    let Header { epoch, round, height, parent, .. } = block.header;
    let vote = |n: &u8| {
        Vote {
            phase: Phase::First,
            context: genesis().context(),
            epoch,
            round,
            height,
            block: block.id(),
            parent,
            commitment: Hash::of(b"result"),
            lock: None,
            validator: NodeId((*n).into()),
        }
        .sign(&key(*n))
    };
    let votes: Vec<SignedVote> = signers.iter().map(vote).collect();
    Certificate::assemble(&votes).unwrap()
}

fn tip(block: &Block) -> FinalTip {
    FinalTip::of(&block.header, &certificate(block, &[1]))
}

/// Validators 3 and 4 are lost at block 7; block 8 stays with the votes of 1 and 2, who certify block 9.
fn shown(operators: &[u8]) -> Succession {
    let terms = RestartTerms {
        context: genesis().context(),
        base: certificate(&block(7, (0, 0)), &[1, 2, 3]),
        stays: vec![BlockResult::of(&certificate(&block(8, (0, 0)), &[1, 2]))],
        epoch: Epoch(1),
        round: Round(1),
        new_chain: None,
        validators: set(1..=2),
        statements: Hash::ZERO,
        valid_until: TimeMs(0),
    };
    let message = terms.signing_hash();
    let one = |n: &u8| KeyedSignature { key: key(*n).public(), signature: key(*n).sign(message.as_bytes()) };
    let mut signatures: Vec<_> = operators.iter().map(one).collect();
    signatures.sort_by_key(|one| one.key);
    let handovers = vec![Handover::Restart(SignedRestartTerms { terms, signatures })];
    Succession { handovers, certificate: certificate(&block(9, (1, 1)), &[1, 2]) }
}

fn show(successor: &mut Successor, shown: &Succession, tip: &FinalTip) -> Result<bool, SuccessionError> {
    successor.on_succession(shown, &genesis(), tip, (Epoch(0), Round(0)))
}

#[test]
fn a_follower_takes_what_stays_and_hands_over_where_the_order_says() {
    let mut successor = Successor::default();
    let (five, seven, eight) = (tip(&block(5, (0, 0))), tip(&block(7, (0, 0))), tip(&block(8, (0, 0))));
    let stays = block(8, (0, 0));
    let votes = certificate(&stays, &[1, 2]);
    assert!(!successor.keeps(&seven, &stays, &votes), "nobody has shown an order yet");
    assert_eq!(show(&mut successor, &shown(&[101, 102]), &five), Ok(true));
    assert_eq!((successor.due(&five), successor.due(&seven)), (None, None));
    assert!(!successor.keeps(&five, &stays, &votes), "not its turn");
    assert!(successor.keeps(&seven, &stays, &votes));
    let other = block(8, (1, 1));
    assert!(!successor.keeps(&seven, &other, &certificate(&other, &[1, 2])), "another block");
    assert!(!successor.keeps(&seven, &other, &votes), "another body");
    let handover = successor.due(&eight).unwrap();
    assert_eq!(handover.leads_to(), (Epoch(1), Round(1)));
    assert_eq!(successor.due(&eight), None, "once");
    let beyond = successor.on_succession(&shown(&[101, 102]), &genesis(), &eight, (Epoch(1), Round(1)));
    assert_eq!((beyond, successor.due(&eight)), (Ok(false), None), "it was there already");
}

#[test]
fn nothing_is_followed_that_is_not_proven() {
    let mut successor = Successor::default();
    let seven = tip(&block(7, (0, 0)));
    let few = show(&mut successor, &shown(&[101]), &seven);
    let source = HandoverError::TooFewOperators { found: 1, threshold: 2 };
    assert_eq!(few, Err(AuthorityError::Handover { number: 1, source }.into()));
    // An order that the new validators never carried out.
    let idle = Succession { certificate: certificate(&block(8, (0, 0)), &[1, 2]), ..shown(&[101, 102]) };
    let (epoch, round) = (Epoch(1), Round(1));
    assert_eq!(show(&mut successor, &idle, &seven), Err(SuccessionError::NotInUse { epoch, round }));
    let alone = Succession { certificate: certificate(&block(9, (1, 1)), &[1]), ..shown(&[101, 102]) };
    assert!(matches!(show(&mut successor, &alone, &seven), Err(SuccessionError::Authority(_))));
    let own = Height(9);
    let undone = show(&mut successor, &shown(&[101, 102]), &tip(&block(9, (0, 0))));
    assert_eq!(undone, Err(SuccessionError::Undoes { round, last: Height(8), own }));
    assert_eq!(successor.due(&tip(&block(8, (0, 0)))), None);
    // Without a hand-over, the validators of the genesis are meant.
    let none = Succession { handovers: Vec::new(), certificate: certificate(&block(3, (0, 0)), &[1, 2, 3]) };
    assert_eq!(none.verify(&genesis()), Ok(set(1..=4)));
    assert_eq!(show(&mut successor, &none, &seven), Ok(false));
}

#[test]
fn a_hand_over_is_written_with_its_proof() {
    let store = LedgerStore::new(Arc::new(MemDisk::new(FlushMode::Immediate).open()));
    store.replace_state(&genesis().initial_changes().unwrap(), None).unwrap();
    let handover = shown(&[101, 102]).handovers.remove(0);
    assert_eq!(store.handovers().unwrap(), []);
    store.carry_out(&handover).unwrap();
    assert_eq!(store.handovers().unwrap(), [handover]);
    assert_eq!(query::validator_set(&store).unwrap(), set(1..=2));
    assert_eq!((query::epoch(&store).unwrap(), query::tip(&store).unwrap().round), (Epoch(1), Round(1)));
}
