//! The stable codes of the HTTP contract: one table, from which every form of an answer is written.
//!
//! A new code is a row here, an arm of [`decide`](crate::decide) and a section of the manual.

use std::time::Duration;

use http::StatusCode;

/// What every form of an answer says about one code.
#[derive(Debug)]
pub(crate) struct Entry {
    /// As it stands in answers, events and metrics.
    name: &'static str,
    status: StatusCode,
    retry_after: Option<Duration>,
    pub(crate) grpc: Grpc,
    /// Whether the cause lies with the operator and not with the client.
    pub(crate) operator: bool,
    title: &'static str,
    /// What happened, for a reader who knows what machines are. Some codes have details that depend
    /// on the request, which [`Rejection`](super::Rejection) writes.
    pub(crate) detail: &'static str,
    pub(crate) page: Page,
}

/// The gRPC status codes that a refusal uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grpc {
    InvalidArgument = 3,
    NotFound = 5,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Internal = 13,
    Unavailable = 14,
}

/// What the page says to a person who does not know what a machine is.
///
/// It may say less than title and detail, and in other words, but nothing that is only likely:
/// above all not whether something that was *sent* has arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    pub(crate) mood: Mood,
    pub(crate) headline: &'static str,
    pub(crate) sentence: &'static str,
    /// What to do for a visitor who only wanted to see the page.
    pub(crate) advice: &'static str,
    /// What to do for a visitor who sent something.
    pub(crate) after_sending: &'static str,
    /// Whether asking again may bring another answer.
    pub(crate) may_change: bool,
}

/// The kind of answer, which decides the sign at the top of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It passes by itself.
    Passing,
    /// It is final, and nothing is broken.
    Final,
    /// Something is broken, and an operator has to look at it.
    Fault,
}

impl Mood {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Final => "final",
            Self::Fault => "fault",
        }
    }
}

impl Page {
    /// Instead of the page of `not-replayable`, where the size of the body is the reason.
    pub(crate) const TOO_LARGE: Self = Self::ended(
        "This could not be sent on",
        "Another computer runs this session, and what you sent is too large to be taken there, or does not say how large it is.",
        "If it was a file, try a smaller one.",
    );

    const fn passing(
        headline: &'static str,
        sentence: &'static str,
        advice: &'static str,
        after_sending: &'static str,
    ) -> Self {
        Self {
            mood: Mood::Passing,
            headline,
            sentence,
            advice,
            after_sending,
            may_change: true,
        }
    }

    const fn ended(headline: &'static str, sentence: &'static str, advice: &'static str) -> Self {
        Self {
            mood: Mood::Final,
            headline,
            sentence,
            advice,
            after_sending: advice,
            may_change: false,
        }
    }

    const fn fault(headline: &'static str, sentence: &'static str) -> Self {
        Self {
            mood: Mood::Fault,
            headline,
            sentence,
            advice: TELL_THEM,
            after_sending: TELL_THEM,
            may_change: true,
        }
    }

    const fn may_change(self) -> Self {
        Self {
            may_change: true,
            ..self
        }
    }
}

const TELL_THEM: &str =
    "The people who run this site can fix it. The lines below tell them what to look for.";
const GO_BACK: &str = "Wait a moment, then go back and try again.";
const CHECK_FIRST: &str = "It is not certain whether what you sent has arrived. Wait a moment, go back, and check before you send it again.";
const CHECK_THE_LINK: &str =
    "If you followed a link or typed an address, check that it is complete.";
const START_ANOTHER: &str = "To go on, start a new one.";

/// For what passes within moments.
const SOON: Option<Duration> = Some(Duration::from_secs(1));
/// For what an operator has to change.
const SELDOM: Option<Duration> = Some(Duration::from_secs(30));
/// For a machine that has to come back.
const LATER: Option<Duration> = Some(Duration::from_secs(5));

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident { $($field:ident: $value:expr),* $(,)? })*) => {
        /// The stable code of an answer that the layer gave in the application's place.
        ///
        /// Codes are part of the HTTP contract: clients and alerts may match on
        /// [`as_str`](Self::as_str). The `type` of a problem document leads to its section of the
        /// [manual](crate::manual::rejections), which says what to do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RejectionCode {
            $($(#[$doc])* $code,)*
        }

        impl RejectionCode {
            /// Every code that this version knows, in the order of the contract's table.
            pub const ALL: &'static [Self] = &[$(Self::$code),*];

            /// The code's row of the table.
            pub(crate) fn entry(self) -> &'static Entry {
                match self {
                    $(Self::$code => const { &Entry { $($field: $value),* } },)*
                }
            }
        }
    };
}

codes! {
    /// The session id cannot be read.
    /// <span id="session-malformed"></span>
    ///
    /// `session-malformed`, 400. The request names two sessions, or bytes that are no text stand
    /// where it should name one. Send one id.
    SessionMalformed {
        name: "session-malformed",
        status: StatusCode::BAD_REQUEST,
        retry_after: None,
        grpc: Grpc::InvalidArgument,
        operator: false,
        title: "This is not a session id",
        detail: "The part of the request that should name the session cannot be read.",
        page: Page::ended(
            "It isn’t clear what to open",
            "The part of the request that should say which session you want can’t be read.",
            CHECK_THE_LINK,
        ),
    }
    /// The request names no session, where it has to.
    /// <span id="session-missing"></span>
    ///
    /// `session-missing`, 404. Only with
    /// [`requires_session`](crate::OwnershipLayerBuilder::requires_session), or from a handler of axum
    /// that takes [`Owned`](crate::Owned) (feature `axum`); otherwise such a request passes to the
    /// application on every machine.
    SessionMissing {
        name: "session-missing",
        status: StatusCode::NOT_FOUND,
        retry_after: None,
        grpc: Grpc::InvalidArgument,
        operator: false,
        title: "The request names no session",
        detail: "Every request has to name a session here, and this one names none.",
        page: Page::ended(
            "Nothing was chosen to open",
            "The request doesn’t say which session you want.",
            CHECK_THE_LINK,
        ),
    }
    /// The directory knows no such session.
    /// <span id="session-unknown"></span>
    ///
    /// `session-unknown`, 404. The directory answered and has no such row. A session that is just
    /// being created may be known a moment later.
    SessionUnknown {
        name: "session-unknown",
        status: StatusCode::NOT_FOUND,
        retry_after: None,
        grpc: Grpc::NotFound,
        operator: false,
        title: "There is no such session",
        detail: "The session directory answered, and it knows no session with this id.",
        page: Page::ended(
            "There is no such session",
            "This site knows no session by this name.",
            CHECK_THE_LINK,
        )
        .may_change(),
    }
    /// The session has ended, or its life has run out.
    /// <span id="session-over"></span>
    ///
    /// `session-over`, 410. It does not come back; start another one.
    SessionOver {
        name: "session-over",
        status: StatusCode::GONE,
        retry_after: None,
        grpc: Grpc::FailedPrecondition,
        operator: false,
        title: "This session has ended",
        detail: "The session was ended, or the time it was given has run out.",
        page: Page::ended(
            "This session has ended",
            "It was closed, or the time it was given has run out. It will not come back.",
            START_ANOTHER,
        ),
    }
    /// The application's guard refused the request.
    /// <span id="session-forbidden"></span>
    ///
    /// `session-forbidden`, 403. The guard decides; the layer only answers for it.
    SessionForbidden {
        name: "session-forbidden",
        status: StatusCode::FORBIDDEN,
        retry_after: None,
        grpc: Grpc::PermissionDenied,
        operator: false,
        title: "This session is not open to you",
        detail: "The application does not let this request near this session.",
        page: Page::ended(
            "This session isn’t open to you",
            "This site did not let your request in.",
            "If you think it should have, ask the person who gave you access.",
        ),
    }
    /// The application created a session, and the directory could not be told of it.
    /// <span id="session-unregistered"></span>
    ///
    /// `session-unregistered`, 503 with `Retry-After`. The response that would have told the client the
    /// session's id was held back, since no other machine could have found the session. Create another
    /// one.
    SessionUnregistered {
        name: "session-unregistered",
        status: StatusCode::SERVICE_UNAVAILABLE,
        retry_after: SOON,
        grpc: Grpc::Unavailable,
        operator: true,
        title: "The new session could not be registered",
        detail: "A session was created, and the session directory could not be told which machine holds it.",
        page: Page::passing(
            "That didn’t start",
            "What you asked for could not be started just now.",
            "You can leave this page open: it will try again by itself.",
            "Please go back and try again.",
        ),
    }
    /// The session has no owner yet, or is being created.
    /// <span id="session-starting"></span>
    ///
    /// `session-starting`, 503 with `Retry-After`. Ask again in a moment.
    SessionStarting {
        name: "session-starting",
        status: StatusCode::SERVICE_UNAVAILABLE,
        retry_after: SOON,
        grpc: Grpc::Unavailable,
        operator: false,
        title: "This session is starting",
        detail: "The session exists, and no machine is ready to serve it yet. Ask again in a moment.",
        page: Page::passing(
            "This page is starting",
            "It is not ready yet.",
            "You can leave this page open: it will open by itself as soon as it is ready.",
            GO_BACK,
        ),
    }
    /// The session's last owner gave it up, and no machine claims it.
    /// <span id="session-unassigned"></span>
    ///
    /// `session-unassigned`, 503 with `Retry-After`. The session is active and had an owner before, which a
    /// drain or a release took from it, and this layer claims no session
    /// ([`OnUnassigned`](crate::OnUnassigned)). It is served again when it is assigned to a machine.
    SessionUnassigned {
        name: "session-unassigned",
        status: StatusCode::SERVICE_UNAVAILABLE,
        retry_after: SELDOM,
        grpc: Grpc::Unavailable,
        operator: true,
        title: "This session was given up by its machine",
        detail: "The machine that had the session has released it, and no machine claims it. It is served again when it is assigned to one.",
        page: Page::passing(
            "This page isn’t running",
            "The computer that ran it has given it up, and no other one has taken it.",
            "You can leave this page open: it looks again now and then, and will open by itself when a computer takes it.",
            GO_BACK,
        ),
    }
    /// This machine is the owner, and may not serve yet, or no more.
    /// <span id="session-moving"></span>
    ///
    /// `session-moving`, 503 with `Retry-After`. The session was taken from another machine, or this
    /// machine's id from another process, whose lease may run for as long as the header says; or
    /// this machine is draining. Ask again in a moment.
    SessionMoving {
        name: "session-moving",
        status: StatusCode::SERVICE_UNAVAILABLE,
        retry_after: SOON,
        grpc: Grpc::Unavailable,
        operator: false,
        title: "This session is moving to another machine",
        detail: "The session is moving: the lease of its previous owner has not expired yet, or this machine is draining. Ask again in a moment.",
        page: Page::passing(
            "This page is moving",
            "Another computer is about to run it.",
            "You can leave this page open: it will open by itself in a few seconds.",
            GO_BACK,
        ),
    }
    /// The owner's heartbeats have stopped.
    /// <span id="owner-lost"></span>
    ///
    /// `owner-lost`, 503 with `Retry-After`. The directory names a machine whose heartbeats have
    /// stopped for too long, which has left, or which was declared gone; so the request was not sent
    /// there. A session that is still being created is refused so, too, since that machine would have
    /// to finish it. The machine comes back, or the session is given to another one; see
    /// [`OnLostOwner`](crate::OnLostOwner).
    OwnerLost {
        name: "owner-lost",
        status: StatusCode::SERVICE_UNAVAILABLE,
        retry_after: LATER,
        grpc: Grpc::Unavailable,
        operator: true,
        title: "This session's machine has stopped responding",
        detail: "The heartbeats of the session's machine have stopped for too long, or it has left. So the request was not sent there.",
        page: Page::passing(
            "This page has gone quiet",
            "The computer that runs it has not been heard of for a while.",
            "You can leave this page open: it keeps trying, and will open by itself when that computer is back or another one has taken its place.",
            CHECK_FIRST,
        ),
    }
    /// The owner has never been seen.
    /// <span id="owner-never-seen"></span>
    ///
    /// `owner-never-seen`, 503 with `Retry-After`. The directory names a machine that is not in the
    /// table of machines: it is still starting, was never created, has another id than the session's
    /// row says, or its row was deleted and comes back with its next heartbeat. It is remembered for
    /// as long as [what is unknown](crate::CachePolicy::unknown).
    OwnerNeverSeen {
        name: "owner-never-seen",
        status: StatusCode::SERVICE_UNAVAILABLE,
        retry_after: LATER,
        grpc: Grpc::Unavailable,
        operator: true,
        title: "This session's machine has never started",
        detail: "The session's machine is not in the table of machines: it has not registered yet, it was not created, or its row was deleted and comes back with its next heartbeat. The session itself is on record.",
        page: Page::passing(
            "This page isn’t running yet",
            "The computer that should run it has not started, or was never set up.",
            "You can leave this page open: it keeps trying, and will open by itself when that computer starts.",
            GO_BACK,
        ),
    }
    /// Two processes have this machine's id.
    /// <span id="duplicate-identity"></span>
    ///
    /// `duplicate-identity`, 503 with `Retry-After`. Two processes registered the same machine id.
    /// The older one, which answers this, has stopped serving. Look at where machines get their
    /// identity from.
    DuplicateIdentity {
        name: "duplicate-identity",
        status: StatusCode::SERVICE_UNAVAILABLE,
        retry_after: LATER,
        grpc: Grpc::Unavailable,
        operator: true,
        title: "Two processes say that they are this session's machine",
        detail: "Another process registered the id of the machine that you reached, after this one did. So this one serves no session any more.",
        page: Page::passing(
            "This page can’t be opened right now",
            "Two computers say that they run this page, and this one has stopped.",
            "You can leave this page open: it keeps trying, and will open by itself.",
            GO_BACK,
        ),
    }
    /// The owner is another machine, and no proxy acted on the replay.
    /// <span id="replay-not-honoured"></span>
    ///
    /// `replay-not-honoured`, 409 unless set otherwise. The answer asked the proxy in front, or the
    /// client, to take the request to the owner, and a client that reads it is behind no proxy that
    /// does. Check that requests come through the platform's proxy, and that owners are ids it knows.
    ReplayNotHonoured {
        name: "replay-not-honoured",
        status: StatusCode::CONFLICT,
        retry_after: None,
        grpc: Grpc::FailedPrecondition,
        operator: true,
        title: "This session is on another machine, and the request was not taken there",
        detail: "The session is served by another machine. This answer asks the proxy in front to take the request there (on Fly.io by its `fly-replay` header), and you read it because no proxy honoured that: the request did not come through one that does, or the proxy could not.",
        page: Page::fault(
            "This page is somewhere else",
            "Another computer runs it, and your request was not taken there.",
        ),
    }
    /// The owner is another machine, and the proxy could not reach it.
    /// <span id="owner-unreachable"></span>
    ///
    /// `owner-unreachable`, 503 with `Retry-After`. The proxy gave the request back, and the detail
    /// holds its reason. The machine may be stopped, restarting, or gone while the directory still
    /// names it. Whether the owner has seen the request is not known.
    OwnerUnreachable {
        name: "owner-unreachable",
        status: StatusCode::SERVICE_UNAVAILABLE,
        retry_after: LATER,
        grpc: Grpc::Unavailable,
        operator: true,
        title: "This session's machine could not be reached",
        detail: "The proxy was asked for the session's machine and could not use it.",
        page: Page::passing(
            "This page can’t be reached right now",
            "The computer that runs it could not be reached.",
            "You can leave this page open: it keeps trying, and will open by itself when that computer answers.",
            CHECK_FIRST,
        ),
    }
    /// The request was replayed as often as allowed and still is not at the owner.
    /// <span id="replay-loop"></span>
    ///
    /// `replay-loop`, 508. The directory and the proxy disagree on who the owner is, or two machines
    /// read different directories.
    ReplayLoop {
        name: "replay-loop",
        status: StatusCode::LOOP_DETECTED,
        retry_after: None,
        grpc: Grpc::Internal,
        operator: true,
        title: "This request went round in circles",
        detail: "The request was replayed as often as allowed, and the machine it arrived at still does not own the session.",
        page: Page::fault(
            "The way to this page could not be found",
            "Your request was passed from one computer to the next, and none of them runs this page.",
        ),
    }
    /// The owner is another machine, and this request cannot be carried there.
    /// <span id="not-replayable"></span>
    ///
    /// `not-replayable`, 413 for the body and 421 otherwise. The detail says which limit it met; the
    /// owner itself would take the request.
    NotReplayable {
        name: "not-replayable",
        status: StatusCode::MISDIRECTED_REQUEST,
        retry_after: None,
        grpc: Grpc::FailedPrecondition,
        operator: false,
        title: "This request cannot be taken to its session's machine",
        detail: "The session is served by another machine, and this request cannot be carried there.",
        page: Page::fault(
            "This could not be taken further",
            "Another computer runs this session, and your request could not be taken there.",
        ),
    }
    /// The process that should hold the session does not hold it.
    /// <span id="session-absent"></span>
    ///
    /// `session-absent`, 410. The application said so with [`SessionAbsent`](crate::SessionAbsent),
    /// as it does after a restart. Or sessions are
    /// [volatile](crate::OwnershipLayerBuilder::volatile), and the process that held this one is gone or
    /// drains; once that is written, the code is [`session-over`](Self::SessionOver). Start another session.
    SessionAbsent {
        name: "session-absent",
        status: StatusCode::GONE,
        retry_after: None,
        grpc: Grpc::FailedPrecondition,
        operator: true,
        title: "This session was lost",
        detail: "The machine that owns the session says that it does not hold it, as happens after a restart.",
        page: Page::ended(
            "This session was lost",
            "The computer that should run it no longer has it. Waiting will not bring it back.",
            START_ANOTHER,
        ),
    }
    /// The session's record cannot be used.
    /// <span id="directory-corrupt"></span>
    ///
    /// `directory-corrupt`, 502. An owner that is no machine id, an address that cannot be used or
    /// is not allowed, or columns of another type. Look at the session's row.
    DirectoryCorrupt {
        name: "directory-corrupt",
        status: StatusCode::BAD_GATEWAY,
        retry_after: None,
        grpc: Grpc::Internal,
        operator: true,
        title: "The session's record is invalid",
        detail: "The session's owner or address, as the session directory holds it, is not one that can be used.",
        page: Page::fault(
            "This page can’t be opened",
            "What is recorded about where it runs can’t be used.",
        ),
    }
    /// The directory could not be asked.
    /// <span id="lookup-unavailable"></span>
    ///
    /// `lookup-unavailable`, 503 with `Retry-After`. The lookup failed or took too long, which says
    /// nothing about the session.
    LookupUnavailable {
        name: "lookup-unavailable",
        status: StatusCode::SERVICE_UNAVAILABLE,
        retry_after: SOON,
        grpc: Grpc::Unavailable,
        operator: true,
        title: "This session could not be looked up",
        detail: "The session directory could not be asked. This says nothing about the session itself.",
        page: Page::passing(
            "Just a moment, please",
            "This site could not look up where your page is. That says nothing about the page itself.",
            "You can leave this page open: it keeps trying, and will open by itself.",
            GO_BACK,
        ),
    }
}

impl RejectionCode {
    /// The code as it stands in answers, events and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.entry().name
    }

    /// The status of the answer, unless the circumstances call for another one.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.entry().status
    }

    /// What happened, in one short sentence without a full stop.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.entry().title
    }

    /// When asking again makes sense, if it does: a second for what passes within moments, five for
    /// a machine that has to come back.
    #[must_use]
    pub fn retry_after(self) -> Option<Duration> {
        self.entry().retry_after
    }
}
