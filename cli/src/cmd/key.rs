//! `mesh30k key`: the keys of people.

mod rotate;

use anyhow::Result;
use clap::Subcommand;
use mesh30k_ledger::keys::PublicKey;
use mesh30k_node::keystore::{Kdf, KeyEntry, KeyName};
use serde::Serialize;

use crate::output::{json, line, table};
use crate::session::Session;

/// Make and list the keys of people.
#[derive(Subcommand)]
pub(crate) enum Key {
    /// Make a key, encrypted with a passphrase.
    #[command(after_help = "Example: mesh30k key new alice")]
    New {
        /// Its name: letters, digits, dashes.
        name: String,
    },
    /// List the keys; needs no passphrase.
    #[command(after_help = "Example: mesh30k key list")]
    List,
    /// Put a new key in the place of one: its account keeps its name and money, the old key signs for it no longer.
    #[command(after_help = "Example: mesh30k key rotate alice")]
    Rotate {
        /// Its name.
        name: String,
    },
    /// Show one key's account and public key.
    #[command(after_help = "Example: mesh30k key show alice")]
    Show {
        /// Its name.
        name: String,
    },
}

#[derive(Serialize)]
struct KeyRow {
    name: String,
    account: String,
    public_key: String,
}

impl Key {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let keystore = session.keystore()?;
        match self {
            Self::New { name } => {
                let name: KeyName = name.parse()?;
                let passphrase = session.passphrase(&format!("New passphrase for key {name}: "))?;
                keystore.create(&name, &passphrase, Kdf::standard())?;
                show(session, &keystore.show(&name)?)
            }
            Self::List => {
                let rows: Vec<KeyRow> = keystore.list()?.iter().map(row).collect();
                if session.wants_json() {
                    return json(&rows);
                }
                let rows = rows.into_iter().map(|row| vec![row.name, row.account, row.public_key]).collect();
                line(table(&["name", "account", "public key"], &[], rows));
                Ok(())
            }
            Self::Rotate { name } => rotate::rotate(session, &keystore, &name.parse()?),
            Self::Show { name } => show(session, &keystore.show(&name.parse()?)?),
        }
    }
}

fn row(entry: &KeyEntry) -> KeyRow {
    KeyRow {
        name: entry.name.to_string(),
        account: entry.account.to_string(),
        public_key: PublicKey(entry.public).to_string(),
    }
}

fn show(session: &Session, entry: &KeyEntry) -> Result<()> {
    let row = row(entry);
    if session.wants_json() {
        return json(&row);
    }
    line(format!("{}\n  account     {}\n  public key  {}", row.name, row.account, row.public_key));
    Ok(())
}
