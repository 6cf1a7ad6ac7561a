//! What accounts say of themselves, in the auditor's books.

use super::Auditor;
use mesh30k_ledger::records::Declared;
use mesh30k_ledger::types::AccountId;

/// The most that discounts take off an account's work in a day.
pub const ALLOWANCE: u64 = 30_000;
const DAY_MS: u64 = 86_400_000;

impl Auditor {
    pub(super) fn said_of_itself(&mut self, account: AccountId, what: Declared) {
        self.attested.insert((account, sort(&what)), 0);
        match what {
            Declared::Region(region) => {
                let book = self.books.entry(account).or_default();
                // Wherever it was attested to be before, it is not said to be any more.
                book.listed = false;
                book.region = Some(region);
            }
            Declared::RenewablePpm(ppm) => {
                let share = &mut self.renewables[node(&account)];
                *share = (*share).min(i128::from(ppm));
            }
        }
    }

    pub(super) fn word_on(&mut self, account: AccountId, what: Declared) {
        let words = self.attested.get_mut(&(account, sort(&what))).expect("audit: nobody declared what was attested");
        *words += 1;
        assert!(*words <= 2, "audit: what was in force was attested again");
        if *words < 2 {
            return;
        }
        match what {
            Declared::Region(region) => {
                let book = self.books.entry(account).or_default();
                assert_eq!(book.region, Some(region), "audit: another region was attested than was declared");
                book.listed = self.access_list.contains(&region);
            }
            Declared::RenewablePpm(ppm) => self.renewables[node(&account)] = i128::from(ppm),
        }
    }

    /// What may still be taken off for its region today.
    pub(super) fn allowance(&self, account: &AccountId) -> i128 {
        let today = self.now.0 / DAY_MS;
        let taken = self.discounted.get(account).filter(|(day, _)| *day == today).map_or(0, |(_, sum)| *sum);
        i128::from(ALLOWANCE) - taken
    }

    pub(super) fn discounted(&mut self, account: AccountId, discount: i128) {
        let today = self.now.0 / DAY_MS;
        let entry = self.discounted.entry(account).or_insert((today, 0));
        if entry.0 != today {
            *entry = (today, 0);
        }
        entry.1 += discount;
    }
}

fn sort(what: &Declared) -> u8 {
    u8::from(matches!(what, Declared::Region(_)))
}

/// Nodes of the genesis have the keys 1 to 4.
fn node(account: &AccountId) -> usize {
    (0..4_u8).position(|n| crate::common::id_of(&crate::common::key(n + 1)) == *account).expect("audit: it has no node")
}
