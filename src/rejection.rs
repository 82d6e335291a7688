//! Why a request was refused: data on a response, not an error.

mod codes;
mod spread;

pub use codes::RejectionCode;
pub(crate) use codes::{Grpc, Page};

use std::{borrow::Cow, time::Duration};

use http::StatusCode;

use crate::{
    FailureReason, LookupErrorKind, MachineId, MalformedSession, NotReplayable, RequestOrigin,
    SessionId,
};

/// Why a request was refused.
///
/// It is rendered into the answer and also travels in the answer's extensions, for layers outside.
#[derive(Clone, Debug)]
pub struct Rejection {
    code: RejectionCode,
    status: StatusCode,
    detail: Cow<'static, str>,
    session: Option<SessionId>,
    owner: Option<MachineId>,
    machine: MachineId,
    retry_after: Option<Duration>,
}

impl Rejection {
    pub(crate) fn new(
        code: RejectionCode,
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
            retry_after: code.retry_after(),
        }
    }

    pub(crate) fn malformed(machine: MachineId, malformed: MalformedSession) -> Self {
        let (code, detail) = match malformed {
            MalformedSession::NotAnId => (
                RejectionCode::SessionUnknown,
                "What stands in the session's place cannot be the id of a session here.",
            ),
            MalformedSession::Ambiguous => (
                RejectionCode::SessionMalformed,
                "The request names more than one session.",
            ),
            MalformedSession::Unreadable => (
                RejectionCode::SessionMalformed,
                "The part of the request that should name the session cannot be read.",
            ),
        };
        Self::new(code, machine, detail)
    }

    pub(crate) fn missing(machine: MachineId, looked_at: &str) -> Self {
        let detail =
            format!("A session is looked for in {looked_at}, and this request names none there.");
        Self::new(RejectionCode::SessionMissing, machine, detail)
    }

    /// The rejection of a verdict, with the detail that the circumstances give.
    pub(crate) fn of(
        code: RejectionCode,
        machine: MachineId,
        owner: Option<&MachineId>,
        origin: &RequestOrigin,
        failed: Option<LookupErrorKind>,
    ) -> Self {
        let detail: Cow<'static, str> = match code {
            RejectionCode::OwnerUnreachable => unreachable_detail(origin, owner).into(),
            RejectionCode::ReplayLoop => {
                let times = match origin.hops() {
                    1 => "once".to_owned(),
                    hops => format!("{hops} times"),
                };
                format!("The request was replayed {times}, and the machine it arrived at still does not own the session.").into()
            }
            RejectionCode::LookupUnavailable if failed == Some(LookupErrorKind::Timeout) => {
                "The session directory did not answer in time. This says nothing about the session itself.".into()
            }
            code => code.entry().detail.into(),
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
        Self {
            status,
            ..Self::new(
                RejectionCode::ReplayNotHonoured,
                machine,
                RejectionCode::ReplayNotHonoured.entry().detail,
            )
        }
    }

    /// The directory answered, and its answer was too old to serve by.
    pub(crate) fn too_late(self) -> Self {
        self.with_detail(
            "The session directory answered too late: its answer could not be relied on any more. \
             This says nothing about the session itself.",
        )
    }

    /// The machine was the owner when it was asked, and was held up until that proved nothing.
    pub(crate) fn held_up(self) -> Self {
        self.with_detail(
            "The machine that you reached owned the session, and was held up for so long before it \
             could serve the request that it cannot rely on that any more.",
        )
    }

    /// What failed was not a read of the session, but a claim.
    pub(crate) fn of_a_claim(self, kind: LookupErrorKind) -> Self {
        self.with_detail(if kind == LookupErrorKind::Timeout {
            "The machine that you reached tried to become the session's owner, and the session \
             directory did not answer that in time."
        } else {
            "The machine that you reached tried to become the session's owner, and the session \
             directory could not write that."
        })
    }

    /// What failed was to end a session whose process is gone.
    pub(crate) fn of_an_end(self, kind: LookupErrorKind) -> Self {
        self.with_detail(if kind == LookupErrorKind::Timeout {
            "The session was in the memory of a machine that is lost. The machine that you reached \
             tried to end it, and the session directory did not answer that in time."
        } else {
            "The session was in the memory of a machine that is lost. The machine that you reached \
             tried to end it, and the session directory could not write that."
        })
    }

    /// The session ended with the process that held it.
    pub(crate) fn with_its_process(self) -> Self {
        self.with_detail(
            "The session was in the memory of one process, which is gone or gives its sessions up. \
             So it has ended.",
        )
    }

    fn with_detail(mut self, detail: &'static str) -> Self {
        self.detail = detail.into();
        self
    }

    /// Asks the client to come back when that makes sense, in whole seconds.
    pub(crate) fn retry_in(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.retry_after = Some(Duration::from_secs(seconds.max(1)));
        self
    }

    pub(crate) fn for_session(mut self, session: SessionId, owner: Option<&MachineId>) -> Self {
        self.retry_after = self.retry_after.map(|wait| spread::over(wait, &session));
        self.session = Some(session);
        self.owner = owner.cloned();
        self
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> RejectionCode {
        self.code
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The words of the page.
    pub(crate) fn page(&self) -> Page {
        if self.is_too_large() {
            Page::TOO_LARGE
        } else {
            self.code.entry().page
        }
    }

    /// The status that a gRPC client reads.
    pub(crate) fn grpc(&self) -> Grpc {
        if self.is_too_large() {
            Grpc::ResourceExhausted
        } else {
            self.code.entry().grpc
        }
    }

    /// Whether the size of the body is the reason, of all that a replay cannot carry.
    pub(crate) fn is_too_large(&self) -> bool {
        self.code == RejectionCode::NotReplayable && self.status == StatusCode::PAYLOAD_TOO_LARGE
    }

    /// What happened here, in plain sentences. Holds no machine id and nothing of the database's.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// When asking again makes sense, if it does.
    ///
    /// Between the [code's](RejectionCode::retry_after) wait, or what is left of a lease, and twice that, and up to
    /// 3 s for 1 s: always the same for a session, and spread over the sessions, so that the clients of a machine that
    /// is lost do not all come back at once. Its whole seconds are long enough.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The session, where the request named one. Only for the client that named it.
    #[must_use]
    pub fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    /// The session's owner, where there is one. An internal: see
    /// [`expose_internals`](crate::OwnershipLayerBuilder::expose_internals).
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

fn unreachable_detail(origin: &RequestOrigin, owner: Option<&MachineId>) -> String {
    let (reason, elapsed) = match origin {
        RequestOrigin::Failed(failure)
            if failure.machine.is_some() && failure.machine.as_ref() != owner =>
        {
            return "The proxy could not take the request to the machine that had the session a moment ago. \
                    Meanwhile another one has it; ask again."
                .to_owned();
        }
        RequestOrigin::Failed(failure) => (failure.reason, failure.elapsed),
        _ => return RejectionCode::OwnerUnreachable.entry().detail.to_owned(),
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
