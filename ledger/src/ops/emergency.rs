//! Climate emergencies: declared and lifted by several oracles or guardians, over by themselves.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, quota_draw, within};
use crate::execute::{Stop, Working};
use crate::outcome::Effect;
use crate::parameters::Parameter;
use crate::records::{EmergencyKind, EmergencyRecord, EmergencySignal, Office};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::{AccountId, Region, TimeMs};

/// Signals count together within so long.
pub const SIGNAL_MS: u64 = 3_600_000;
/// The longest an emergency lasts without new signals: a week.
pub const MAX_EMERGENCY_MS: u64 = 7 * 24 * 3_600 * 1_000;
/// Bytes of a kind, at most.
pub const MAX_KIND_BYTES: usize = 64;
/// Kinds of one region that are signalled or in force at once, at most.
pub const MAX_KINDS: usize = 8;

/// One word that there is an emergency of a kind in a region, or that it is over. Enough of them on the same kind within an hour make
/// it so.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct SignalEmergency {
    /// Where.
    pub region: Region,
    /// Such as `flood`, 1 to [`MAX_KIND_BYTES`].
    pub kind: String,
    /// Until when, at most [`MAX_EMERGENCY_MS`] ahead; nothing to lift it.
    pub until: Option<TimeMs>,
}

impl SignalEmergency {
    pub(crate) fn apply(&self, working: &mut Working<'_>, call: &Call<'_>) -> Result<Effect, Stop> {
        within("kind (bytes)", self.kind.len() as u64, 1, MAX_KIND_BYTES as u64)?;
        let (time, latest) = (working.now, working.now.plus_ms(MAX_EMERGENCY_MS));
        if let Some(deadline) = self.until {
            if deadline <= time {
                return Err(Rejection::DeadlinePassed { deadline, time }.into());
            }
            if deadline > latest {
                return Err(Rejection::DeadlineTooFar { deadline, latest }.into());
            }
        }
        if !working.holds(Office::Guardian, &call.account)? {
            working.must_hold(Office::Oracle, &call.account)?;
        }
        let key = keyspace::emergency(self.region);
        let mut record: EmergencyRecord = working.read(&key)?.unwrap_or_default();
        let was = record.in_force_until(time);
        record.forget_stale(time);
        let others = record.0.keys().filter(|kind| **kind != self.kind).count();
        if others >= MAX_KINDS {
            let (what, max) = (format!("kinds of emergency signalled in {}", self.region), MAX_KINDS as u64);
            return Err(Rejection::TooMany { what, found: others as u64, max }.into());
        }
        let needed = working.parameter(Parameter::EmergencySignals);
        let kind = record.0.entry(self.kind.clone()).or_default();
        let signals = kind.count(call.account, EmergencySignal { until: self.until, at: time }, needed);
        let until = kind.in_force_until(time);
        record.forget_stale(time);
        let is = record.in_force_until(time);
        if record.0.is_empty() {
            working.remove(key);
        } else {
            working.write(key, &record);
        }
        if is != was {
            quota_draw::emergency_changed(working, self.region)?;
        }
        Ok(Effect::EmergencySignalled { region: self.region, signals, until })
    }
}

impl EmergencyRecord {
    /// Drops signals that are too old to count, and kinds that nobody signals and that are not in force.
    fn forget_stale(&mut self, now: TimeMs) {
        for kind in self.0.values_mut() {
            kind.signals.retain(|_, signal| now.since_ms(signal.at) <= SIGNAL_MS);
        }
        self.0.retain(|_, kind| !kind.signals.is_empty() || kind.in_force_until(now).is_some());
    }
}

impl EmergencyKind {
    /// Takes a word; gives how many say the same. When `needed` do, it is so.
    fn count(&mut self, account: AccountId, word: EmergencySignal, needed: u64) -> u64 {
        self.signals.insert(account, word);
        let ends = self.signals.values().map(|signal| signal.until);
        let alike: Vec<Option<TimeMs>> = ends.filter(|end| end.is_some() == word.until.is_some()).collect();
        let signals = alike.len() as u64;
        if signals >= needed {
            // The earliest end that enough of them agree on; when they lift it, none.
            self.until = alike.into_iter().flatten().min();
            self.signals.clear();
        }
        signals
    }
}
