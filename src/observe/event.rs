//! The one event per verdict.

use tracing::{debug, info, trace, warn};

use super::{Chain, Observed, RequestLine, Say};
use crate::{CacheStatus, MachineId, OwnerStatus, RejectionCode, Verdict, directory::DirectoryId};

impl Observed<'_> {
    /// Writes the event. `say` is asked only of what an operator has to mend.
    pub(crate) fn emit(&self, say: impl FnOnce(RejectionCode) -> Say) {
        macro_rules! event {
            ($level:ident, $message:literal $(, $field:ident = $value:expr)?) => {
                $level!(
                    target: "tower_ownership::verdict",
                    verdict = self.verdict.as_str(),
                    rejection_code = self.code().map(RejectionCode::as_str),
                    session_id = self.session.map(|id| tracing::field::display(id.short())),
                    owner = self.owner.map(MachineId::as_str),
                    owner_status = self.owner_status.map(OwnerStatus::as_str),
                    epoch = self.epoch,
                    machine = self.machine.as_str(),
                    hops = self.origin.hops(),
                    replay_failed = self.failure().map(|failure| failure.reason.as_str()),
                    replay_source = self.failure().and_then(|failure| failure.replay_source.as_ref()).map(MachineId::as_str),
                    cache_status = self.cache_status.map(CacheStatus::as_str),
                    age_seconds = self.age.map(|age| age.as_secs_f64()),
                    lookup_seconds = self.lookup_time.map(|time| time.as_secs_f64()),
                    detail = self.detail,
                    cause = self.error.map(|error| tracing::field::display(Chain(error))),
                    request_id = self.request.and_then(RequestLine::request_id),
                    traceparent = self.request.and_then(RequestLine::traceparent),
                    method = self.request.map(RequestLine::method),
                    path = self.request.map(RequestLine::path),
                    directory_id = self.directory.as_ref().map(DirectoryId::as_str),
                    sender_directory_id = self.sender_directory.as_ref().map(DirectoryId::as_str),
                    $($field = $value,)?
                    $message
                )
            };
        }
        match self.verdict {
            Verdict::Pass if self.session.is_none() => event!(trace, "no session in the request"),
            // Never the last word on a request.
            Verdict::Claim => event!(debug, "the session is claimed"),
            Verdict::Pass => event!(debug, "the session is served here"),
            // As frequent as what is served, where the balancer knows nothing of sessions.
            Verdict::Replay => event!(debug, "the request is handed to the session's owner"),
            Verdict::Reject(code) if self.concerns_operator(code) => match say(code) {
                Say::Aloud { held_back } if self.may_read_another_directory(code) => event!(
                    warn,
                    "another machine found the session of this request and handed it over, and this one \
                     does not find it: do all machines read one directory?",
                    held_back = held_back
                ),
                Say::Aloud { held_back } => {
                    event!(warn, "the request is refused", held_back = held_back);
                }
                Say::Quietly => event!(debug, "the request is refused"),
            },
            Verdict::Reject(_) => event!(info, "the request is refused"),
        }
    }
}
