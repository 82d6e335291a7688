//! Lines about databases and rows.

use super::*;

#[allow(clippy::too_many_lines, reason = "a table is as long as it has rows")]
pub(super) fn lines() -> Vec<Line> {
    vec![
        (
            Findings {
                session: "nonsense".to_owned(),
                directory: Directory::NotAsked,
                ..findings()
            },
            Cause::SessionMalformed,
            "\"nonsense\" is not a session id.",
        ),
        (
            with_answered(|answered| answered.row = None),
            Cause::SessionUnknown,
            "There is no row for this session",
        ),
        (
            got(
                with_answered(|answered| answered.row = None),
                answered(200, None),
            ),
            Cause::SessionUnknown,
            "and yet something answered 200.",
        ),
        (
            with_row(|row| {
                row.meaning = Meaning::Over;
                row.remaining_seconds = Some(-200.0);
            }),
            Cause::SessionOver,
            "its time ran out, or it was ended, 3m 20s ago.",
        ),
        (
            with_row(|row| {
                row.meaning = Meaning::Over;
                row.status = Some("ended".to_owned());
            }),
            Cause::SessionOver,
            "its status is \"ended\".",
        ),
        (
            with_row(|row| row.meaning = Meaning::Starting),
            Cause::SessionStarting,
            "still being created",
        ),
        (
            with_row(|row| row.owner = None),
            Cause::SessionUnassigned,
            "the row's owner is NULL.",
        ),
        (
            with_row(|row| {
                row.owner = Some(String::new());
                row.meaning = Meaning::Unusable("the session's owner cannot be".to_owned());
            }),
            Cause::OwnerUnusable,
            "The row's owner is \"\", which cannot be a machine id",
        ),
        (
            with_row(|row| row.meaning = Meaning::Unusable("the status is NULL".to_owned())),
            Cause::RowUnusable,
            "cannot be used: the status is NULL.",
        ),
        (
            down("no connection could be opened"),
            Cause::DatabaseDown,
            "cannot be asked from here: no connection could be opened.",
        ),
        (
            Findings {
                directory: Directory::Late {
                    error: "the query took too long".to_owned(),
                },
                ..findings()
            },
            Cause::DatabaseSlow,
            "did not answer in time: the query took too long.",
        ),
        (
            with_answered(|answered| answered.milliseconds = 700),
            Cause::DatabaseSlow,
            "takes 700 ms",
        ),
        (
            misfit(FaultKind::Table, "there is no table \"rooms\""),
            Cause::TableMissing,
            "there is no table \"rooms\".",
        ),
        (
            misfit(FaultKind::Column, "it has no column \"owner\""),
            Cause::ColumnMissing,
            "it has no column \"owner\".",
        ),
        (
            misfit(FaultKind::Type, "column \"id\" is of type text"),
            Cause::ColumnType,
            "is of type text.",
        ),
        (
            misfit(FaultKind::Migration, "there is no trigger"),
            Cause::MigrationPartly,
            "there is no trigger.",
        ),
        (
            with_answered(|answered| answered.kept = Kept::Partly(vec!["table x".to_owned()])),
            Cause::MigrationPartly,
            "there is no table x.",
        ),
    ]
}
