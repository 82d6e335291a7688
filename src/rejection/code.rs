//! The stable codes of the HTTP contract.

use std::time::Duration;

use http::StatusCode;

/// The stable code of an answer that the layer gave in the application's place.
///
/// Codes are part of the HTTP contract: clients and alerts may match on [`as_str`](Self::as_str).
/// The `type` of a problem document leads to its section of the [manual](crate::manual::rejections),
/// which says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The session id cannot be read.
    /// <span id="session-malformed"></span>
    ///
    /// `session-malformed`, 400. What stands where the request should name a session is no UUID,
    /// or it names two. Send one id, hyphenated or as 32 hexadecimal digits.
    SessionMalformed,
    /// The directory knows no such session.
    /// <span id="session-unknown"></span>
    ///
    /// `session-unknown`, 404. The directory was asked, and has no such row. A session that is just
    /// being created may be known a moment later.
    SessionUnknown,
    /// The session ended, or its life is over.
    /// <span id="session-over"></span>
    ///
    /// `session-over`, 410. It will not come back; start another one.
    SessionOver,
    /// The application's guard refused the request.
    /// <span id="session-forbidden"></span>
    ///
    /// `session-forbidden`, 403. The guard decides; the layer only says so.
    SessionForbidden,
    /// Nobody owns the session yet, or it is being created.
    /// <span id="session-starting"></span>
    ///
    /// `session-starting`, 503 with `Retry-After`. Ask again in a moment.
    SessionStarting,
    /// This machine is the owner, and it may not serve yet, or no more.
    /// <span id="session-moving"></span>
    ///
    /// `session-moving`, 503 with `Retry-After`. The session was taken from another machine, or this
    /// machine's id from another process, which may still be serving it for as long as the header
    /// says; or this machine is giving its sessions up. Ask again in a moment.
    SessionMoving,
    /// The owner has stopped beating.
    /// <span id="owner-lost"></span>
    ///
    /// `owner-lost`, 503 with `Retry-After`. The directory names a machine that said nothing for too
    /// long, has left, or was declared gone; so the request was not sent there. Also where the session
    /// is still being created, since that machine would have to finish it. It comes back, or
    /// somebody gives the session to another machine; see
    /// [`OnLostOwner`](crate::OnLostOwner).
    OwnerLost,
    /// The owner has never been seen.
    /// <span id="owner-never-seen"></span>
    ///
    /// `owner-never-seen`, 503 with `Retry-After`. The directory names a machine that is not in the
    /// table of machines: it is still starting, was never created, calls itself by another name, or
    /// its row was deleted and comes back with its next heartbeat. It is remembered for as long as
    /// [what is unknown](crate::Freshness::unknown).
    OwnerNeverSeen,
    /// Another process is this machine, too.
    /// <span id="duplicate-identity"></span>
    ///
    /// `duplicate-identity`, 503 with `Retry-After`. Two processes say that they are the same
    /// machine. The older one, which answers this, has stopped serving. Look at where machines get
    /// their identity from.
    DuplicateIdentity,
    /// The owner is another machine, and no proxy acted on the replay.
    /// <span id="replay-not-honoured"></span>
    ///
    /// `replay-not-honoured`, 409 unless set otherwise. The answer asked the proxy in front, or the
    /// client, to take the request to the owner; who reads it was not asked by a proxy that does.
    /// Check that requests come through the platform's proxy, and that owners are ids it knows.
    ReplayNotHonoured,
    /// The owner is another machine, and the proxy could not reach it.
    /// <span id="owner-unreachable"></span>
    ///
    /// `owner-unreachable`, 503 with `Retry-After`. The proxy gave the request back, and the detail
    /// holds its reason. The machine may be stopped, restarting, or gone while the directory still
    /// names it. Whether the owner has seen the request is not known.
    OwnerUnreachable,
    /// The request was replayed as often as allowed and still is not at the owner.
    /// <span id="replay-loop"></span>
    ///
    /// `replay-loop`, 508. The directory and the proxy disagree on who the owner is, or two machines
    /// read different directories.
    ReplayLoop,
    /// The owner is another machine, and this request cannot be carried there.
    /// <span id="not-replayable"></span>
    ///
    /// `not-replayable`, 413 for the body and 421 otherwise. The detail says which limit it met; the
    /// owner itself would take the request.
    NotReplayable,
    /// This machine owns the session, and the application does not hold it.
    /// <span id="session-absent"></span>
    ///
    /// `session-absent`, 410. The application said so with [`SessionAbsent`](crate::SessionAbsent),
    /// as it does after a restart. Start another session.
    SessionAbsent,
    /// What the directory says of the owner cannot be used.
    /// <span id="directory-corrupt"></span>
    ///
    /// `directory-corrupt`, 502. An owner that is no machine id, an address that cannot be used or
    /// is not allowed, or columns of another type. Look at the session's row.
    DirectoryCorrupt,
    /// The directory could not be asked.
    /// <span id="lookup-unavailable"></span>
    ///
    /// `lookup-unavailable`, 503 with `Retry-After`. It failed or took too long, which says nothing
    /// about the session.
    LookupUnavailable,
}

impl Code {
    /// Every code that this version knows, in the order of the contract's table.
    pub const ALL: &'static [Self] = &[
        Self::SessionMalformed,
        Self::SessionUnknown,
        Self::SessionOver,
        Self::SessionForbidden,
        Self::SessionStarting,
        Self::SessionMoving,
        Self::OwnerLost,
        Self::OwnerNeverSeen,
        Self::DuplicateIdentity,
        Self::ReplayNotHonoured,
        Self::OwnerUnreachable,
        Self::ReplayLoop,
        Self::NotReplayable,
        Self::SessionAbsent,
        Self::DirectoryCorrupt,
        Self::LookupUnavailable,
    ];

    /// The code as it stands in answers, events and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SessionMalformed => "session-malformed",
            Self::SessionUnknown => "session-unknown",
            Self::SessionOver => "session-over",
            Self::SessionForbidden => "session-forbidden",
            Self::SessionStarting => "session-starting",
            Self::SessionMoving => "session-moving",
            Self::OwnerLost => "owner-lost",
            Self::OwnerNeverSeen => "owner-never-seen",
            Self::DuplicateIdentity => "duplicate-identity",
            Self::ReplayNotHonoured => "replay-not-honoured",
            Self::OwnerUnreachable => "owner-unreachable",
            Self::ReplayLoop => "replay-loop",
            Self::NotReplayable => "not-replayable",
            Self::SessionAbsent => "session-absent",
            Self::DirectoryCorrupt => "directory-corrupt",
            Self::LookupUnavailable => "lookup-unavailable",
        }
    }

    /// The status of the answer, unless the circumstances call for another one.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::SessionMalformed => StatusCode::BAD_REQUEST,
            Self::SessionUnknown => StatusCode::NOT_FOUND,
            Self::SessionOver | Self::SessionAbsent => StatusCode::GONE,
            Self::SessionForbidden => StatusCode::FORBIDDEN,
            Self::SessionStarting
            | Self::SessionMoving
            | Self::OwnerLost
            | Self::OwnerNeverSeen
            | Self::DuplicateIdentity
            | Self::OwnerUnreachable
            | Self::LookupUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::ReplayNotHonoured => StatusCode::CONFLICT,
            Self::ReplayLoop => StatusCode::LOOP_DETECTED,
            Self::NotReplayable => StatusCode::MISDIRECTED_REQUEST,
            Self::DirectoryCorrupt => StatusCode::BAD_GATEWAY,
        }
    }

    /// What happened, in one short sentence without a full stop.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::SessionMalformed => "This is not a session id",
            Self::SessionUnknown => "There is no such session",
            Self::SessionOver => "This session has ended",
            Self::SessionForbidden => "This session is not open to you",
            Self::SessionStarting => "This session is starting",
            Self::SessionMoving => "This session is moving to another machine",
            Self::OwnerLost => "This session's machine has stopped responding",
            Self::OwnerNeverSeen => "This session's machine has never started",
            Self::DuplicateIdentity => "Two processes say that they are this session's machine",
            Self::ReplayNotHonoured => {
                "This session is on another machine, and the request was not taken there"
            }
            Self::OwnerUnreachable => "This session's machine could not be reached",
            Self::ReplayLoop => "This request went round in circles",
            Self::NotReplayable => "This request cannot be taken to its session's machine",
            Self::SessionAbsent => "This session was lost",
            Self::DirectoryCorrupt => "What is written about this session cannot be used",
            Self::LookupUnavailable => "This session could not be looked up",
        }
    }

    /// When asking again makes sense, if it does.
    ///
    /// A second for what is a matter of moments, five for a machine that has to come back.
    #[must_use]
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::SessionStarting | Self::SessionMoving | Self::LookupUnavailable => {
                Some(Duration::from_secs(1))
            }
            Self::OwnerLost
            | Self::OwnerNeverSeen
            | Self::DuplicateIdentity
            | Self::OwnerUnreachable => Some(Duration::from_secs(5)),
            _ => None,
        }
    }

    /// Whether somebody has to mend something, other than the client.
    pub(crate) fn concerns_the_operator(self) -> bool {
        !matches!(
            self,
            Self::SessionMalformed
                | Self::SessionUnknown
                | Self::SessionOver
                | Self::SessionForbidden
                | Self::SessionStarting
                | Self::SessionMoving
                | Self::NotReplayable
        )
    }
}
