//! The database server, where the store is one: whether what it acknowledges is kept, and what the tables were laid out for.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use store::{
    Leader, Place,
    postgres::{Layout, Report, report},
};

use super::check::Check;
use crate::clock;

/// A clock of the server that is further off than this is told.
const CLOCK_OFF_MAX: SignedDuration = SignedDuration::from_secs(2);

/// Nothing of a file.
pub async fn checks(place: &Place) -> Vec<Check> {
    let Place::Postgres(server) = place else { return Vec::new() };
    match report(server).await {
        Ok(report) => {
            vec![version(&report), durable(&report), writable(&report), lead(&report), clocks(&report, clock::now())]
        }
        // The store's own line has said why.
        Err(_) => Vec::new(),
    }
}

fn version(report: &Report) -> Check {
    let none = if report.timescale_offered { "no TimescaleDB in this database" } else { "no TimescaleDB" };
    let timescale = report.timescale.as_ref().map_or(none.to_owned(), |found| format!("TimescaleDB {found}"));
    let schema = match report.schema {
        None if report.timescale_offered => {
            "no tables yet: the first start brings in the TimescaleDB of this server and makes hypertables, or partitions where it can't"
                .to_owned()
        }
        None => "no tables yet".to_owned(),
        Some((version, Layout::Native)) => format!("schema {version}, partitions by month"),
        Some((version, Layout::Timescale)) => format!("schema {version}, hypertables"),
    };
    let kept = report.months.map_or("for ever".to_owned(), |months| format!("for {months} months"));
    let found = format!("PostgreSQL {}, {timescale}, {schema}, messages are kept {kept}", report.version);
    match (report.schema, &report.timescale) {
        (Some((_, Layout::Native)), Some(_)) => {
            let todo = "nothing, or move the clinic to a new database: the layout is chosen when the tables are made";
            Check::warn("server", format!("{found}: TimescaleDB came after the tables, and is not used"), todo)
        }
        _ => Check::ok("server", found),
    }
}

fn durable(report: &Report) -> Check {
    let found = format!(
        "fsync = {}, synchronous_commit = {}",
        if report.fsync { "on" } else { "off" },
        report.synchronous_commit
    );
    if report.fsync && report.synchronous_commit != "off" {
        Check::ok("server's disk", found)
    } else {
        let todo = "set fsync and synchronous_commit to on: else a power cut loses what was acknowledged";
        Check::fail("server's disk", found, todo)
    }
}

fn writable(report: &Report) -> Check {
    if report.can_write {
        Check::ok("server takes data", "yes")
    } else {
        let found = "no: it is a standby, was told to be read-only (default_transaction_read_only), or this user has no permission";
        let todo = "name the primary, as a user who owns the tables or may make them (CREATE on the database), and let the database be written";
        Check::fail("server takes data", found, todo)
    }
}

/// Whoever leads takes readings in and judges them.
fn lead(report: &Report) -> Check {
    const SILENT_MAX: Duration = Duration::from_secs(10);
    match &report.leader {
        Some(Leader { by, silent, holds: true }) if *silent <= SILENT_MAX => Check::ok("lead", format!("{by} leads")),
        Some(Leader { by, silent, holds: true }) => {
            let found = format!("{by} leads, and nothing was heard of it for {} s", silent.as_secs());
            Check::warn("lead", found, "look whether that service is well; a second one would take over by itself")
        }
        Some(Leader { by, .. }) => {
            let found = format!("nobody leads now; the last was {by}");
            Check::warn("lead", found, "start vagt serve: nothing is taken in and judged")
        }
        None => Check::ok("lead", "nobody has led this database yet"),
    }
}

fn clocks(report: &Report, now: Timestamp) -> Check {
    let off = report.now.duration_since(now);
    let found = format!("{:+.1} s from this machine's", off.as_secs_f64());
    if off.abs() <= CLOCK_OFF_MAX {
        Check::ok("server's clock", found)
    } else {
        Check::warn("server's clock", found, "let both machines keep their clocks by the same NTP servers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::check::State;

    fn good() -> Report {
        Report {
            server: "postgres://vagt@db/clinic".to_owned(),
            version: "15.14".to_owned(),
            timescale: None,
            timescale_offered: false,
            schema: Some((1, Layout::Native)),
            known: 1,
            fsync: true,
            synchronous_commit: "on".to_owned(),
            can_write: true,
            months: None,
            leader: None,
            now: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_would_lose_data_fails() {
        assert_eq!(durable(&good()).state, State::Ok);
        assert_eq!(durable(&Report { fsync: false, ..good() }).state, State::Fail);
        assert_eq!(durable(&Report { synchronous_commit: "off".to_owned(), ..good() }).state, State::Fail);
        assert_eq!(durable(&Report { synchronous_commit: "remote_apply".to_owned(), ..good() }).state, State::Ok);
        assert_eq!(writable(&Report { can_write: false, ..good() }).state, State::Fail);
    }

    #[test]
    fn nobody_and_a_silent_one_are_told() {
        let of = |silent, holds| {
            let leader = Leader { by: "vagt serve on one".to_owned(), silent: Duration::from_secs(silent), holds };
            let check = lead(&Report { leader: Some(leader), ..good() });
            (check.state, check.found)
        };
        assert_eq!(of(2, true), (State::Ok, "vagt serve on one leads".to_owned()));
        assert_eq!(of(60, true).0, State::Warn);
        assert_eq!(of(0, false), (State::Warn, "nobody leads now; the last was vagt serve on one".to_owned()));
        assert_eq!(lead(&good()).state, State::Ok);
    }

    #[test]
    fn layout_and_clock_are_told() {
        let found = version(&good());
        assert_eq!(
            found.found,
            "PostgreSQL 15.14, no TimescaleDB, schema 1, partitions by month, messages are kept for ever"
        );
        assert_eq!(version(&Report { timescale: Some("2.23.0".to_owned()), ..good() }).state, State::Warn);
        let offered = Report { timescale_offered: true, schema: None, ..good() };
        assert!(version(&offered).found.contains("makes hypertables"));
        assert!(!version(&Report { schema: None, ..good() }).found.contains("hypertables"));
        let later = |seconds| clocks(&good(), Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)).state;
        assert_eq!((later(1), later(-3), later(3)), (State::Ok, State::Warn, State::Warn));
    }
}
