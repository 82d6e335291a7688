//! Fly.io: the proxy in front replays the request to the machine that the answer names.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::{Handover, InvalidReplay, NotReplayable, Replay, body::check_length, is_upgrade};
use crate::{Head, RequestOrigin, SessionId, directory::DirectoryId};

const FLY_REPLAY: HeaderName = HeaderName::from_static("fly-replay");

mod cache;
mod headers;

pub use cache::ReplayCache;

/// Hands requests over by Fly Proxy's `fly-replay` header.
///
/// The default answer is
/// `fly-replay: instance=<owner>;timeout=5s;fallback=force_self;state=own.<hops>.<directory>` with status 409,
/// where the [directory](crate::directory::DirectoryId) is left out if it is not known.
/// When the proxy acts on it, the client sees nothing but the owner's answer. When the owner
/// cannot be reached, the proxy gives the request back, and the layer answers `owner-unreachable`
/// with the proxy's reason. Where no proxy acts on it, the client reads `replay-not-honoured`.
///
/// Source of every field: fly.io/docs/networking/dynamic-request-routing.
#[derive(Clone, Debug)]
pub struct FlyReplay {
    timeout: Option<Duration>,
    fallback: Option<Fallback>,
    app: Option<Arc<str>>,
    status: StatusCode,
    body_limit: u64,
    unknown_length: bool,
    upgrades: bool,
    cache: Option<ReplayCache>,
    /// Those of a request that was not replayed before, which most are; written with the first header
    /// after something was set.
    settings: OnceLock<String>,
}

/// Who gets a request back that could not be replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fallback {
    /// This very machine, or the proxy answers with an error.
    #[default]
    ForceSelf,
    /// This machine if possible, otherwise any machine of its app.
    PreferSelf,
    /// No machine: the proxy answers with a bare 502.
    None,
}

impl FlyReplay {
    /// Long enough for a stopped machine to wake (1.3 to 1.5 s were measured for a small one),
    /// short enough for a person to wait.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

    /// The most that Fly Proxy replays: "1 MB" in its reference, read in the stricter way.
    pub const DEFAULT_BODY_LIMIT: u64 = 1_000_000;

    /// The defaults of each method below.
    #[must_use]
    pub fn new() -> Self {
        Self {
            timeout: None,
            fallback: None,
            app: None,
            status: StatusCode::CONFLICT,
            body_limit: Self::DEFAULT_BODY_LIMIT,
            unknown_length: false,
            upgrades: true,
            cache: None,
            settings: OnceLock::new(),
        }
    }

    /// How long the proxy tries to reach the owner; [5 s](Self::DEFAULT_TIMEOUT) by default, in
    /// milliseconds at the finest. Less than a stopped machine needs to wake turns every cold
    /// start into `owner-unreachable`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self.settings = OnceLock::new();
        self
    }

    /// Who gets a request back that could not be replayed; [`Fallback::ForceSelf`] by default.
    #[must_use]
    pub fn fallback(mut self, fallback: Fallback) -> Self {
        self.fallback = Some(fallback);
        self.settings = OnceLock::new();
        self
    }

    /// The Fly app that the owners belong to, where it is another one than this machine's.
    #[must_use]
    pub fn app(mut self, app: &str) -> Self {
        self.app = Some(app.into());
        self.settings = OnceLock::new();
        self
    }

    /// The status that a client sees when no proxy acts on the header; 409 by default. One that
    /// has no body, or that sends the client elsewhere, is refused in `build()`.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The longest body that is replayed, in bytes; [1,000,000](Self::DEFAULT_BODY_LIMIT) by
    /// default. Longer ones are refused with 413 before they are sent.
    #[must_use]
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Replays bodies whose length the request does not tell; refused by default.
    ///
    /// gRPC needs it. One that turns out too long for the proxy ends in the proxy's own error.
    #[must_use]
    pub fn replay_unknown_length(mut self, replay: bool) -> Self {
        self.unknown_length = replay;
        self
    }

    /// Whether `WebSocket` and other upgrades are replayed; they are by default, as Fly's reference
    /// says they can be. With `false` they are refused with `not-replayable`.
    #[must_use]
    pub fn replay_upgrades(mut self, replay: bool) -> Self {
        self.upgrades = replay;
        self
    }

    /// Lets the proxy remember where a session's requests go. Fly allows no `state`, `timeout` or
    /// `fallback` beside it, so setting one of the latter two as well is refused in `build()`; see
    /// [`ReplayCache`] for what is lost.
    #[must_use]
    pub fn cache(mut self, cache: ReplayCache) -> Self {
        self.cache = Some(cache);
        self.settings = OnceLock::new();
        self
    }

    fn header(&self, handover: &Handover<'_>) -> Result<HeaderValue, NotReplayable> {
        let owner = handover.owner.as_str();
        let written;
        let settings = match handover.origin.hops() {
            0 => self.settings.get_or_init(|| self.write_settings(1)),
            hops => {
                written = self.write_settings(hops.saturating_add(1));
                &written
            }
        };
        // It belongs to the state, which stands last.
        let directory = handover.directory.filter(|_| self.cache.is_none());
        let (dot, directory) = match &directory {
            Some(directory) => (headers::BEFORE_DIRECTORY, directory.as_str()),
            None => ("", ""),
        };
        let fields = ["instance=", owner, settings, dot, directory].concat();
        // Every part is of a type, or was checked in `validate`, that a header can hold.
        HeaderValue::try_from(fields).map_err(|_| NotReplayable::NoAddress)
    }
}

impl FlyReplay {
    /// What follows the owner in the header of a request with so many hops behind it then.
    fn write_settings(&self, hops: u8) -> String {
        let app = self
            .app
            .as_ref()
            .map(|app| format!(";app={app}"))
            .unwrap_or_default();
        if self.cache.is_some() {
            return app;
        }
        let timeout = in_units(self.timeout.unwrap_or(Self::DEFAULT_TIMEOUT));
        let fallback = match self.fallback.unwrap_or_default() {
            Fallback::ForceSelf => ";fallback=force_self",
            Fallback::PreferSelf => ";fallback=prefer_self",
            Fallback::None => "",
        };
        format!(
            "{app};timeout={timeout}{fallback};state={}{hops}",
            headers::STATE_PREFIX
        )
    }
}

impl Default for FlyReplay {
    fn default() -> Self {
        Self::new()
    }
}

impl FlyReplay {
    /// `forget` asks the proxy to forget what it remembers of a session, or would.
    fn answer(
        &self,
        head: &Head<'_>,
        handover: &Handover<'_>,
        forget: fn(&ReplayCache, &SessionId, &mut HeaderMap),
    ) -> Result<Response<Bytes>, NotReplayable> {
        if !self.upgrades && is_upgrade(head) {
            return Err(NotReplayable::Upgrade);
        }
        check_length(head, self.body_limit, self.unknown_length)?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = self.status;
        let replay = self.header(handover)?;
        response.headers_mut().insert(FLY_REPLAY, replay);
        if let Some(cache) = &self.cache {
            let session = handover.session.id();
            if *handover.origin == RequestOrigin::ReplayCache {
                forget(cache, session, response.headers_mut());
            } else {
                cache.remember(head.uri, session, response.headers_mut());
            }
        }
        Ok(response)
    }
}

impl Replay for FlyReplay {
    fn replay(
        &self,
        head: &Head<'_>,
        handover: &Handover<'_>,
    ) -> Result<Response<Bytes>, NotReplayable> {
        self.answer(head, handover, ReplayCache::forget)
    }

    fn preview(
        &self,
        head: &Head<'_>,
        handover: &Handover<'_>,
    ) -> Result<Response<Bytes>, NotReplayable> {
        self.answer(head, handover, ReplayCache::would_forget)
    }

    fn came_through(&self, head: &Head<'_>) -> Option<bool> {
        headers::came_through(head.headers)
    }

    fn origin(&self, head: &Head<'_>) -> RequestOrigin {
        headers::origin(head.headers, self.cache.is_some())
    }

    fn directory(&self, head: &Head<'_>) -> Option<DirectoryId> {
        headers::directory(head.headers)
    }

    fn answers_alike(&self, head: &Head<'_>) -> bool {
        self.cache.is_none() && *head.method == Method::GET && headers::are_plain(head.headers)
    }

    fn validate(&self) -> Result<(), InvalidReplay> {
        if self
            .timeout
            .is_some_and(|timeout| timeout < Duration::from_millis(1))
        {
            return Err(InvalidReplay::NoTime);
        }
        let unreadable = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT];
        let status = self.status;
        if status.is_informational() || status.is_redirection() || unreadable.contains(&status) {
            return Err(InvalidReplay::ReplayStatus { status });
        }
        if let Some(app) = &self.app {
            let plain = app
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if app.is_empty() || !plain {
                return Err(InvalidReplay::App {
                    app: app.to_string(),
                });
            }
        }
        if let Some(cache) = &self.cache {
            if self.timeout.is_some() || self.fallback.is_some() {
                return Err(InvalidReplay::CacheWithTimeoutOrFallback);
            }
            cache.validate()?;
        }
        Ok(())
    }
}

/// A duration as Fly Proxy reads it. The unit is not optional: a bare number was seen to be taken
/// for a malformed header.
fn in_units(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}
