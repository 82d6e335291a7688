//! One event and one hook call per verdict.

use std::time::Duration;

use tracing::{debug, info, trace, warn};

use crate::{
    Arrival, Code, LookupError, MachineId, Presence, ReplayFailure, Session, SessionId, Source,
    Verdict,
};

/// What became of a request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Observed<'a> {
    /// The verdict. A replay that could not carry its request is the rejection that came of it.
    pub verdict: Verdict,
    /// The session, where the request named one. [`Display`](std::fmt::Display) shows it whole.
    pub session: Option<SessionId>,
    /// The session's owner, where there is one.
    pub owner: Option<&'a MachineId>,
    /// How the owner was when the session was read, where the fleet keeps presence.
    pub presence: Option<Presence>,
    /// The session's epoch, where the directory keeps one.
    pub epoch: Option<u64>,
    /// This machine.
    pub machine: &'a MachineId,
    /// How the request came here, as far as the proxy in front tells. Of a replay that failed, it
    /// says why, and which machine had asked for it.
    pub arrival: &'a Arrival,
    /// Where what is known of the session comes from, where anything had to be known.
    pub source: Option<Source>,
    /// How long ago the directory was asked for it.
    pub age: Option<Duration>,
    /// Why, in plain sentences, where the request was refused.
    pub detail: Option<&'a str>,
    /// What failed, where the lookup did.
    pub error: Option<&'a LookupError>,
}

/// Is told of every verdict. Closures are observers too.
///
/// Called on the request's own path, so it must not wait. There is one verdict per request, but for
/// one case: an application that answers a request which passed with
/// [`SessionAbsent`](crate::SessionAbsent) is a second verdict, which corrects the first.
pub trait Observe: Send + Sync + 'static {
    /// A verdict was reached.
    fn observe(&self, seen: &Observed<'_>);
}

impl<F: Fn(&Observed<'_>) + Send + Sync + 'static> Observe for F {
    fn observe(&self, seen: &Observed<'_>) {
        self(seen);
    }
}

impl<'a> Observed<'a> {
    /// Adds what the directory says of the session.
    pub(crate) fn of(self, session: &'a Session) -> Self {
        let presence = session.presence();
        Self {
            owner: session.owner(),
            presence: (presence != Presence::Unknown).then_some(presence),
            epoch: session.epoch(),
            ..self
        }
    }
}

impl Observed<'_> {
    /// Why the request was refused, if it was.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self.verdict {
            Verdict::Pass | Verdict::Replay | Verdict::Claim => None,
            Verdict::Reject(code) => Some(code),
        }
    }

    fn failure(&self) -> Option<&ReplayFailure> {
        match self.arrival {
            Arrival::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// Writes the one event.
    ///
    /// Passes are routine (`DEBUG`, and `TRACE` for requests without a session); so are replays
    /// and what clients bring upon themselves (`INFO`); what an operator has to mend is `WARN`.
    pub(crate) fn emit(&self) {
        macro_rules! event {
            ($level:ident, $message:literal) => {
                $level!(
                    target: "tower_ownership::verdict",
                    verdict = self.verdict.as_str(),
                    code = self.code().map(Code::as_str),
                    session = self.session.map(|id| tracing::field::display(id.short())),
                    owner = self.owner.map(MachineId::as_str),
                    owner.presence = self.presence.map(Presence::as_str),
                    epoch = self.epoch,
                    me = self.machine.as_str(),
                    hops = self.arrival.hops(),
                    replay.failed = self.failure().map(|failure| failure.reason.as_str()),
                    replay.source = self.failure().and_then(|failure| failure.replay_source.as_ref()).map(MachineId::as_str),
                    source = self.source.map(Source::as_str),
                    age.seconds = self.age.map(|age| age.as_secs_f64()),
                    detail = self.detail,
                    error = self.error.map(|error| tracing::field::display(Chain(error))),
                    $message
                )
            };
        }
        match self.verdict {
            Verdict::Pass if self.session.is_none() => event!(trace, "no session in the request"),
            // Never the last word on a request.
            Verdict::Claim => event!(debug, "the session is claimed"),
            Verdict::Pass => event!(debug, "the session is served here"),
            Verdict::Replay => event!(info, "the request is handed to the session's owner"),
            Verdict::Reject(code) if code.concerns_the_operator() => {
                event!(warn, "the request is refused");
            }
            Verdict::Reject(_) => event!(info, "the request is refused"),
        }
    }
}

impl Verdict {
    /// The verdict as it stands in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Replay => "replay",
            Self::Claim => "claim",
            Self::Reject(_) => "reject",
        }
    }
}

/// An error with everything that caused it.
struct Chain<'a>(&'a LookupError);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = std::error::Error::source(self.0);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
