//! What every command shares: which node it asks, how it prints, where keys are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use mesh30k_ledger::key_policy::KeyPolicy;
use mesh30k_ledger::keys::{PublicKey, SecretKey};
use mesh30k_ledger::ops::Operation;
use mesh30k_ledger::types::{AccountId, TimeMs};
use mesh30k_node::api::types::Status;
use mesh30k_node::clock::wall_ms;
use mesh30k_node::identity::read_account_key;
use mesh30k_node::keystore::{KeyName, Keystore, PASSPHRASE_VARIABLE, Passphrase};
use mesh30k_testnet::client::ApiClient;
use mesh30k_testnet::running;
use mesh30k_testnet::wallet::Wallet;

use crate::exit::UsageError;
use crate::output::{json, line, or_dash};

/// Flags that every command takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct SessionArgs {
    /// Address of the node to ask; the running local testnet's first node when none is given.
    #[arg(long, global = true, env = "MESH30K_API", value_name = "URL")]
    api: Option<String>,
    /// Print JSON instead of tables.
    #[arg(long, global = true)]
    json: bool,
    /// Folder with the encrypted keys; the running local testnet's when none is given.
    #[arg(long, global = true, env = "MESH30K_KEYS", value_name = "DIR")]
    keys: Option<PathBuf>,
    /// File with the passphrase of the keys.
    #[arg(long, global = true, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// The flags with what the running local testnet adds to them.
pub(crate) struct Session {
    args: SessionArgs,
    testnet: Option<running::RunningTestnet>,
}

impl SessionArgs {
    /// Looks up the running local testnet, if there is one.
    pub(crate) fn open(self) -> Session {
        let testnet = running::find();
        Session { args: self, testnet }
    }
}

impl Session {
    /// True when a program reads the answer.
    pub(crate) const fn wants_json(&self) -> bool {
        self.args.json
    }

    /// A client of the node to ask.
    pub(crate) fn client(&self) -> Result<ApiClient> {
        let testnet = self.testnet.as_ref().map(|testnet| testnet.api.clone());
        let base = self.args.api.clone().or(testnet).ok_or_else(|| {
            UsageError(
                "no local testnet is running; start one with `mesh30k testnet up`, or name a node with --api".into(),
            )
        })?;
        Ok(ApiClient::new(&base))
    }

    /// All nodes of the running local testnet; none when another node was named.
    pub(crate) fn testnet_nodes(&self) -> Vec<ApiClient> {
        let testnet = self.testnet.as_ref().filter(|_| self.args.api.is_none());
        testnet.into_iter().flat_map(|testnet| &testnet.nodes).map(|node| ApiClient::new(&node.api)).collect()
    }

    /// Where the keys are.
    pub(crate) fn keystore(&self) -> Result<Keystore> {
        let testnet = self.testnet.as_ref().map(|testnet| testnet.keys.clone());
        let dir = self.args.keys.clone().or(testnet).map_or_else(running::default_keys_dir, Ok)?;
        Ok(Keystore::new(dir))
    }

    /// The passphrase: from the file named, from the environment, from the running testnet, or typed.
    pub(crate) fn passphrase(&self, prompt: &str) -> Result<Passphrase> {
        let file = self.args.passphrase_file.clone().or_else(|| {
            let is_testnet_store = self.args.keys.is_none();
            self.testnet.as_ref().filter(|_| is_testnet_store).map(|testnet| testnet.passphrase_file.clone())
        });
        let variable = std::env::var(PASSPHRASE_VARIABLE).ok();
        if let Some(found) = Passphrase::find(file.as_deref(), variable)? {
            return Ok(found);
        }
        Ok(Passphrase::new(read_hidden(prompt)?)?)
    }

    /// Unlocks the key called `name`; a path is that of a node's `account.key`, which nothing locks.
    pub(crate) fn unlock(&self, name: &str) -> Result<SecretKey> {
        Ok(self.unlock_with_account(name)?.0)
    }

    /// As [`Self::unlock`], with the account the key signs for.
    fn unlock_with_account(&self, name: &str) -> Result<(SecretKey, AccountId)> {
        if let Some(path) = key_file(name) {
            let key = read_account_key(path)?;
            let account = KeyPolicy::single(key.public()).account();
            return Ok((key, account));
        }
        let name: KeyName = name.parse()?;
        let keystore = self.keystore()?;
        keystore.show(&name)?;
        if keystore.waiting(&name)?.is_some() {
            eprintln!("Key {name} is being replaced; `mesh30k key rotate {name}` goes on with it.");
        }
        let passphrase = self.passphrase(&format!("Passphrase of key {name}: "))?;
        let opened = keystore.unlock(&name, &passphrase)?;
        Ok((SecretKey::from_seed(*opened.seed()), opened.account()))
    }

    /// An account given as `ftns1...`, or by its key as [`Self::unlock`] takes it.
    pub(crate) fn account(&self, text: &str) -> Result<AccountId> {
        if text.starts_with("ftns1") {
            return Ok(text.parse()?);
        }
        if key_file(text).is_some() {
            return Ok(KeyPolicy::single(self.public(text)?).account());
        }
        Ok(self.keystore()?.show(&text.parse()?)?.account)
    }

    /// The public half of a key, named as [`Self::unlock`] takes it.
    pub(crate) fn public(&self, name: &str) -> Result<PublicKey> {
        if let Some(path) = key_file(name) {
            return Ok(read_account_key(path)?.public());
        }
        Ok(PublicKey(self.keystore()?.show(&name.parse()?)?.public))
    }

    /// Carries out one operation with the key called `key`, and says `what` was done, what that made, and in which block.
    pub(crate) fn done(&self, key: &str, op: Operation, what: &str) -> Result<()> {
        let row = self.wallet(key)?.execute(op, FINAL_TIMEOUT)?;
        if self.wants_json() {
            return json(&row);
        }
        let made = row.created.iter().map(|id| format!(" {id}")).collect::<String>();
        line(format!("{what}{made}: final in block {}", or_dash(row.height)));
        Ok(())
    }

    /// Carries out one operation with the key called `key`, and says what came of it in the ledger's own sentence.
    pub(crate) fn told(&self, key: &str, op: Operation) -> Result<()> {
        let row = self.wallet(key)?.execute(op, FINAL_TIMEOUT)?;
        if self.wants_json() {
            return json(&row);
        }
        line(format!("{}: final in block {}", row.outcome.unwrap_or_default(), or_dash(row.height)));
        Ok(())
    }

    /// The folder of a key, named as [`Self::unlock`] takes it.
    pub(crate) fn key_folder(&self, name: &str) -> Result<PathBuf> {
        match key_file(name) {
            Some(path) => Ok(path.parent().map_or_else(PathBuf::new, Path::to_owned)),
            None => Ok(self.keystore()?.dir().to_owned()),
        }
    }

    /// How accounts are called here: those of the keystore's keys by the key's name, others by their identifier.
    pub(crate) fn names(&self) -> Names {
        // A name is a courtesy: without a readable keystore there are none.
        let keys = self.keystore().and_then(|store| Ok(store.list()?)).unwrap_or_default();
        Names(keys.into_iter().map(|key| (key.account, key.name.to_string())).collect())
    }

    /// The wallet of the key called `name`.
    pub(crate) fn wallet(&self, name: &str) -> Result<Wallet> {
        let client = self.client()?;
        let (key, account) = self.unlock_with_account(name)?;
        Ok(Wallet::of_account(client, key, account)?)
    }

    /// The ledger's time as it is about now: an idle ledger's last block may be seconds old.
    pub(crate) fn now(&self) -> Result<TimeMs> {
        let status: Status = self.client()?.get("/v1/status")?;
        Ok(status.final_time.max(TimeMs(wall_ms())))
    }
}

/// Names of accounts, for people.
pub(crate) struct Names(BTreeMap<AccountId, String>);

impl Names {
    /// What an account is called.
    pub(crate) fn of(&self, account: &AccountId) -> String {
        self.0.get(account).cloned().unwrap_or_else(|| account.to_string())
    }

    /// What several are called, with commas between.
    pub(crate) fn of_all<'a>(&self, accounts: impl IntoIterator<Item = &'a AccountId>) -> String {
        accounts.into_iter().map(|account| self.of(account)).collect::<Vec<_>>().join(", ")
    }
}

/// The path, if a key is given by one; names of keys have neither slash nor point.
fn key_file(text: &str) -> Option<&Path> {
    text.contains(['/', '.']).then(|| Path::new(text))
}

/// How long a command waits for its transaction to be final.
pub(crate) const FINAL_TIMEOUT: Duration = Duration::from_secs(20);

/// Reads a line from the terminal without showing it.
fn read_hidden(prompt: &str) -> Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, isatty, tcgetattr, tcsetattr};
    let terminal = std::io::stdin();
    if !isatty(&terminal) {
        return Err(UsageError(format!(
            "a passphrase is needed: set {PASSPHRASE_VARIABLE}, name a file with --passphrase-file, or run on a terminal"
        ))
        .into());
    }
    eprint!("{prompt}");
    let shown = tcgetattr(&terminal).context("reading the terminal's settings")?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&terminal, OptionalActions::Flush, &hidden).context("hiding what is typed")?;
    let mut text = String::new();
    let read = terminal.read_line(&mut text);
    tcsetattr(&terminal, OptionalActions::Flush, &shown).context("restoring the terminal")?;
    eprintln!();
    read.context("reading the passphrase")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
