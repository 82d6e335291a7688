//! What can be wrong with a request, its session or the fleet: one table for explanations, the
//! doctor, audits and probes.

use std::fmt;

use serde::{Serialize, Serializer};

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Severity {
    /// Nothing is wrong.
    Fine,
    /// Something is wrong.
    Problem,
    /// Not known: the directory could not be asked.
    Unknown,
}

/// Each row: variant, name, severity, title, next step.
macro_rules! findings {
    ($($variant:ident $name:literal $severity:ident $title:literal $next:literal)*) => {
        /// What is wrong with a request, its session or the fleet.
        ///
        /// Explanations, the doctor, audits and probes use the same names for the same facts. A
        /// finding displays and serializes as its name, which is stable: scripts may match on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Finding {
            $(#[doc = concat!("`", $name, "`: ", $title, ".")] $variant,)*
        }

        impl Finding {
            /// Every finding of this version.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How bad it is.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// What is wrong, as a clause without particulars.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What an operator should do.
            #[must_use]
            pub fn next_step(self) -> &'static str {
                match self { $(Self::$variant => $next,)* }
            }
        }
    };
}

findings! {
    Fine "fine" Fine
        "nothing is wrong"
        "None."
    NoSession "no-session" Fine
        "the request is for no session, and passes to the application on every machine"
        "None. If it should be for one, check the layer's extractor."
    SessionMalformed "session-malformed" Problem
        "the session id cannot be read"
        "Send one id, in the form that the directory's sessions have."
    SessionMissing "session-missing" Problem
        "the request names no session, and the layer requires one"
        "Send the id where the layer looks for it. If the request should pass without one, mount its \
         route outside of the layer."
    SessionUnknown "session-unknown" Problem
        "the directory knows no such session"
        "Check the id (`ownership sessions --id PART` finds sessions by a part of it), and that this \
         is the database that the orchestrator writes to."
    SessionOver "session-over" Problem
        "the session is over"
        "Start another session. If this one should still live, check what writes its end, or name \
         the words of its status that mean that it lives (`--active-status`)."
    StatusUnknown "status-unknown" Problem
        "sessions that look alive have a status that the lookup does not know"
        "If they live, name the word here (`ownership audit --active-status active,WORD`) and in \
         the machines' lookup (`active_statuses`). If they are over, write when they ended \
         (`ended_at`), or name all such words (`--over-status`, `over_statuses`)."
    SessionForbidden "session-forbidden" Problem
        "the application's guard does not let this request near the session"
        "Send the credentials that the guard asks for; the doctor sends none."
    SessionStarting "session-starting" Problem
        "the session is still being created"
        "Wait. If it stays so, look at the orchestrator, which writes the status."
    SessionUnassigned "session-unassigned" Problem
        "the session has no owner"
        "Give it to a machine (`ownership assign SESSION --to MACHINE`) or end it (`ownership end \
         SESSION`). So that it does not come again, look at the orchestrator, which assigns \
         machines, or let machines claim such sessions (`OnUnassigned::Claim`)."
    SessionMoving "session-moving" Problem
        "the session is moving to another machine or process"
        "Retry in a few seconds. If it stays so, look for what writes the owner again and again: with \
         `ownership sessions --watch` its epoch rises."
    SessionAbsent "session-absent" Problem
        "the owner runs and does not hold the session"
        "Start another session; after a restart of a machine, end the sessions that it held \
         (`ownership end --owner OWNER`), or have them end with it (`volatile`)."
    DuplicateIdentity "duplicate-identity" Problem
        "two processes run under the machine id of the owner"
        "Stop the older process. Then look at where machines get their identity from: each running \
         container needs an id of its own. `ownership machines` shows when the other one last wrote."
    WrongIdentity "wrong-identity" Problem
        "owners are stored by other ids than machines have"
        "Compare `ownership machines` with `ownership sessions`. Have the orchestrator write the id \
         that the process reads at its start (on Fly.io FLY_MACHINE_ID), or give the layer the other \
         one with `machine(…)`."
    MachineJoining "machine-joining" Problem
        "the owner serves nothing before its heartbeat is registered"
        "Wait. If it stays so, see the machine's log: it may not reach the database. `ownership \
         machines` shows when it was last heard."
    OwnerNeverSeen "owner-never-seen" Problem
        "the owner was never seen"
        "Look at the orchestrator: it wrote the owner down before the machine was there, and its \
         creation failed or is still under way. Create it, or give the session to a machine that is \
         alive: `ownership assign SESSION --to MACHINE`."
    OwnerGone "owner-gone" Problem
        "the owner does not exist"
        "Give its sessions to a machine that exists (`ownership assign --owner OWNER --to MACHINE`) \
         or release them (`ownership release --owner OWNER`); machines can also take over from lost \
         owners (`OnLostOwner::TakeOver`)."
    OwnerNotStarted "owner-not-started" Problem
        "the owner exists and has not started"
        "Look at the machine's events on the platform. Start it, or assign the session to a machine \
         that runs."
    OwnerStopped "owner-stopped" Problem
        "the owner does not run"
        "Start it. A replay wakes a stopped machine unless its service has autostart off, and has \
         to wait for it: see the replay's `timeout`."
    OwnerLost "owner-lost" Problem
        "the owner is lost"
        "See whether the machine runs. If not, start it again, or give its sessions to another one: \
         `ownership assign --owner OWNER --to MACHINE`; machines can also take over from lost owners \
         (`OnLostOwner::TakeOver`). If it runs, its heartbeats do not arrive: see its log."
    HeartbeatsMissing "heartbeats-missing" Problem
        "the owner runs, and its heartbeats do not arrive"
        "Look at the owner's log: does it send heartbeats (`directory.heartbeat().start(…)`), and \
         may it write to `ownership_machines` (UPDATE and INSERT, on a primary, without a lock on \
         the table)? `ownership machines` shows when one was last written. If it was declared gone, \
         or has left, and still answers, stop its process."
    OwnerDraining "owner-draining" Problem
        "the owner is draining"
        "Wait until another machine has the session. If it stays so, the drain hangs: look at the \
         machine's log; once its process has ended, `ownership gone OWNER` lets others take over."
    OwnerUnreachable "owner-unreachable" Problem
        "the owner cannot be reached"
        "Check that it runs and listens where its service says (0.0.0.0, and the internal port); \
         for `timeout`, that the replay's timeout is longer than a start takes; for a redirect, \
         that its address leads to the owner from where clients are."
    WrongMachine "wrong-machine" Problem
        "a machine that is not the owner serves the session"
        "Check that on that machine the layer is in front of the service, on this path, too, and \
         that its extractor finds the session where this request carries it."
    ReplayNotHonoured "replay-not-honoured" Problem
        "no proxy acts on the replay to the owner"
        "Send requests through Fly's proxy (the app's public name or its .flycast address, not \
         .internal), or use `Redirect` where no proxy replays."
    ReplayLoop "replay-loop" Problem
        "the request went round in circles without coming to the owner"
        "Check that all machines read this same database (and its primary, not a replica that \
         lags), that each knows itself by the id that is stored, and that the owner's address leads \
         to the owner."
    NotReplayable "not-replayable" Problem
        "the request cannot be handed to the owner"
        "See the detail of the answer: a body over 1 MB, one of unknown length, or an upgrade that \
         a redirect cannot carry."
    DirectoryDown "directory-down" Unknown
        "the directory cannot be asked"
        "Check the URL (`--database`, DATABASE_URL) and that the server runs. While it is down, \
         owners serve what they have read a moment ago, and everything else is refused."
    DirectorySlow "directory-slow" Problem
        "the directory does not answer in time"
        "Look at its load, its connections and its locks, and whether the id column has an index; \
         the layer refuses what it cannot read within its lookup timeout (2 s). From far away, give \
         the command longer: `--database-timeout 30s`."
    DatabaseLocked "database-locked" Problem
        "another connection keeps machines from reading or writing"
        "See what that connection does. If it is not meant to take long, end it: \
         `SELECT pg_terminate_backend(PID)`."
    DatabaseDenied "database-denied" Problem
        "this database user may not read or write what machines do"
        "If machines log in as this user, too, run the GRANT as the owner of the tables; otherwise \
         give `--database` the URL that the machines have."
    DatabaseLogin "database-login" Unknown
        "the database refuses the login"
        "Check user, password and database name in the URL (`--database`, DATABASE_URL), and what \
         pg_hba.conf admits."
    DatabaseFull "database-full" Problem
        "the database takes no more connections"
        "See who has them: `SELECT usename, application_name, state, count(*) FROM pg_stat_activity \
         GROUP BY 1, 2, 3 ORDER BY 4 DESC`. Then end idle ones, make pools smaller \
         (`max_connections` of the lookup), or raise `max_connections` of the server."
    DirectoryDownThere "directory-down-there" Problem
        "the machine that answered cannot ask the directory"
        "Look at that machine's log: its DATABASE_URL, its network, its pool, and how slow the \
         database is from there."
    DirectoryDiffers "directory-differs" Problem
        "the machine that answered reads another database, another table, or a replica that lags"
        "Compare the DATABASE_URL and the table of the machines with the ones given here."
    TableMissing "table-missing" Problem
        "there is no such table, or this user may not see it"
        "Name the table (`--table`, `--schema`), and check that this database and this user are the \
         right ones."
    ColumnMissing "column-missing" Problem
        "the table lacks a column"
        "Name the columns as they are (`--columns owner=NAME`), or leave out those that are not there \
         (`--columns address=`)."
    ColumnType "column-type" Problem
        "a column has another type than its values need"
        "Name another column, or change the column's type."
    RowUnusable "row-unusable" Problem
        "the session's row cannot be used"
        "Mend the row, or tell the lookup what the words of its status mean."
    OwnerUnusable "owner-unusable" Problem
        "the row's owner cannot be a machine id"
        "Have the orchestrator write the id that the machine itself reads (on Fly.io \
         FLY_MACHINE_ID), or NULL where there is none."
    MigrationPartly "migration-partly" Problem
        "the ownership migration is applied only in part"
        "Apply it: `ownership migrate --run`. It may be applied again and again."
    OwnerWithoutEpoch "owner-without-epoch" Problem
        "the session's owner changed without a new epoch"
        "Apply the migration again: `ownership migrate --run`. Until then no machine serves the \
         session."
    NotifyTriggers "notify-triggers" Problem
        "a trigger that notifies of changes is missing or disabled"
        "Apply the migration: `ownership migrate --run`, or enable the trigger. Until then machines \
         see changes when the cached entry expires."
    NotifyQueue "notify-queue" Problem
        "the server's queue of notifications is more than a tenth full"
        "Find the session that listens in a long transaction: `SELECT pid, query FROM \
         pg_stat_activity WHERE xact_start < now() - interval '1 min'`, and end it. When the queue \
         is full, every write that notifies fails. Then `ownership audit` again."
    Replica "replica" Problem
        "the database is a replica, and what is read there may be old"
        "Point machines at the primary, or name all servers as hosts of the URL with \
         `target_session_attrs=read-write`; then `ownership audit` of the primary."
    UrlUnreachable "url-unreachable" Problem
        "the public URL gives no answer"
        "Check the URL, its DNS entry and certificate, and that the service runs at all."
    ProxyError "proxy-error" Problem
        "the proxy answers by itself"
        "Look for the proxy's error code in the app's log (`fly logs`): PR02 no such machine, PC01 \
         nothing listens, PM03 it did not wake, PA01 the body is too large."
    ApplicationRefused "application-refused" Problem
        "the application answers by itself"
        "Check that the layer is outside of the route (and of whatever strips the path's prefix), \
         and that its extractor finds the session in this URL; then ask the application."
    CheckFailed "check-failed" Problem
        "one of the checks found a problem"
        "See the lines above that are marked with `!!`: what they report can fail other requests, \
         or the next one."
}

impl Finding {
    /// The finding of this name; each [`RejectionCode`](crate::RejectionCode) but those of a failed lookup has one.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.as_str() == name)
    }

    /// A sentence: `lead`, the title with the owner's id in it, and `evidence`, which begins with
    /// its own punctuation.
    pub(crate) fn sentence(self, lead: &str, owner: Option<&str>, evidence: &str) -> String {
        let title = match owner {
            Some(owner) => self
                .title()
                .replacen("the owner", &format!("the owner `{owner}`"), 1),
            None => self.title().to_owned(),
        };
        let mut text = format!("{lead}{title}{evidence}.");
        if let Some(first) = text.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        text
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RejectionCode;

    #[test]
    fn each_finding_has_a_name_of_its_own() {
        for finding in Finding::ALL {
            assert_eq!(Finding::named(finding.as_str()), Some(*finding));
            assert!(finding.next_step().ends_with('.'), "{finding}");
        }
    }

    #[test]
    fn each_refusal_but_of_the_directory_is_a_finding_of_the_same_name() {
        for code in RejectionCode::ALL {
            let of_the_directory = matches!(
                code,
                RejectionCode::LookupUnavailable
                    | RejectionCode::DirectoryCorrupt
                    | RejectionCode::SessionUnregistered
            );
            assert_eq!(
                Finding::named(code.as_str()).is_none(),
                of_the_directory,
                "{code:?}"
            );
        }
    }

    #[test]
    fn a_sentence_names_the_owner_and_begins_with_a_capital() {
        assert_eq!(
            Finding::OwnerLost.sentence("", Some("m1"), ": it has left"),
            "The owner `m1` is lost: it has left."
        );
        assert_eq!(
            Finding::OwnerLost.sentence("the row is fine, and ", None, ""),
            "The row is fine, and the owner is lost."
        );
    }
}
