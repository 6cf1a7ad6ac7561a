//! Parts that are paid, in the auditor's books.

use super::{Auditor, orders, standing};
use mesh30k_ledger::ops::TaskReport;
use mesh30k_ledger::types::TxId;

impl Auditor {
    /// A million fuel at what it costs then, 100,000 uFTNS for a gram, 20 % premium, 30 % access, 15 % for wholly renewable.
    pub(super) fn settle(&mut self, escrow: TxId, report: &TaskReport) {
        let locked = self.escrows.get_mut(&escrow).expect("audit: an unknown escrow was released");
        assert!(locked.released.insert(report.part), "audit: a part was paid twice");
        let (opener, limit, most) = (locked.opener, locked.amount + locked.reserve, locked.amount);
        let (reserve, was_listed) = (locked.reserve, locked.listed);
        locked.open_parts -= 1;
        let host = usize::try_from(report.host.0 - 1).unwrap();
        assert!(i128::from(report.renewable_ppm) <= self.renewables[host], "audit: more renewable than attested");
        let up = |of: i128, by: i128| (of + by - 1) / by;
        let units = up(i128::from(report.fuel), 1_000_000).max(1);
        let worker = crate::common::id_of(&crate::common::key(report.host.0 as u8));
        // An order costs what was listed, whatever it took, and uses up no quota.
        let ordered = self.order(&escrow).map(|order| {
            assert_eq!(order.seller, worker, "audit: an order was paid to somebody else");
            order.paid += 1;
        });
        let covered = if ordered.is_some() { 0 } else { self.quota_covers(opener, escrow, units) };
        let wage = self.wage(opener, units, covered).min(most);
        let base = if ordered.is_some() { most } else { wage };
        let fee = if ordered.is_some() { orders::commission(base) } else { 0 };
        self.treasury += fee;
        let rest = 1_000_000 - i128::from(report.renewable_ppm);
        let grid = i128::from(report.energy_mj) * i128::from(report.intensity_mg_per_kwh);
        let footprint_ug = up(grid * rest, 3_600_000 * 1_000_000);
        let carbon = up(footprint_ug * 100_000, 1_000_000);
        let listed = self.books[&opener].listed;
        let fund = self.access_fund.min(self.allowance(&opener));
        let discount = if listed { (base * 300_000 / 1_000_000).min(fund) } else { 0 };
        self.discounted(opener, discount);
        let green_ppm = 150_000 * i128::from(report.renewable_ppm) / 1_000_000;
        let green = (base * green_ppm / 1_000_000).min(self.carbon_pool).min(base - discount);
        let room = limit + discount + green - base;
        let premium_of = |sum: i128| if was_listed { 0 } else { up(sum * 200_000, 1_000_000) };
        assert!(carbon + premium_of(most) <= reserve, "audit: a part was paid whose charges were not set aside");
        let premium = if listed { 0 } else { premium_of(base) };
        // Only a module that was registered after the money was set aside may get less.
        let royalty = self.royalty_due(report.module, base).min(room - carbon - premium);
        self.worked(report.module, opener, royalty);
        self.access_fund += premium - discount;
        self.carbon_pool += carbon - green;
        let kept = self.kept_back(worker, footprint_ug, report.renewable_ppm, base - fee);
        self.credit(worker, base - fee - kept);
        self.credit(opener, limit - (base + carbon + premium + royalty - discount - green));
        self.judged(worker, standing::PAID);
        if self.escrows[&escrow].open_parts == 0 {
            self.quota_freed(opener, escrow);
            self.served(&escrow, footprint_ug);
        }
    }
}
