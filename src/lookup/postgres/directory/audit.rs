//! What is wrong with a fleet.

use serde::Serialize;
use tokio_postgres::Row;

use super::{
    PostgresDirectory, epoch, json,
    machines::LIST,
    owners::{Living, MOST_OWNERS},
    sessions::MOST,
    value,
};
use crate::{
    Finding, LookupError, Presence, SessionId,
    lookup::postgres::{Inner, failure::Failure, migration::literal, ownership},
    machine::shape::Shapes,
    meter,
};

/// What an [audit](PostgresDirectory::audit) found.
///
/// It serializes with the names of its fields in `camelCase`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Audit {
    /// Everything that is wrong, one kind after the other. None: all is well.
    pub findings: Vec<AuditFinding>,
    /// Whether there may be more of it: of one kind there are more than were asked for, or there
    /// are more than 10,000 owners or machines, and not all of them were looked at.
    pub truncated: bool,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AuditFinding {
    /// What is wrong.
    pub finding: Finding,
    /// The session that it is about; `None` for a finding about a machine.
    #[serde(
        serialize_with = "json::id_if_any",
        skip_serializing_if = "Option::is_none"
    )]
    pub session: Option<SessionId>,
    /// The session's owner, as it stands in the table; `None`: nobody owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The session's epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// The machine that it is about; `None` for a finding about a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// What is missing, or how full it is, for a finding about the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl AuditFinding {
    /// A finding of the whole database.
    pub(crate) fn of_database(finding: Finding, detail: Option<String>) -> Self {
        Self {
            finding,
            session: None,
            owner: None,
            epoch: None,
            machine: None,
            detail,
        }
    }
}

impl Audit {
    /// Everything that an audit looks for.
    ///
    /// [`OwnerLost`](Finding::OwnerLost) is the only one that starting sessions are looked at for as
    /// well, as long as the index of owners holds them: their owner does not finish them any more. Of
    /// sessions for [`OwnerWithoutEpoch`](Finding::OwnerWithoutEpoch), at most 5,000 are looked at,
    /// half of them from a random owner on. [`WrongIdentity`](Finding::WrongIdentity) is a machine
    /// that beats under an id of another form than every owner's, such as its hostname.
    pub const FINDINGS: &'static [Finding] = &[
        Finding::SessionUnassigned,
        Finding::OwnerLost,
        Finding::OwnerNeverSeen,
        Finding::OwnerDraining,
        Finding::WrongIdentity,
        Finding::MigrationPartly,
        Finding::OwnerWithoutEpoch,
        Finding::NotifyTriggers,
        Finding::NotifyQueue,
        Finding::Replica,
    ];
}

/// What a row of the statement is about.
mod about {
    pub(super) const LOCK: i16 = 0;
    pub(super) const UNASSIGNED: i16 = 1;
    pub(super) const LOST: i16 = 2;
    pub(super) const NEVER_SEEN: i16 = 3;
    pub(super) const DRAINING: i16 = 4;
    pub(super) const OWNER: i16 = 5;
    pub(super) const MACHINE: i16 = 6;
    pub(super) const DRIFTED: i16 = 7;
    pub(super) const QUEUE: i16 = 8;
    pub(super) const REPLICA: i16 = 9;
    pub(super) const ALL: usize = 10;
}

/// How many sessions are looked at for the owner of their epoch: those of the first owners, and as
/// many from a random owner on. They have to be read, which the rest of an audit spares.
const SAMPLE: usize = 2_500;

/// In the upper half of the lock's key, so that it is nobody else's: "town".
const LOCK: u64 = 0x746f_776e << 32;

impl PostgresDirectory {
    /// Looks for what is wrong with the fleet, within 10 s: active sessions that nobody owns, or
    /// whose owner is lost, was never seen, or drains; starting sessions whose owner is lost; and
    /// machines that beat under an id which looks like no owner's. Of each kind at most `limit` (cut to 10,000) are found.
    ///
    /// `None`: another connection audits the same table at this moment. So every machine of a fleet
    /// may ask from time to time.
    ///
    /// It reads the index of owners of the [migration](Self::migration), one entry for each owner,
    /// and then only the sessions that something is wrong with: its cost is that of the number of
    /// owners, not of sessions. Beyond 10,000 owners it does not look.
    pub async fn audit(&self, limit: usize) -> Result<Option<Audit>, LookupError> {
        let lookup = self.lookup();
        let limit = limit.min(MOST);
        let sql = self.audit_sql(limit, &self.living().await?);
        let rows = lookup.connections.read_much(&sql, &[], LIST).await;
        let rows = rows.map_err(Failure::into_read_error)?;
        let mut audit = read(lookup, &rows, limit)?;
        if let Some(audit) = &mut audit {
            self.triggers(audit).await?;
        }
        if let Some(audit) = &audit {
            meter::audited(Audit::FINDINGS.iter().map(|kind| {
                let findings = audit.findings.iter();
                let of_this = findings.filter(|finding| finding.finding == *kind);
                (kind.as_str(), of_this.count())
            }));
        }
        Ok(audit)
    }

    async fn triggers(&self, audit: &mut Audit) -> Result<(), LookupError> {
        let deadline = self.lookup.connections.deadline();
        let epochs = self.missing_epoch_triggers(deadline).await?;
        let notify = self.missing_notify_triggers(deadline).await?;
        for (kind, missing) in [
            (Finding::MigrationPartly, epochs),
            (Finding::NotifyTriggers, notify),
        ] {
            let found = missing.into_iter().map(Some);
            let finding = |detail| AuditFinding::of_database(kind, detail);
            audit.findings.extend(found.map(finding));
        }
        Ok(())
    }

    /// Each part returns one row more than is wanted, which tells that there are more.
    fn audit_sql(&self, limit: usize, living: &Living) -> String {
        let (table, ownership) = (&self.table, &self.ownership);
        let (machines, is_lost) = (&ownership.machines, ownership.is_lost("m"));
        let (id, id_type) = (&table.id, self.lookup.query.id_type().name());
        let relation = literal(&table.qualified());
        let (more, most) = (limit + 1, MOST_OWNERS + 1);
        let epoch = &ownership.epoch;
        let owners = self.owners("(SELECT mine.got FROM mine)", living);
        let columns = |about: i16, owner: &str| {
            format!("t.{id}::{id_type}, {about}::smallint, {owner}::text, t.{epoch}::bigint")
        };
        let unowned = self.unowned(
            &columns(about::UNASSIGNED, "NULL"),
            "(SELECT mine.got FROM mine)",
            more,
        );
        let mut parts = vec![format!("({unowned})")];
        // A machine that is being created for a session has not beaten yet, and a drain leaves a
        // starting session to the machine that creates it.
        let (is_active, is_living) = (self.is_active("t"), self.is_living("t", living));
        for (about, presence, which) in [
            (about::LOST, Presence::Lost, &is_living),
            (about::NEVER_SEEN, Presence::NeverSeen, &is_active),
            (about::DRAINING, Presence::Draining, &is_active),
        ] {
            let code = ownership::code_of(presence);
            let columns = columns(about, "known.owner");
            let theirs = self.sessions_of(&columns, "known.owner", which, more);
            parts.push(format!(
                "(SELECT s.* FROM known CROSS JOIN LATERAL ({theirs}) AS s \
                 WHERE known.code = {code} LIMIT {more})"
            ));
        }
        parts.push(format!(
            "SELECT NULL, {owner}::smallint, known.owner, NULL FROM known",
            owner = about::OWNER
        ));
        parts.push(format!(
            "(SELECT NULL, {machine}::smallint, m.machine_id, NULL FROM {machines} AS m \
             WHERE NOT {is_lost} AND (SELECT mine.got FROM mine) ORDER BY m.machine_id LIMIT {most})",
            machine = about::MACHINE
        ));
        let drifted = columns(about::DRIFTED, &table.owner_text("t"));
        parts.push(self.drifted_sql(&drifted, more, living));
        // Asking for the usage also frees what all listeners have read.
        parts.push(format!(
            "SELECT NULL, {queue}::smallint, round((100 * used.share)::numeric, 1)::text, NULL \
             FROM (SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_notification_queue_usage() END \
                 AS share) AS used WHERE used.share > 0.1",
            queue = about::QUEUE
        ));
        parts.push(format!(
            "SELECT NULL, {replica}::smallint, NULL, NULL WHERE pg_is_in_recovery()",
            replica = about::REPLICA
        ));
        format!(
            "WITH RECURSIVE mine AS MATERIALIZED (\
                 SELECT pg_try_advisory_xact_lock(\
                     {LOCK} | to_regclass({relation})::oid::bigint) AS got\
             ), {owners} \
             SELECT NULL::{id_type}, {lock}::smallint, NULL::text, mine.got::int::bigint FROM mine \
             UNION ALL {parts}",
            lock = about::LOCK,
            parts = parts.join(" UNION ALL ")
        )
    }
}

/// Which finding a row is.
fn kind_of(about: i16) -> Option<Finding> {
    match about {
        about::OWNER | about::MACHINE => None,
        about::UNASSIGNED => Some(Finding::SessionUnassigned),
        about::LOST => Some(Finding::OwnerLost),
        about::NEVER_SEEN => Some(Finding::OwnerNeverSeen),
        about::DRIFTED => Some(Finding::OwnerWithoutEpoch),
        about::QUEUE => Some(Finding::NotifyQueue),
        about::REPLICA => Some(Finding::Replica),
        _ => Some(Finding::OwnerDraining),
    }
}

impl PostgresDirectory {
    /// Sessions whose owner is not the one that their epoch was set for, among some.
    fn drifted_sql(&self, columns: &str, more: usize, living: &Living) -> String {
        let (name, mine) = (self.table.qualified(), self.table.owner_text("t"));
        let (living, of) = (self.is_in_index("t", living), &self.ownership.epoch_of);
        let drifted = self.ownership.drifted("t", &mine);
        let (id, owner, epoch) = (&self.table.id, &self.table.owner, &self.ownership.epoch);
        let some = |from: &str| {
            format!(
                "(SELECT t.{id}, t.{owner}, t.{epoch}, t.{of} FROM {name} AS t \
                 WHERE (SELECT mine.got FROM mine) AND {living}{from} ORDER BY {mine} LIMIT {SAMPLE})"
            )
        };
        let (first, others) = (
            some(""),
            some(&format!(
                " AND {mine} >= (SELECT known.owner FROM known ORDER BY random() LIMIT 1)"
            )),
        );
        format!(
            "(SELECT {columns} FROM ({first} UNION {others}) AS t WHERE {drifted} LIMIT {more})"
        )
    }
}

fn read(lookup: &Inner, rows: &[Row], limit: usize) -> Result<Option<Audit>, LookupError> {
    let mut audit = Audit::default();
    let mut counts = [0; about::ALL];
    let mut owners = Shapes::default();
    let mut machines = Vec::new();
    for row in rows {
        let about: i16 = value(row, 1)?;
        let kind = match about {
            about::LOCK if value::<Option<i64>>(row, 3)? == Some(1) => continue,
            about::LOCK => return Ok(None),
            about => kind_of(about),
        };
        let most = if kind.is_some() { limit } else { MOST_OWNERS };
        let count: &mut usize =
            &mut counts[usize::try_from(about).unwrap_or(0).min(about::ALL - 1)];
        *count += 1;
        if *count > most {
            audit.truncated = true;
            continue;
        }
        let name: Option<String> = value(row, 2)?;
        match (kind, name) {
            (Some(kind @ (Finding::NotifyQueue | Finding::Replica)), used) => {
                let detail = used.map(|used| format!("{used} % of the queue are used"));
                let finding = AuditFinding::of_database(kind, detail);
                audit.findings.push(finding);
            }
            (Some(kind), owner) => audit.findings.push(AuditFinding {
                finding: kind,
                // What is no id cannot be asked for; that its owner is lost is true all the same.
                session: lookup.query.id_of(row),
                owner,
                epoch: Some(epoch(value(row, 3)?)?),
                machine: None,
                detail: None,
            }),
            (None, Some(owner)) if about == about::OWNER => owners.add(&owner),
            (None, machine) => machines.extend(machine),
        }
    }
    // Where nobody owns anything, nothing is unlike it.
    machines.retain(|machine| !owners.is_empty() && !owners.have_one_like(machine));
    audit.truncated |= machines.len() > limit;
    machines.truncate(limit);
    audit
        .findings
        .extend(machines.into_iter().map(|machine| AuditFinding {
            finding: Finding::WrongIdentity,
            session: None,
            owner: None,
            epoch: None,
            machine: Some(machine),
            detail: None,
        }));
    Ok(Some(audit))
}
