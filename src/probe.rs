//! Asks the public address whether requests get to a session's owner.
//!
//! Every component of a fleet may be healthy while requests do not arrive: the address bypasses the
//! proxy, a service listens on another port, a replay is ignored. Only a client sees that. A
//! [`Probe`] is such a client: it requests a session that *another* machine owns from the public
//! address, and reports whether it arrived there, or why not.
//!
//! ```no_run
//! use tower_ownership::{
//!     FlyReplay, OwnershipLayer, PathSegment, PostgresLookup,
//!     probe::{Probe, ProbeOutcome, ProbeSecret},
//! };
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! # let lookup = PostgresLookup::builder("postgres://app@db.internal/app").build()?;
//! # let router = axum::Router::<()>::new();
//! let secret = ProbeSecret::new(std::env::var("PROBE_SECRET")?)?; // the same on every machine
//! let layer = OwnershipLayer::builder(lookup)
//!     .session(PathSegment::after("/session")?)
//!     .replay(FlyReplay::new())
//!     .build()?;
//! let app = router.layer(layer.answer_probes(secret.clone()));
//!
//! let canary = "1f0c5a52-3c1f-4d57-9a50-0d4c8f2f6b11".parse()?;
//! let probe = Probe::new("http://app.example.com/session/{session}", canary, secret)?;
//! match probe.run(&layer).await {
//!     ProbeOutcome::Arrived { machine, .. } => println!("{machine} is reached"),
//!     wrong => eprintln!("{wrong}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # How it knows which machine answered
//! A probe carries the header `ownership-probe`: a random number, and its keyed digest
//! (HMAC-SHA-256) under a secret that all machines of the fleet share. A machine that serves the
//! session answers it in the application's place, with a digest over the number, the answer and the
//! machine's id. The prober knows which machine owns the session, and checks the digest for that id.
//! Every other answer is read as any client reads it: by its status and its `Ownership-Code`.
//!
//! # Why that is safe
//! - Without the secret, a request with the header is a request like any other.
//! - With it, the request is judged by the same rules. It never reaches the application. A request
//!   with the header, authentic or not, claims and takes over nothing.
//! - The secret is not sent, and no answer names a machine. A header that is overheard can be sent
//!   again, for the same session only, and shows only whether that session is reached.
//! - A verified probe passes the [guard](crate::OwnershipLayerBuilder::guard), since it carries no
//!   credentials of the application. Only the layer that
//!   [answers probes](crate::OwnershipLayer::answer_probes) verifies them, so no such request can
//!   pass a guard and reach the application.
//!
//! # What it takes
//! A session that lives for as long as machines do and belongs to another machine than the one
//! which probes, such as a row that each machine keeps for itself. The directory is asked for its
//! owner each time. With [`Redirect`](crate::Redirect), the redirect is followed. A probe that
//! comes to the owner at once proves nothing about replays
//! ([`Arrived::replayed`](ProbeOutcome::Arrived)); on Fly.io, the header `fly-prefer-instance-id`
//! with this machine's id makes it land here first.
//!
//! HTTPS needs the feature `tls`, and then HTTP/2 is spoken where the server prefers it. Probes
//! need tokio.

mod judge;
mod outcome;
mod responder;
mod secret;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

pub use outcome::ProbeOutcome;
pub use responder::{ProbeFuture, ProbeResponder, Probed, ProbedLayer};
pub(crate) use responder::{forget, or_probe};
pub use secret::ProbeSecret;

use judge::Expected;
use secret::Nonce;

use crate::{
    Address, Finding, MachineId, OwnershipLayer, SessionId,
    claim::PROBE,
    http_client::{
        HttpClient, NoAnswer,
        of_session::{PLACE, field_of, url_of},
    },
};

/// Requests a session of another machine from the public address; see the [module](self).
#[derive(Clone, Debug)]
pub struct Probe {
    address: Address,
    session: SessionId,
    secret: ProbeSecret,
    headers: HeaderMap,
    limit: Duration,
    client: HttpClient,
}

impl Probe {
    /// Default [timeout](Self::timeout): longer than the proxy waits for a machine to wake.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// Makes a probe of `session` at `url`, in which `{session}` stands for its id. A session that
    /// is not in the URL is sent by a [`header`](Self::header).
    pub fn new(url: &str, session: SessionId, secret: ProbeSecret) -> Result<Self, InvalidProbe> {
        let filled = url_of(url, &session);
        let address = Address::parse(&filled).map_err(|_| InvalidProbe::NotAUrl {
            url: url.to_owned(),
        })?;
        if address.scheme() == "https" && cfg!(not(feature = "tls")) {
            return Err(InvalidProbe::NoTls);
        }
        Ok(Self {
            address,
            session,
            secret,
            headers: HeaderMap::new(),
            limit: Self::DEFAULT_TIMEOUT,
            client: HttpClient::default(),
        })
    }

    /// Adds a header: a cookie with the session, or what a layer outside of this one requires. `{session}`
    /// in its value stands for the session's id.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        let template = value.to_str().ok().filter(|text| text.contains(PLACE));
        let filled = template.and_then(|text| field_of(&name, text, &self.session));
        self.headers.append(name, filled.unwrap_or(value));
        self
    }

    /// The longest wait for an answer; [10 s](Self::DEFAULT_TIMEOUT) by default.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Whether HTTP/2 is spoken without TLS; HTTP/1.1 by default. With TLS, the server chooses.
    #[must_use]
    pub fn http2(mut self, prior_knowledge: bool) -> Self {
        self.client.http2 = prior_knowledge;
        self
    }

    /// Trusts these certificate authorities (PEM) and no others; the system's by default.
    #[cfg(feature = "tls")]
    pub fn root_certificates(mut self, pem: &[u8]) -> Result<Self, InvalidProbe> {
        let roots = crate::tls::roots_of_pem(pem)
            .map_err(|reason| InvalidProbe::RootCertificates { reason })?;
        self.client.roots = Some(roots.into());
        Ok(self)
    }

    /// Probes from the machine of this layer, for the owner that the directory names now.
    ///
    /// The cache is neither read nor written. If the session moved while the probe was on its way,
    /// another one is sent.
    pub async fn run<F>(&self, layer: &OwnershipLayer<F>) -> ProbeOutcome {
        let me = layer.machine();
        let owner = match self.owner(layer).await {
            Ok(owner) => owner,
            Err(reason) => return inconclusive(reason),
        };
        let outcome = self.deliver(&owner, Some(me)).await;
        if outcome.has_arrived() {
            return outcome;
        }
        match self.owner(layer).await {
            Ok(now) if now != owner => self.deliver(&now, Some(me)).await,
            Ok(_) => outcome,
            Err(reason) => inconclusive(reason),
        }
    }

    /// Probes from anywhere, for a machine that is known to own the session.
    pub async fn send(&self, owner: &MachineId) -> ProbeOutcome {
        self.deliver(owner, None).await
    }

    /// The session's owner, if it is another machine.
    async fn owner<F>(&self, layer: &OwnershipLayer<F>) -> Result<MachineId, &'static str> {
        let cache = &layer.policy().sessions.cache;
        let found = cache.ask_apart(self.session.clone(), cache.timeout()).await;
        let session = found
            .session
            .map_err(|_| "the directory could not be asked")?;
        let session = session.ok_or("the directory knows no such session")?;
        match session.serving_owner() {
            Some(owner) if owner == layer.machine() => Err("this machine owns the session itself"),
            Some(owner) if !session.is_over(found.age) => Ok(owner.clone()),
            _ => Err("the session has no owner, or is over"),
        }
    }

    async fn deliver(&self, owner: &MachineId, me: Option<&MachineId>) -> ProbeOutcome {
        let nonce = Nonce::new();
        let headers = match self.headers(nonce) {
            Ok(headers) => headers,
            Err(error) => return inconclusive(&error.to_string()),
        };
        let url = self.address.as_uri();
        let mut redirects = Vec::new();
        let answer = self
            .client
            .follow(url, &headers, self.limit, &mut redirects);
        let expected = Expected {
            secret: &self.secret,
            session: self.session.clone(),
            owner,
            me,
        };
        match answer.await {
            Ok(answer) => expected.read(&answer, nonce, !redirects.is_empty()),
            Err(NoAnswer(reason)) => ProbeOutcome::failed(Finding::UrlUnreachable, reason),
        }
    }

    fn headers(&self, nonce: Nonce) -> Result<HeaderMap, header::InvalidHeaderValue> {
        let mut headers = self.headers.clone();
        let ask = self.secret.ask(nonce, &self.session);
        headers.insert(PROBE, HeaderValue::try_from(ask)?);
        for (name, value) in [
            (header::ACCEPT, "application/problem+json"),
            // An answer from a cache would prove nothing.
            (header::CACHE_CONTROL, "no-cache"),
        ] {
            let value = HeaderValue::from_static(value);
            headers.entry(name).or_insert(value);
        }
        Ok(headers)
    }
}

fn inconclusive(reason: &str) -> ProbeOutcome {
    ProbeOutcome::Inconclusive {
        reason: reason.to_owned(),
    }
}

/// Why a [`Probe`] or its secret is invalid.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidProbe {
    /// The address is no URL that can be probed.
    #[error("{url:?} is no absolute http or https URL without user information")]
    NotAUrl {
        /// The address.
        url: String,
    },
    /// HTTPS is not built in.
    #[error("a probe of an https URL needs the feature `tls`")]
    NoTls,
    /// The secret could be guessed.
    #[error("a probe secret has at least 16 bytes")]
    ShortSecret,
    /// The root certificates cannot be used.
    #[error("the root certificates cannot be used: {reason}")]
    RootCertificates {
        /// Why not.
        reason: String,
    },
}

crate::observe::debug_as_chain!(InvalidProbe);
