//! The mesh's people at their shells: alice and bob, and the operators of the nodes, who hold every office.

use std::path::Path;

use mesh30k_node::api::types::Status;
use mesh30k_node::identity::read_account_key;
use mesh30k_testnet::client::ApiClient;
use mesh30k_testnet::wallet::Wallet;
use mesh30k_tests::cli::{Answer, Shell};
use mesh30k_tests::mesh::TestMesh;
use serde_json::Value;

pub(crate) struct People<'a> {
    pub(crate) mesh: &'a TestMesh,
    pub(crate) home: &'a Path,
    shell: Shell,
}

impl<'a> People<'a> {
    pub(crate) fn new(home: &'a Path, mesh: &'a TestMesh) -> Self {
        Self { mesh, home, shell: Shell::of(home, mesh) }
    }

    /// The path of the key of a node's account.
    pub(crate) fn operator(&self, number: u32) -> String {
        self.mesh.node(number).data_dir.join("keys/account.key").to_str().unwrap().to_owned()
    }

    /// A wallet of that key.
    pub(crate) fn operators_wallet(&self, number: u32) -> Wallet {
        let key = read_account_key(Path::new(&self.operator(number))).unwrap();
        // Its requests may wait at the node until something is final.
        Wallet::open(ApiClient::new(&self.mesh.node(number).api_url()), key).unwrap()
    }

    pub(crate) fn run(&self, words: &[&str]) -> Answer {
        self.shell.run(words)
    }

    /// What a command says that does what it was told to.
    #[track_caller]
    pub(crate) fn done(&self, words: &[&str]) -> String {
        let answer = self.run(words);
        assert_eq!(answer.code, Some(0), "{words:?}: {answer:?}");
        answer.stdout
    }

    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.done(&words)).unwrap()
    }

    /// A command whose words are right and that node or ledger refuse.
    #[track_caller]
    pub(crate) fn refused(&self, words: &[&str], part: &str) {
        let answer = self.run(words);
        assert!(answer.code == Some(4) && answer.stderr.contains(part), "`{part}` is not in {words:?}: {answer:?}");
    }

    /// A command whose words can't be meant.
    #[track_caller]
    pub(crate) fn misused(&self, words: &[&str], part: &str) {
        let answer = self.run(words);
        assert!(answer.code == Some(2) && answer.stderr.contains(part), "`{part}` is not in {words:?}: {answer:?}");
    }

    pub(crate) fn reputation(&self, account: &str) -> u64 {
        self.json(&["contribution", "standing", account])["reputation"].as_u64().unwrap()
    }

    pub(crate) fn balance(&self, account: &str) -> u64 {
        self.json(&["ledger", "balance", account])["balance_uftns"].as_u64().unwrap()
    }

    /// The node's number here that the ledger knows as `id`.
    pub(crate) fn number_of(&self, id: u64) -> u32 {
        let is_it = |status: Status| status.node.is_some_and(|node| node.0 == id);
        let mut numbers = self.mesh.numbers().into_iter();
        numbers.find(|number| self.mesh.status(*number).is_ok_and(is_it)).expect("a node of the mesh")
    }
}

/// The name of what a transaction made.
pub(crate) fn made(row: &Value) -> String {
    row["created"][0].as_str().unwrap_or_else(|| panic!("nothing was made: {row}")).to_owned()
}

/// Words that were put together.
pub(crate) fn words(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}
