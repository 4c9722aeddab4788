//! Whether a server takes writes, or follows another one. Pure: what it is asked, and what its answers mean.

use std::time::Duration;

use super::table::Table;
use crate::health::probe::{Finding, plain};
use crate::outcome::CheckCode;

/// MySQL from 5.7.8 on knows `super_read_only`, and reads what is in the comment; MariaDB passes over such comments of just these
/// versions. `innodb_read_only` is how Aurora says that an instance is a reader.
pub(super) const READ_ONLY: &str =
    "SELECT @@global.read_only, @@global.innodb_read_only /*!50708 , @@global.super_read_only */";

/// What `READ_ONLY` asks for, in its order.
const SWITCHES: [&str; 3] = ["read_only", "innodb_read_only", "super_read_only"];

/// How much of a replica's error goes into an outcome, in characters.
const SHOWN: usize = 120;

/// A question, and how versions put it that don't understand it so (before MySQL 8.0.22 and MariaDB 10.5).
pub(super) type Question = (&'static str, Option<&'static str>);

pub(super) const STATUS_OF_MYSQL: Question = ("SHOW REPLICA STATUS", Some("SHOW SLAVE STATUS"));
/// Sources that have a name are in no other answer of MariaDB's.
pub(super) const STATUS_OF_MARIADB: Question =
    ("SHOW ALL REPLICAS STATUS", Some("SHOW ALL SLAVES STATUS"));

/// `None`: the answer doesn't say what it must.
pub(super) fn judge_writable(answer: &Table) -> Option<Finding> {
    let [row] = answer.rows.as_slice() else {
        return None;
    };
    let mut on = Vec::new();
    for (cell, name) in row.iter().zip(SWITCHES) {
        match cell.as_deref()? {
            "0" | "OFF" => {}
            // MariaDB has more than one way of being read-only.
            _ => on.push(name),
        }
    }
    Some(match on.as_slice() {
        [] if row.len() < 2 => return None,
        [] => Finding::new(CheckCode::L7Ok, "takes writes"),
        on => {
            let verb = if on.len() == 1 { "is" } else { "are" };
            let detail = format!("{} {verb} on, expected a writable one", on.join(" and "));
            Finding::new(CheckCode::L7Status, detail)
        }
    })
}

/// `None`: the answer doesn't say what it must. Of several sources, each one must be followed.
pub(super) fn judge_replica(answer: &Table, max_lag: Option<Duration>) -> Option<Finding> {
    let mut lag = Some(0);
    let mut sources = Vec::new();
    for row in &answer.rows {
        let cell = |names| answer.cell(row, names);
        let host = cell(["Source_Host", "Master_Host"])?;
        let port = cell(["Source_Port", "Master_Port"])?;
        let is = format!("a replica of {}:{}", plain(host, SHOWN), plain(port, 5));
        for (thread, names, error) in [
            (
                "IO",
                ["Replica_IO_Running", "Slave_IO_Running"],
                "Last_IO_Error",
            ),
            (
                "SQL",
                ["Replica_SQL_Running", "Slave_SQL_Running"],
                "Last_SQL_Error",
            ),
        ] {
            let state = match cell(names)? {
                "Yes" => continue,
                "No" => "stopped".to_owned(),
                other => plain(other, SHOWN).to_lowercase(),
            };
            let error = match plain(cell([error, error]).unwrap_or_default(), SHOWN) {
                error if error.is_empty() => error,
                error => format!(" ({error:?})"),
            };
            let detail = format!("{is}, whose {thread} thread is {state}{error}");
            return Some(Finding::new(CheckCode::L7Status, detail));
        }
        let behind = cell(["Seconds_Behind_Source", "Seconds_Behind_Master"]);
        let behind = behind.map(str::parse::<u64>).transpose().ok()?;
        lag = lag.zip(behind).map(|(lag, behind)| lag.max(behind));
        sources.push(is);
    }
    let is = match sources.as_slice() {
        [] => {
            let detail = "no replica, expected one";
            return Some(Finding::new(CheckCode::L7Status, detail));
        }
        [one] => one.clone(),
        more => format!("{} and of {} more", more[0], more.len() - 1),
    };
    Some(match (lag, max_lag) {
        (Some(lag), Some(max)) if Duration::from_secs(lag) > max => Finding::new(
            CheckCode::L7Status,
            format!("{is}, {lag} s behind, but at most {max:?} are allowed"),
        ),
        (None, Some(max)) => Finding::new(
            CheckCode::L7Status,
            format!("{is}, nobody knows how far behind, but at most {max:?} are allowed"),
        ),
        (Some(lag), _) => Finding::new(CheckCode::L7Ok, format!("{is}, {lag} s behind")),
        (None, None) => Finding::new(CheckCode::L7Ok, is),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, Option<&str>)]) -> Table {
        Table {
            names: columns.iter().map(|(name, _)| (*name).to_owned()).collect(),
            rows: vec![
                columns
                    .iter()
                    .map(|(_, cell)| cell.map(str::to_owned))
                    .collect(),
            ],
        }
    }

    fn replica(io: &str, sql: &str, behind: Option<&str>) -> Table {
        table(&[
            ("Source_Host", Some("10.1.0.21")),
            ("Source_Port", Some("3306")),
            ("Replica_IO_Running", Some(io)),
            ("Replica_SQL_Running", Some(sql)),
            ("Seconds_Behind_Source", behind),
            ("Last_SQL_Error", Some("Duplicate\nentry")),
            ("Last_IO_Error", Some("")),
        ])
    }

    fn said(finding: Option<Finding>) -> String {
        let finding = finding.unwrap();
        format!("{} {}", finding.code, finding.detail)
    }

    #[test]
    fn a_server_is_writable_when_no_switch_says_otherwise() {
        let answer = |cells: &[&str]| {
            let columns: Vec<_> = cells.iter().map(|cell| ("x", Some(*cell))).collect();
            judge_writable(&table(&columns))
        };
        assert_eq!(said(answer(&["0", "0", "0"])), "L7OK takes writes");
        assert_eq!(said(answer(&["OFF", "OFF"])), "L7OK takes writes");
        for (cells, on) in [
            (&["1", "0", "1"][..], "read_only and super_read_only are"),
            (&["0", "1"], "innodb_read_only is"),
            (&["NO_LOCK_NO_ADMIN", "0"], "read_only is"),
        ] {
            let expected = format!("L7STS {on} on, expected a writable one");
            assert_eq!(said(answer(cells)), expected);
        }
        assert!(answer(&["0"]).is_none());
        assert!(judge_writable(&Table::default()).is_none());
    }

    #[test]
    fn a_replica_runs_both_threads_and_is_near_enough() {
        let second = Some(Duration::from_secs(1));
        for (answer, max_lag, expected) in [
            (
                replica("Yes", "Yes", Some("0")),
                second,
                "L7OK a replica of 10.1.0.21:3306, 0 s behind",
            ),
            (
                replica("Yes", "Yes", Some("7")),
                None,
                "L7OK a replica of 10.1.0.21:3306, 7 s behind",
            ),
            (
                replica("Yes", "Yes", Some("2")),
                second,
                "L7STS a replica of 10.1.0.21:3306, 2 s behind, but at most 1s are allowed",
            ),
            (
                replica("Yes", "Yes", None),
                second,
                "L7STS a replica of 10.1.0.21:3306, nobody knows how far behind, but at most 1s are allowed",
            ),
            (
                replica("Yes", "Yes", None),
                None,
                "L7OK a replica of 10.1.0.21:3306",
            ),
            (
                replica("Connecting", "Yes", None),
                None,
                "L7STS a replica of 10.1.0.21:3306, whose IO thread is connecting",
            ),
            (
                replica("Yes", "No", None),
                None,
                "L7STS a replica of 10.1.0.21:3306, whose SQL thread is stopped (\"Duplicate entry\")",
            ),
            (Table::default(), None, "L7STS no replica, expected one"),
        ] {
            assert_eq!(said(judge_replica(&answer, max_lag)), expected);
        }
        let odd = replica("Yes", "Yes", Some("soon"));
        assert!(judge_replica(&odd, None).is_none());
        let odd = table(&[("Source_Host", Some("x"))]);
        assert!(judge_replica(&odd, None).is_none());
    }

    #[test]
    fn of_several_sources_the_worst_counts() {
        let mut answer = replica("Yes", "Yes", Some("1"));
        answer.rows.extend(replica("Yes", "Yes", Some("9")).rows);
        assert_eq!(
            said(judge_replica(&answer, None)),
            "L7OK a replica of 10.1.0.21:3306 and of 1 more, 9 s behind"
        );
        answer.rows.extend(replica("Yes", "No", None).rows);
        assert!(said(judge_replica(&answer, None)).contains("SQL thread is stopped"));
    }
}
