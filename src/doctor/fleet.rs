//! All sessions and machines, whether or not the ownership migration was applied.

use std::time::Duration;

use serde::Serialize;

use super::{directory::settle, facts::Kept, part};
use crate::{
    AuditFinding, Finding, ListedSession, LookupError, MachineStatus, OwnerStatus,
    PostgresConfigError, PostgresDirectory, PostgresLookup, PostgresLookupBuilder,
    PostgresVerifyError, SessionFilter, SessionId,
    postgres::{PlainFilter, PlainSession, SeenRival, SeenStatus},
};

/// Looks at all sessions and machines of a table. A clone is cheap.
///
/// It asks what [`PostgresDirectory`] tells, and where the ownership migration is not applied, it
/// makes do with the table and says what cannot be known.
#[derive(Clone, Debug)]
pub struct Fleet {
    lookup: PostgresLookup,
    plain: PostgresLookup,
}

/// Why a fleet cannot be looked at.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// The database could not be asked, or sessions are not stored as configured.
    #[error(transparent)]
    Verify(#[from] PostgresVerifyError),
    /// The database could not be asked.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// It is a question of what only the ownership migration makes known.
    #[error(
        "nothing is known of machines here, since the ownership migration is not applied: see \
         `ownership migrate`"
    )]
    NotKept,
    /// Without the rest of the migration a change of owner may raise no epoch.
    #[error(
        "the ownership migration is applied only in part (there is no {missing}), so a change of \
         owner is not safe: apply it first, `ownership migrate --run`"
    )]
    Partly {
        /// What is missing.
        missing: String,
    },
    /// A text names no session, or more than one.
    #[error("{why}")]
    NoSession {
        /// Which, and why not.
        why: String,
    },
    /// Another connection audits the same table at this moment.
    #[error("another audit of the same table is under way")]
    Busy,
}

/// Active sessions. Serializes in `camelCase`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FleetSessions {
    /// Whether epochs and presence are known.
    pub ownership_kept: bool,
    /// The sessions, in the order of their owners.
    pub sessions: Vec<ListedSession>,
    /// Whether there are more.
    pub truncated: bool,
}

/// What is wrong with a fleet. Serializes in `camelCase`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FleetAudit {
    /// Whether epochs and presence are known. Otherwise only sessions without an owner are found.
    pub ownership_kept: bool,
    /// All that is wrong.
    pub findings: Vec<AuditFinding>,
    /// Whether there is more.
    pub truncated: bool,
}

/// More is not listed at once.
const MOST: usize = 9_999;

impl Fleet {
    /// Whether the migration is applied is found out, whatever the builder says of it.
    pub fn postgres(builder: PostgresLookupBuilder) -> Result<Self, PostgresConfigError> {
        let (lookup, plain) = builder.with_and_without_ownership()?;
        let plain = plain.ok_or(PostgresConfigError::NoTable {
            reason: "a query of one's own names no table to list",
        })?;
        Ok(Self { lookup, plain })
    }

    /// All machines that are known.
    pub async fn machines(&self) -> Result<Vec<MachineStatus>, FleetError> {
        let directory = self.readable().await?.ok_or(FleetError::NotKept)?;
        Ok(directory.machines().await?)
    }

    /// Active sessions, at most `limit` of them, cut to 9,999.
    pub async fn sessions(
        &self,
        filter: &SessionFilter,
        limit: usize,
    ) -> Result<FleetSessions, FleetError> {
        let limit = limit.min(MOST);
        let directory = self.readable().await?;
        let ownership_kept = directory.is_some();
        // One more tells that there are more.
        let mut sessions = match &directory {
            Some(directory) => directory.sessions(filter, limit + 1).await?,
            None => self.plain_sessions(filter, limit + 1).await?,
        };
        let truncated = sessions.len() > limit;
        sessions.truncate(limit);
        Ok(FleetSessions {
            ownership_kept,
            sessions,
            truncated,
        })
    }

    /// What is wrong, of each kind at most `limit`: what [`PostgresDirectory::audit`] finds, and also
    /// [`DuplicateIdentity`](Finding::DuplicateIdentity) and
    /// [`StatusUnknown`](Finding::StatusUnknown).
    pub async fn audit(&self, limit: usize) -> Result<FleetAudit, FleetError> {
        let readable = match self.readable().await {
            // Of a replica nothing else is worth saying: it may all be old.
            Err(FleetError::Verify(PostgresVerifyError::Lookup(error)))
                if PostgresLookup::says_standby(&error) =>
            {
                let detail = Some("pg_is_in_recovery() is true".to_owned());
                return Ok(FleetAudit {
                    ownership_kept: true,
                    findings: vec![AuditFinding::of_database(Finding::Replica, detail)],
                    truncated: false,
                });
            }
            readable => readable?,
        };
        if let Some(directory) = readable {
            let audit = directory.audit(limit).await?.ok_or(FleetError::Busy)?;
            let mut findings = self.rivals(limit).await?;
            findings.extend(audit.findings);
            findings.extend(self.statuses(&self.lookup).await?);
            return Ok(FleetAudit {
                ownership_kept: true,
                findings,
                truncated: audit.truncated,
            });
        }
        let limit = limit.min(MOST);
        let statuses = self.statuses(&self.plain).await?;
        // Of a migration that is there in part nothing can be relied on but that.
        let missing = match settle(&self.lookup, Some(&self.plain)).await?.kept {
            Kept::Partly(missing) => missing,
            _ => Vec::new(),
        };
        let filter = SessionFilter::Unassigned;
        let mut unassigned = self.plain_sessions(&filter, limit + 1).await?;
        let truncated = unassigned.len() > limit;
        unassigned.truncate(limit);
        let finding = |session: ListedSession| AuditFinding {
            finding: Finding::SessionUnassigned,
            session: Some(session.id),
            owner: None,
            epoch: None,
            machine: None,
            detail: None,
        };
        let partly = missing.into_iter().map(|missing| {
            let detail = Some(format!("there is no {missing}"));
            AuditFinding::of_database(Finding::MigrationPartly, detail)
        });
        Ok(FleetAudit {
            ownership_kept: false,
            findings: partly
                .chain(unassigned.into_iter().map(finding))
                .chain(statuses)
                .collect(),
            truncated,
        })
    }

    /// Who holds locks that commands and machines wait for, for longer than a second; each as a clause.
    pub async fn locks(&self) -> Vec<String> {
        let seen = self.lookup.see_server().await.unwrap_or_default();
        seen.locks.iter().map(ToString::to_string).collect()
    }

    /// Machines of which two processes run.
    async fn rivals(&self, limit: usize) -> Result<Vec<AuditFinding>, FleetError> {
        let rivals = self.lookup.see_rivals(limit.min(MOST)).await?.into_iter();
        let finding = |rival: SeenRival| AuditFinding {
            machine: Some(rival.machine),
            ..AuditFinding::of_database(Finding::DuplicateIdentity, Some(rival.detail))
        };
        Ok(rivals.map(finding).collect())
    }

    /// Sessions that look alive and count as over, or cannot be read, by a word in their status.
    async fn statuses(&self, lookup: &PostgresLookup) -> Result<Vec<AuditFinding>, FleetError> {
        let odd = lookup.see_odd_statuses().await?.into_iter();
        let finding = |odd: SeenStatus| {
            let SeenStatus { word, count } = odd;
            let detail =
                format!("{word:?}: {count} with an owner and no end, in the first 20,000 rows");
            AuditFinding::of_database(Finding::StatusUnknown, Some(detail))
        };
        Ok(odd.map(finding).collect())
    }

    async fn plain_sessions(
        &self,
        filter: &SessionFilter,
        limit: usize,
    ) -> Result<Vec<ListedSession>, FleetError> {
        let filter = match filter {
            SessionFilter::All => PlainFilter::All,
            SessionFilter::Unassigned => PlainFilter::Unassigned,
            SessionFilter::OwnedBy(machine) => PlainFilter::OwnedBy(machine.as_str()),
            SessionFilter::OwnersAre(_) => return Err(FleetError::NotKept),
        };
        let listed = self.plain.see_sessions(filter, limit).await?.into_iter();
        let session = |seen: PlainSession| ListedSession {
            id: seen.id,
            status: seen.status,
            owner: seen.owner,
            epoch: None,
            presence: OwnerStatus::Unknown,
            remaining: seen
                .remaining
                .and_then(|left| Duration::try_from_secs_f64(left.max(0.0)).ok()),
        };
        Ok(listed.map(session).collect())
    }

    /// The session that a text names: by its id, or by the beginning or the end of it, as logs show it.
    /// For a part of an id the whole table is read, within 10 s.
    pub async fn session_id(&self, text: &str) -> Result<SessionId, FleetError> {
        match part::find(&self.plain, text).await {
            Ok(Some(id)) => Ok(id),
            Ok(None) => Err(FleetError::NoSession {
                why: format!("{text:?} is neither a session id nor a part of one"),
            }),
            Err(why) => Err(FleetError::NoSession { why }),
        }
    }

    /// The directory, to change who owns what: only where all of the ownership migration is applied.
    pub async fn directory(&self) -> Result<PostgresDirectory, FleetError> {
        match settle(&self.lookup, Some(&self.plain)).await?.kept {
            Kept::Yes => self.lookup.directory().map_err(|_| FleetError::NotKept),
            Kept::Partly(missing) => Err(FleetError::Partly {
                missing: missing.join(", no "),
            }),
            Kept::No | Kept::Unknown => Err(FleetError::NotKept),
        }
    }

    /// `None`: it is not kept here, or not all of it.
    async fn readable(&self) -> Result<Option<PostgresDirectory>, FleetError> {
        let settled = settle(&self.lookup, Some(&self.plain)).await?;
        // Without its triggers a table can be read as well.
        let readable = match &settled.kept {
            Kept::Yes => true,
            Kept::Partly(missing) => missing.iter().all(|one| one.starts_with("trigger ")),
            _ => false,
        };
        if !readable {
            return Ok(None);
        }
        let directory = self.lookup.directory();
        // It was built with ownership, and with a table.
        Ok(directory.ok())
    }
}

crate::observe::debug_as_chain!(FleetError);
