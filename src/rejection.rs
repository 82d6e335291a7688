//! Why a request was refused: data on a response, not an error.

use std::{borrow::Cow, time::Duration};

use http::StatusCode;

use crate::{
    Arrival, FailureReason, LookupErrorKind, MachineId, MalformedSession, NotReplayable, SessionId,
};

/// The stable code of an answer that the layer gave in the application's place.
///
/// Codes are part of the HTTP contract: clients and alerts may match on [`as_str`](Self::as_str).
/// The `type` of a problem document leads here, to its variant.
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
    /// Every code, in the order of the contract's table.
    pub const ALL: [Self; 12] = [
        Self::SessionMalformed,
        Self::SessionUnknown,
        Self::SessionOver,
        Self::SessionForbidden,
        Self::SessionStarting,
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
            Self::SessionStarting | Self::OwnerUnreachable | Self::LookupUnavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
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
            Self::SessionStarting | Self::LookupUnavailable => Some(Duration::from_secs(1)),
            Self::OwnerUnreachable => Some(Duration::from_secs(5)),
            _ => None,
        }
    }
}

/// Why a request was refused.
///
/// It is rendered into the answer and also travels in the answer's extensions, for layers outside.
#[derive(Clone, Debug)]
pub struct Rejection {
    code: Code,
    status: StatusCode,
    detail: Cow<'static, str>,
    session: Option<SessionId>,
    owner: Option<MachineId>,
    machine: MachineId,
}

impl Rejection {
    pub(crate) fn new(
        code: Code,
        machine: MachineId,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            status: code.status(),
            detail: detail.into(),
            session: None,
            owner: None,
            machine,
        }
    }

    pub(crate) fn malformed(machine: MachineId, malformed: MalformedSession) -> Self {
        let detail = match malformed {
            MalformedSession::NotAUuid => "What stands in the session's place is not a UUID.",
            MalformedSession::Ambiguous => "The request names more than one session.",
            MalformedSession::Unreadable => {
                "The part of the request that should name the session cannot be read."
            }
        };
        Self::new(Code::SessionMalformed, machine, detail)
    }

    /// The rejection of a verdict, with the detail that the circumstances give.
    pub(crate) fn of(
        code: Code,
        machine: MachineId,
        arrival: &Arrival,
        failed: Option<LookupErrorKind>,
    ) -> Self {
        let detail: Cow<'static, str> = match code {
            Code::SessionUnknown => "The session directory answered, and it knows no session with this id.".into(),
            Code::SessionOver => "The session was ended, or the time it was given has run out.".into(),
            Code::SessionForbidden => "The application does not let this request near this session.".into(),
            Code::SessionStarting => "The session exists, and no machine is ready to serve it yet. Ask again in a moment.".into(),
            Code::OwnerUnreachable => unreachable_detail(arrival).into(),
            Code::ReplayLoop => {
                let times = match arrival.hops() {
                    1 => "once".to_owned(),
                    hops => format!("{hops} times"),
                };
                format!("The request was replayed {times}, and the machine it arrived at still does not own the session.").into()
            }
            Code::DirectoryCorrupt => {
                "The session's owner or address, as the session directory holds it, is not one that can be used.".into()
            }
            Code::LookupUnavailable if failed == Some(LookupErrorKind::Timeout) => {
                "The session directory did not answer in time. This says nothing about the session itself.".into()
            }
            Code::LookupUnavailable => "The session directory could not be asked. This says nothing about the session itself.".into(),
            Code::SessionAbsent => "The machine that owns the session says that it does not hold it, as happens after a restart.".into(),
            other => other.title().into(),
        };
        Self::new(code, machine, detail)
    }

    /// The rejection of a request that the replay cannot carry.
    pub(crate) fn not_replayable(machine: MachineId, why: NotReplayable) -> Self {
        Self {
            status: why.status(),
            ..Self::new(why.code(), machine, why.to_string())
        }
    }

    /// What the client reads when no proxy acted on the replay.
    pub(crate) fn not_honoured(machine: MachineId, status: StatusCode) -> Self {
        let detail = "The session is served by another machine. This answer asks for the request to be taken there, and you read it \
                      because nobody acted on that: the request did not come through a proxy that does, the proxy could not, \
                      or the client does not follow redirects.";
        Self {
            status,
            ..Self::new(Code::ReplayNotHonoured, machine, detail)
        }
    }

    pub(crate) fn for_session(mut self, session: SessionId, owner: Option<&MachineId>) -> Self {
        self.session = Some(session);
        self.owner = owner.cloned();
        self
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What happened here, in plain sentences. Holds no machine id and nothing of the database's.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// When asking again makes sense, if it does.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.code.retry_after()
    }

    /// The session, where the request named one. For the client that named it, and nobody else.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// The session's owner, where there is one. An internal: see
    /// [`show_internals`](crate::OwnershipLayerBuilder::show_internals).
    #[must_use]
    pub fn owner(&self) -> Option<&MachineId> {
        self.owner.as_ref()
    }

    /// The machine that refused. An internal, as [`owner`](Self::owner) is.
    #[must_use]
    pub fn machine(&self) -> &MachineId {
        &self.machine
    }
}

fn unreachable_detail(arrival: &Arrival) -> String {
    let (reason, elapsed) = match arrival {
        Arrival::Failed(failure) => (failure.reason, failure.elapsed),
        _ => {
            return "The proxy was asked for the session's machine and could not use it."
                .to_owned();
        }
    };
    let why = match reason {
        FailureReason::Timeout => "it did not answer in time (timeout)",
        FailureReason::RetriesExhausted => "it could not be connected to (retries_exhausted)",
        FailureReason::NoCandidate => "the proxy knows no such machine (no_candidate)",
        FailureReason::Other => "the proxy gave no reason that is known here",
    };
    match elapsed {
        Some(elapsed) => format!(
            "The proxy tried for {} ms to take the request to the session's machine: {why}.",
            elapsed.as_millis()
        ),
        None => format!("The proxy could not take the request to the session's machine: {why}."),
    }
}
