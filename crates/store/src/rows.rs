//! Rows of both databases, read back: the tables' columns are the same, so one reading serves both. The functions name the columns that they
//! want, in order.

use jiff::Timestamp;
use sqlx::{Row as _, postgres::PgRow, sqlite::SqliteRow};
use triage::{AlertEvent, Mark};

use crate::{
    Account, Command, CommandState, Enrolment, Heard, HistoryChannel, JournalEntry, Kit, Patient, ProgrammeVersion,
    Progress, QuarantinedEntry, Receipt, ShadowAlert, StoreError, Stored, WebSession,
    convert::{corrupt, flags, json, named, parsed, time, unit},
};

type Read<T> = Result<T, sqlx::Error>;

/// A row of either database, by its columns' places.
pub(crate) trait Row {
    fn text(&self, at: usize) -> Read<&str>;
    fn text_if_any(&self, at: usize) -> Read<Option<&str>>;
    fn number(&self, at: usize) -> Read<i64>;
    fn number_if_any(&self, at: usize) -> Read<Option<i64>>;
    fn year_if_any(&self, at: usize) -> Read<Option<i16>>;
    fn flag(&self, at: usize) -> Read<bool>;
    fn bytes(&self, at: usize) -> Read<&[u8]>;

    fn time(&self, at: usize) -> Read<Timestamp> {
        self.number(at).map(time)
    }

    fn string(&self, at: usize) -> Read<String> {
        self.text(at).map(str::to_owned)
    }

    fn string_if_any(&self, at: usize) -> Read<Option<String>> {
        Ok(self.text_if_any(at)?.map(str::to_owned))
    }
}

macro_rules! reads {
    ($row:ty) => {
        impl Row for $row {
            fn text(&self, at: usize) -> Read<&str> {
                self.try_get(at)
            }
            fn text_if_any(&self, at: usize) -> Read<Option<&str>> {
                self.try_get(at)
            }
            fn number(&self, at: usize) -> Read<i64> {
                self.try_get(at)
            }
            fn number_if_any(&self, at: usize) -> Read<Option<i64>> {
                self.try_get(at)
            }
            fn year_if_any(&self, at: usize) -> Read<Option<i16>> {
                self.try_get(at)
            }
            fn flag(&self, at: usize) -> Read<bool> {
                self.try_get(at)
            }
            fn bytes(&self, at: usize) -> Read<&[u8]> {
                self.try_get(at)
            }
        }
    };
}

reads!(SqliteRow);
reads!(PgRow);

/// id, name, born, programmes, own, simulated, since, stratum
pub(crate) fn patient(row: &impl Row) -> Result<Patient, StoreError> {
    let id = row.text(0)?;
    Ok(Patient {
        id: parsed("patient", id, id)?,
        name: row.string(1)?,
        born: row.year_if_any(2)?,
        programmes: json("patient", id, row.text(3)?)?,
        stratum: row.string_if_any(7)?,
        own: json("patient", id, row.text(4)?)?,
        simulated: row.flag(5)?,
        since: Some(row.time(6)?),
    })
}

/// id, patient, secret_sha256, since, devices, revoked, patients
pub(crate) fn kit(row: &impl Row) -> Result<Kit, StoreError> {
    let id = row.text(0)?;
    Ok(Kit {
        id: parsed("kit", id, id)?,
        patient: row.text_if_any(1)?.map(|patient| parsed("kit", id, patient)).transpose()?,
        patients: json("kit", id, row.text(6)?)?,
        secret_sha256: row.string(2)?,
        since: Some(row.time(3)?),
        devices: json("kit", id, row.text(4)?)?,
        revoked: row.flag(5)?,
    })
}

/// kit, at, online, status
pub(crate) fn heard(row: &impl Row) -> Result<Heard, StoreError> {
    let id = row.text(0)?;
    Ok(Heard {
        kit: parsed("heard", id, id)?,
        at: row.time(1)?,
        online: row.flag(2)?,
        status: json("heard", id, row.text(3)?)?,
    })
}

/// kit, code_sha256, expires_at, secret_sha256
pub(crate) fn enrolment(row: &impl Row) -> Result<Enrolment, StoreError> {
    let kit = row.text(0)?;
    Ok(Enrolment {
        kit: parsed("enrolment", kit, kit)?,
        code_sha256: row.string(1)?,
        expires_at: row.time(2)?,
        secret_sha256: row.string_if_any(3)?,
    })
}

/// id, kit, patient, command, by, issued_at, expires_at, body
pub(crate) fn command(row: &impl Row) -> Result<Command, StoreError> {
    let id = row.text(0)?;
    Ok(Command {
        id: id.to_owned(),
        kit: parsed("command", id, row.text(1)?)?,
        patient: row.text_if_any(2)?.map(|patient| parsed("command", id, patient)).transpose()?,
        command: row.string(3)?,
        by: row.string_if_any(4)?,
        issued_at: row.time(5)?,
        expires_at: row.time(6)?,
        body: json("command", id, row.text(7)?)?,
    })
}

/// Those of a command, then state, changed_at, detail; and what the kit said of it.
pub(crate) fn command_state(row: &impl Row, receipts: Vec<Receipt>) -> Result<CommandState, StoreError> {
    let command = command(row)?;
    let state = progress("command", &command.id, row.text(8)?)?;
    Ok(CommandState { state, changed_at: row.time(9)?, detail: row.string_if_any(10)?, receipts, command })
}

/// command, outcome, at, detail
pub(crate) fn receipt(row: &impl Row) -> Result<Receipt, StoreError> {
    let command = row.text(0)?;
    let outcome = progress("receipt", command, row.text(1)?)?;
    Ok(Receipt { command: command.to_owned(), outcome, at: row.time(2)?, detail: row.string_if_any(3)? })
}

fn progress(table: &'static str, row: &str, name: &str) -> Result<Progress, StoreError> {
    Progress::of(name).ok_or_else(|| corrupt(table, row, format!("state {name:?}")))
}

/// user, name, password_hash, role, language
pub(crate) fn account(row: &impl Row) -> Result<Account, StoreError> {
    Ok(Account {
        user: row.string(0)?,
        name: row.string(1)?,
        password_hash: row.string(2)?,
        role: row.string(3)?,
        language: row.string(4)?,
    })
}

/// id, data, expires_at
pub(crate) fn web_session(row: &impl Row) -> Result<WebSession, StoreError> {
    Ok(WebSession { id: row.string(0)?, data: row.string(1)?, expires_at: row.time(2)? })
}

/// at, by, patient, body
pub(crate) fn entry(row: &impl Row) -> Result<JournalEntry, StoreError> {
    let at = row.number(0)?;
    Ok(JournalEntry {
        at: time(at),
        by: row.string_if_any(1)?,
        patient: row.text_if_any(2)?.map(|patient| parsed("journal", at, patient)).transpose()?,
        what: json("journal", &at.to_string(), row.text(3)?)?,
    })
}

/// id, version, text, sha256, proposed_by, proposed_at, note
pub(crate) fn version(row: &impl Row) -> Result<ProgrammeVersion, StoreError> {
    Ok(ProgrammeVersion {
        id: row.string(0)?,
        version: version_number(row.number(1)?)?,
        text: row.string(2)?,
        sha256: row.string(3)?,
        proposed_by: row.string(4)?,
        proposed_at: row.time(5)?,
        note: row.string(6)?,
    })
}

/// programme, version, patient, raised_at, body
pub(crate) fn shadow(row: &impl Row) -> Result<ShadowAlert, StoreError> {
    let patient = row.text(2)?;
    Ok(ShadowAlert {
        programme: row.string(0)?,
        version: version_number(row.number(1)?)?,
        patient: parsed("shadow_alert", patient, patient)?,
        raised_at: row.time(3)?,
        alert: json("shadow_alert", patient, row.text(4)?)?,
    })
}

fn version_number(version: i64) -> Result<u32, StoreError> {
    u32::try_from(version)
        .map_err(|_| corrupt("programme_version", version, "want a version up to 4294967295".to_owned()))
}

/// Events of one alert's history that are read: the newest.
pub(crate) const HISTORY_EVENTS_MAX: u32 = 1_000;

/// id, kind, at, by, mark, text
pub(crate) fn event(row: &impl Row) -> Result<AlertEvent, StoreError> {
    let id = row.number(0)?;
    let bad = |what| corrupt("alert_event", id, what);
    Ok(AlertEvent {
        kind: named(row.text(1)?).map_err(bad)?,
        at: row.time(2)?,
        by: row.string_if_any(3)?,
        mark: named(row.text(4)?).map_err(bad)?,
        text: row.string(5)?,
    })
}

/// id, kit, seq, recorded_at, reason, how many bytes
pub(crate) fn quarantined(row: &impl Row) -> Result<QuarantinedEntry, StoreError> {
    let id = row.number(0)?;
    Ok(QuarantinedEntry {
        id,
        kit: parsed("quarantine", id, row.text(1)?)?,
        seq: row.number_if_any(2)?.map(i64::cast_unsigned),
        recorded_at: row.time(3)?,
        reason: row.string(4)?,
        bytes: row.number(5)?.cast_unsigned(),
    })
}

/// vital, unit, clock, device, flags, after the channel's `key` in the column before them
pub(crate) fn channel(row: &impl Row, key: i64) -> Result<HistoryChannel, StoreError> {
    let bad = |what| corrupt("channel", key, what);
    Ok(HistoryChannel {
        vital: named(row.text(1)?).map_err(bad)?,
        unit: unit(row.text(2)?).map_err(bad)?,
        clock: named(row.text(3)?).map_err(bad)?,
        device: parsed("channel", key, row.text(4)?)?,
        flags: flags(row.text(5)?).map_err(bad)?,
    })
}

/// The hash of a message.
pub(crate) fn hash(row: &impl Row, at: usize) -> Result<[u8; 32], String> {
    let bytes = row.bytes(at).map_err(|error| error.to_string())?;
    bytes.try_into().map_err(|_| format!("hash has {} bytes, want 32", bytes.len()))
}

/// mark, how many open alerts have it
pub(crate) fn open(row: &impl Row, stored: &mut Stored) -> Result<(), StoreError> {
    let mark: Mark = named(row.text(0)?).map_err(|what| corrupt("alert", "?", what))?;
    let count = row.number(1)?.cast_unsigned();
    match mark.colour() {
        Some(colour) => _ = stored.open.insert(colour, count),
        None => stored.open_blue = count,
    }
    Ok(())
}
