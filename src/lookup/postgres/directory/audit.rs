//! What is wrong with a fleet.

use serde::{Serialize, Serializer};
use tokio_postgres::Row;

use super::{
    PostgresDirectory, epoch, json, machines::LIST, owners::MOST_OWNERS, sessions::MOST, value,
};
use crate::{
    LookupError, Presence, SessionId,
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
    /// What it is.
    pub kind: AuditKind,
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
}

/// Which thing is wrong. It serializes as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditKind {
    /// `unassigned`: a session is active, and nobody owns it.
    Unassigned,
    /// `owner-lost`: the session's owner has not beaten for too long, has left, or was declared
    /// gone.
    OwnerLost,
    /// `owner-never-seen`: other machines keep their presence, and the session's owner never did.
    OwnerNeverSeen,
    /// `owner-draining`: the session's owner gives its sessions up, and has not given up this one.
    OwnerDraining,
    /// `wrong-identity`: a machine beats under an id of another form than every owner's, as one does
    /// that takes its hostname for its id.
    WrongIdentity,
}

impl AuditKind {
    /// Every kind that this version knows.
    pub const ALL: &'static [Self] = &[
        Self::Unassigned,
        Self::OwnerLost,
        Self::OwnerNeverSeen,
        Self::OwnerDraining,
        Self::WrongIdentity,
    ];

    /// The kind as it stands in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unassigned => "unassigned",
            Self::OwnerLost => "owner-lost",
            Self::OwnerNeverSeen => "owner-never-seen",
            Self::OwnerDraining => "owner-draining",
            Self::WrongIdentity => "wrong-identity",
        }
    }
}

impl Serialize for AuditKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
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
}

/// In the upper half of the lock's key, so that it is nobody else's: "town".
const LOCK: u64 = 0x746f_776e << 32;

impl PostgresDirectory {
    /// Looks for what is wrong with the fleet, within 10 s: active sessions that nobody owns, or
    /// whose owner is lost, was never seen, or drains; and machines that beat under an id which
    /// looks like no owner's. Of each kind at most `limit` (cut to 10,000) are found.
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
        let sql = self.audit_sql(limit);
        let rows = lookup.connections.read_much(&sql, &[], LIST).await;
        let rows = rows.map_err(Failure::into_read_error)?;
        let audit = read(lookup, &rows, limit)?;
        if let Some(audit) = &audit {
            meter::audited(AuditKind::ALL.iter().map(|kind| {
                let findings = audit.findings.iter();
                let of_this = findings.filter(|finding| finding.kind == *kind);
                (kind.as_str(), of_this.count())
            }));
        }
        Ok(audit)
    }

    /// Each part returns one row more than is wanted, which tells that there are more.
    fn audit_sql(&self, limit: usize) -> String {
        let (table, ownership) = (&self.table, &self.ownership);
        let (machines, is_lost) = (&ownership.machines, ownership.is_lost("m"));
        let (id, id_type) = (&table.id, self.lookup.query.id_type().name());
        let relation = literal(&table.qualified());
        let (more, most) = (limit + 1, MOST_OWNERS + 1);
        let epoch = &ownership.epoch;
        let owners = self.owners("(SELECT mine.got FROM mine)");
        let columns = |about: i16, owner: &str| {
            format!("t.{id}::{id_type}, {about}::smallint, {owner}::text, t.{epoch}::bigint")
        };
        let unowned = self.unowned(
            &columns(about::UNASSIGNED, "NULL"),
            "(SELECT mine.got FROM mine)",
            more,
        );
        let mut parts = vec![format!("({unowned})")];
        for (about, presence) in [
            (about::LOST, Presence::Lost),
            (about::NEVER_SEEN, Presence::NeverSeen),
            (about::DRAINING, Presence::Draining),
        ] {
            let code = ownership::code_of(presence);
            let theirs = self.sessions_of(&columns(about, "known.owner"), "known.owner", more);
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

fn read(lookup: &Inner, rows: &[Row], limit: usize) -> Result<Option<Audit>, LookupError> {
    let mut audit = Audit::default();
    let mut counts = [0; 7];
    let mut owners = Shapes::default();
    let mut machines = Vec::new();
    for row in rows {
        let about: i16 = value(row, 1)?;
        let kind = match about {
            about::LOCK if value::<Option<i64>>(row, 3)? == Some(1) => continue,
            about::LOCK => return Ok(None),
            about::OWNER | about::MACHINE => None,
            about::UNASSIGNED => Some(AuditKind::Unassigned),
            about::LOST => Some(AuditKind::OwnerLost),
            about::NEVER_SEEN => Some(AuditKind::OwnerNeverSeen),
            _ => Some(AuditKind::OwnerDraining),
        };
        let most = if kind.is_some() { limit } else { MOST_OWNERS };
        let count: &mut usize = &mut counts[usize::try_from(about).unwrap_or(0).min(6)];
        *count += 1;
        if *count > most {
            audit.truncated = true;
            continue;
        }
        let name: Option<String> = value(row, 2)?;
        match (kind, name) {
            (Some(kind), owner) => audit.findings.push(AuditFinding {
                kind,
                // What is no id cannot be asked for; that its owner is lost is true all the same.
                session: lookup.query.id_of(row),
                owner,
                epoch: Some(epoch(value(row, 3)?)?),
                machine: None,
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
            kind: AuditKind::WrongIdentity,
            session: None,
            owner: None,
            epoch: None,
            machine: Some(machine),
        }));
    Ok(Some(audit))
}
