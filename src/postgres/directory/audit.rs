//! What is wrong with a fleet.

use std::collections::HashMap;

use serde::Serialize;
use tokio_postgres::{Row, types::Type};

use super::{MOST, PostgresDirectory, epoch, json, owners::MOST_OWNERS, rows, value};
use crate::{
    Finding, LookupError, SessionId,
    machine::shape::Shapes,
    meter,
    postgres::{row, sql::sql_file},
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
    /// The session's owner, as it stands in the table; `None`: it has no owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The session's epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// The machine that it is about; `None` for a finding about a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// What is missing, or how full it is, for a finding about the database; how a session came to have
    /// no owner; or what is known of either process of a machine.
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

/// How many sessions are looked at for the owner of their epoch: those of the first owners, and as
/// many from a random owner on. They have to be read, which the rest of an audit spares.
const SAMPLE: usize = 2_500;

/// In the upper half of the lock's key, so that no other lock has it: "town".
const LOCK: u64 = 0x746f_776e << 32;

impl PostgresDirectory {
    /// Looks for what is wrong with the fleet, within 10 s: active sessions without an owner, or
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
        let limit = limit.min(MOST);
        let sql = self
            .living()
            .await?
            .sql
            .template("condition", "(SELECT mine.got FROM mine)");
        let sql = sql
            .text("sample", SAMPLE.to_string())
            .text("lock", LOCK.to_string());
        let sql = sql.fill(sql_file!("audit"));
        let mut audit = read(
            &self.list(&sql, &[(&rows(limit), Type::INT8)]).await?,
            limit,
        )?;
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
        let notify = self.missing_of_feed(deadline).await?;
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
}

fn read(rows: &[Row], limit: usize) -> Result<Option<Audit>, LookupError> {
    let mut audit = Audit::default();
    let mut counts = HashMap::new();
    let mut owners = Shapes::default();
    let mut machines = Vec::new();
    for row in rows {
        let about: &str = value(row, "about")?;
        if about == "lock" {
            if value::<Option<i64>>(row, "epoch")? == Some(1) {
                continue;
            }
            return Ok(None);
        }
        let mut findings = Audit::FINDINGS.iter().copied();
        let finding = findings.find(|finding| finding.as_str() == about);
        let most = if finding.is_some() {
            limit
        } else {
            MOST_OWNERS
        };
        let count: &mut usize = counts.entry(about).or_default();
        *count += 1;
        if *count > most {
            audit.truncated = true;
            continue;
        }
        let name: Option<String> = value(row, "name")?;
        match (finding, name) {
            (Some(finding @ (Finding::NotifyQueue | Finding::Replica)), used) => {
                let detail = used.map(|used| format!("{used} % of the queue are used"));
                audit
                    .findings
                    .push(AuditFinding::of_database(finding, detail));
            }
            (Some(finding), name) => {
                let (owner, detail) = match finding {
                    Finding::SessionUnassigned => (None, name),
                    _ => (name, None),
                };
                audit.findings.push(AuditFinding {
                    finding,
                    // What is no id cannot be asked for; that its owner is lost is true all the same.
                    session: row::id(row),
                    owner,
                    epoch: Some(epoch(value(row, "epoch")?)?),
                    machine: None,
                    detail,
                });
            }
            (None, Some(owner)) if about == "owner" => owners.add(&owner),
            (None, machine) => machines.extend(machine),
        }
    }
    // Without any owner there is no shape to compare with.
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
