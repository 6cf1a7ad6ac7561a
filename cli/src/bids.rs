//! Sealed bids that are still to be opened: what was bid and the salt, one file a bid, in the folder `bids` beside the key that bid.
//! Who loses such a file can't open the bid and loses its bond, so it is on the disk before the ledger hears of it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use mesh30k_ledger::ops::{OpenBid, SealBid, sealed_bid};
use mesh30k_ledger::types::{AccountId, Hash, Uftns};
use serde::{Deserialize, Serialize};

/// The one version there is.
const VERSION: u32 = 1;
/// Largest file of a bid that is read.
const FILE_BYTES_MAX: u64 = 4_096;
/// How a file of a bid ends.
const SUFFIX: &str = "bid.json";
/// Files that are looked at for a list, at most.
const FILES_MAX: usize = 10_000;

/// A bid as it was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptBid {
    version: u32,
    /// On which auction.
    pub(crate) auction: Hash,
    /// Whose.
    pub(crate) bidder: AccountId,
    /// For the whole task.
    pub(crate) price: Uftns,
    /// The footprint the bidder expects, micrograms.
    pub(crate) carbon_ug: u64,
    salt: Hash,
}

impl KeptBid {
    /// A bid with a salt of its own from the operating system.
    pub(crate) fn new(auction: Hash, bidder: AccountId, price: Uftns, carbon_ug: u64) -> Result<Self> {
        let mut salt = [0_u8; 32];
        getrandom::fill(&mut salt).map_err(|error| anyhow!("no random bytes for the salt of a bid: {error}"))?;
        Ok(Self { version: VERSION, auction, bidder, price, carbon_ug, salt: Hash(salt) })
    }

    /// What the ledger sees now.
    pub(crate) fn seal(&self) -> SealBid {
        let sealed = sealed_bid(&self.auction, &self.bidder, self.price, self.carbon_ug, &self.salt);
        SealBid { auction: self.auction, sealed }
    }

    /// What it sees when the bid is opened.
    pub(crate) const fn open(&self) -> OpenBid {
        OpenBid { auction: self.auction, price: self.price, carbon_ug: self.carbon_ug, salt: self.salt }
    }
}

/// The bids of the keys in one folder.
#[derive(Clone, Debug)]
pub(crate) struct BidFolder {
    dir: PathBuf,
}

impl BidFolder {
    /// Beside the keys of a folder; made when the first bid is kept.
    pub(crate) fn beside(keys: &Path) -> Self {
        Self { dir: keys.join("bids") }
    }

    /// The file of an account's bid on an auction, there or not.
    pub(crate) fn path(&self, auction: &Hash, bidder: &AccountId) -> PathBuf {
        self.dir.join(format!("{auction}-{bidder}.{SUFFIX}"))
    }

    /// Writes a bid down for good; one that is there is not overwritten.
    pub(crate) fn keep(&self, bid: &KeptBid) -> Result<()> {
        let path = self.path(&bid.auction, &bid.bidder);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.dir);
        made.with_context(|| format!("making folder {}", self.dir.display()))?;
        let text = serde_json::to_string_pretty(bid)? + "\n";
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = file.with_context(|| format!("making {}", path.display()))?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        // The name is only durable with its folder.
        let synced = written.and_then(|()| File::open(&self.dir)?.sync_all());
        if synced.is_err() {
            // Nothing was sealed with it yet.
            let _ = fs::remove_file(&path);
        }
        synced.with_context(|| format!("writing {}", path.display()))
    }

    /// The bid of an account on an auction, if it is kept here.
    pub(crate) fn find(&self, auction: &Hash, bidder: &AccountId) -> Result<Option<KeptBid>> {
        let path = self.path(auction, bidder);
        let Some(bid) = read(&path)? else { return Ok(None) };
        if bid.version != VERSION || bid.auction != *auction || bid.bidder != *bidder {
            bail!("{} is not the bid its name says; a file of another place or version was put there", path.display());
        }
        Ok(Some(bid))
    }

    /// Takes away a bid that nobody needs any more: it was opened, or never taken.
    pub(crate) fn forget(&self, bid: &KeptBid) -> Result<()> {
        let path = self.path(&bid.auction, &bid.bidder);
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))
    }

    /// Every bid kept here, in order of file name; none without the folder.
    pub(crate) fn list(&self) -> Result<Vec<KeptBid>> {
        let reading = || format!("reading folder {}", self.dir.display());
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(reading),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.with_context(reading)?.path();
            if path.to_str().is_some_and(|path| path.ends_with(SUFFIX)) {
                paths.push(path);
            }
            if paths.len() > FILES_MAX {
                bail!("{} holds more than {FILES_MAX} bids; move the old ones away", self.dir.display());
            }
        }
        paths.sort();
        Ok(paths.iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
}

fn read(path: &Path) -> Result<Option<KeptBid>> {
    let reading = || format!("reading {}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(reading),
    };
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).with_context(reading)?;
    let bid = serde_json::from_str(&text);
    Ok(Some(bid.with_context(|| format!("{} is damaged; restore it from a backup", path.display()))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const AUCTION: Hash = Hash([7; 32]);
    const BIDDER: AccountId = AccountId([9; 20]);

    fn bid() -> KeptBid {
        KeptBid::new(AUCTION, BIDDER, Uftns(500_000), 2_000_000).unwrap()
    }

    #[test]
    fn a_kept_bid_opens_what_was_sealed_and_only_its_owner_reads_it() {
        let home = tempfile::tempdir().unwrap();
        let folder = BidFolder::beside(home.path());
        assert_eq!((folder.find(&AUCTION, &BIDDER).unwrap(), folder.list().unwrap()), (None, Vec::new()));
        let bid = bid();
        folder.keep(&bid).unwrap();
        let found = folder.find(&AUCTION, &BIDDER).unwrap().unwrap();
        assert_eq!((&found, folder.list().unwrap()), (&bid, vec![bid.clone()]));
        let OpenBid { auction, price, carbon_ug, salt } = found.open();
        assert_eq!(bid.seal().sealed, sealed_bid(&auction, &BIDDER, price, carbon_ug, &salt));
        let path = folder.path(&AUCTION, &BIDDER);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        folder.forget(&found).unwrap();
        assert_eq!(folder.find(&AUCTION, &BIDDER).unwrap(), None);
    }

    #[test]
    fn no_bid_is_overwritten_and_no_other_is_taken_for_it() {
        let home = tempfile::tempdir().unwrap();
        let folder = BidFolder::beside(home.path());
        folder.keep(&bid()).unwrap();
        assert!(folder.keep(&bid()).is_err(), "salts differ, so the first would be lost");
        let other = folder.path(&Hash([8; 32]), &BIDDER);
        fs::copy(folder.path(&AUCTION, &BIDDER), &other).unwrap();
        assert!(folder.find(&Hash([8; 32]), &BIDDER).is_err());
        fs::write(&other, "{}").unwrap();
        let damaged = folder.find(&Hash([8; 32]), &BIDDER).unwrap_err();
        assert!(format!("{damaged:#}").contains("damaged"), "{damaged:#}");
    }

    #[test]
    fn two_bids_alike_are_sealed_differently() {
        assert_ne!(bid().seal().sealed, bid().seal().sealed);
    }
}
