//! Climate emergencies: declared and lifted by several oracles or guardians, over by themselves.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Call, quota_draw, within};
use crate::execute::{Stop, Working};
use crate::outcome::Effect;
use crate::parameters::Parameter;
use crate::records::{EmergencyRecord, EmergencySignal, Office};
use crate::rejection::Rejection;
use crate::state::keyspace;
use crate::types::{Region, TimeMs};

/// Signals count together within so long.
pub const SIGNAL_MS: u64 = 3_600_000;
/// The longest an emergency lasts without new signals: a week.
pub const MAX_EMERGENCY_MS: u64 = 7 * 24 * 3_600 * 1_000;
/// Bytes of a kind, at most.
pub const MAX_KIND_BYTES: usize = 64;

/// One word that there is an emergency in a region, or that it is over. Enough of them within an hour make it so.
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
        record.signals.retain(|_, signal| time.since_ms(signal.at) <= SIGNAL_MS);
        record.signals.insert(call.account, EmergencySignal { until: self.until, at: time });
        let alike: Vec<Option<TimeMs>> = record
            .signals
            .values()
            .map(|signal| signal.until)
            .filter(|end| end.is_some() == self.until.is_some())
            .collect();
        let signals = alike.len() as u64;
        if signals >= working.parameter(Parameter::EmergencySignals) {
            // The earliest end that enough of them agree on; when they lift it, none.
            record.until = alike.into_iter().flatten().min();
            record.kind = self.kind.clone();
            record.signals.clear();
            quota_draw::emergency_changed(working, self.region)?;
        }
        let until = record.until.filter(|until| time < *until);
        working.write(key, &record);
        Ok(Effect::EmergencySignalled { region: self.region, signals, until })
    }
}
