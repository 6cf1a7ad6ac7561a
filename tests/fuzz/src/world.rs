//! The chain that inputs are held against: two blocks, of which the second is certified and has two payments in it.

use mesh30k_ledger::block::Block;
use mesh30k_ledger::execute::Execution;
use mesh30k_ledger::finality::Certificate;
use mesh30k_ledger::finality_proof::FinalityProof;
use mesh30k_ledger::ops::{Operation, Transfer};
use mesh30k_ledger::receipt::Receipt;
use mesh30k_ledger::types::Uftns;
use std::sync::LazyLock;

use crate::common::{World, alice, bob, id_of, operator, tasks};

/// A chain, its last block and the proof that it is final.
pub struct Certified {
    /// After the block.
    pub world: World,
    /// The last one.
    pub block: Block,
    /// What carrying it out gave.
    pub execution: Execution,
    /// By three of four.
    pub certificate: Certificate,
}

/// Always the same chain: keys, times and hashes are fixed.
pub static CERTIFIED: LazyLock<Certified> = LazyLock::new(|| {
    let mut world = tasks::mesh(World::new());
    let pay = |from, to| {
        let memo = "rent".to_owned();
        world.signed(from, Operation::Transfer(Transfer { to: id_of(to), amount: Uftns(5), memo }))
    };
    let transactions = vec![pay(&alice(), &bob()), pay(&bob(), &operator())];
    let (block, execution) = world.run(10, transactions);
    let certificate = world.certify(&block, &execution);
    Certified { world, block, execution, certificate }
});

impl Certified {
    /// The receipt of one of the two payments.
    pub fn receipt(&self, index: usize) -> Receipt {
        let finality = FinalityProof {
            header: self.block.header,
            commitment: self.execution.commitment,
            certificate: self.certificate.clone(),
            handovers: Vec::new(),
        };
        Receipt::build(&self.block, &self.execution, finality, index).expect("there is such a payment")
    }
}
