//! Whether requests really get to the session's owner, asked from the outside.
//!
//! Everything in a fleet may be well, and requests not arrive: the address does not lead through the
//! proxy, a service is not on the right port, a replay is ignored. That shows only where clients
//! are. A [`Probe`] goes there: it asks the public address for a session that *another* machine
//! owns, and tells whether it arrived at that machine, or why not.
//!
//! ```no_run
//! use tower_ownership::{
//!     FlyReplay, OwnershipLayer, PathSegment, PostgresLookup,
//!     probe::{Probe, ProbeOutcome, ProbeSecret},
//! };
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! # let lookup = PostgresLookup::builder("postgres://app@db.internal/app").build()?;
//! let layer = OwnershipLayer::builder(lookup)
//!     .session(PathSegment::after("/session")?)
//!     .replay(FlyReplay::new())
//!     // The same on every machine.
//!     .probe_secret(ProbeSecret::new(std::env::var("PROBE_SECRET")?)?)
//!     .build()?;
//!
//! let canary = "1f0c5a52-3c1f-4d57-9a50-0d4c8f2f6b11".parse()?;
//! let probe = Probe::new("http://app.example.com/session/{session}", canary)?;
//! match probe.run(&layer).await {
//!     ProbeOutcome::Arrived { machine, .. } => println!("{machine} is reached"),
//!     wrong => eprintln!("{wrong}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # How it knows who answered
//! A probe carries the header `ownership-probe`: a random number, and its keyed digest
//! (HMAC-SHA-256) under a secret that all machines of the fleet are given. A layer that recognises
//! it answers in the application's place, and each of its answers says what it is, with a digest
//! over the number, the answer and the machine's id. So the prober, which knows whom it expects,
//! can tell whether that machine wrote the answer.
//!
//! # Why that is safe
//! - Without the secret the header is nothing: the request is one like any other, and its answer
//!   tells nothing.
//! - With it, the request is judged by the same rules, and it makes no machine serve: it never
//!   reaches the application, and claims nothing. The one rule that it passes is the guard, since
//!   it reads nothing of the session.
//! - The secret is not sent, and no answer names a machine. Who sees a probe's header on its way
//!   could send it again, for the same session only, and learn what it learnt: whether that session
//!   is reached.
//!
//! # What it takes
//! A session that lives for as long as machines do and belongs to another machine than the one
//! which probes, such as a row that each machine keeps for itself. The directory is asked who owns
//! it, each time. With [`Redirect`](crate::Redirect), the redirect is followed. Requests that come
//! to the owner at once prove nothing of replays ([`Arrived::replayed`](ProbeOutcome::Arrived));
//! on Fly.io, the header `fly-prefer-instance-id` with this machine's id lets them land here first.
//!
//! HTTPS needs the feature `tls`, and then HTTP/2 is spoken where the server prefers it. Probes
//! need tokio.

mod answering;
mod client;
mod judge;
mod outcome;
mod secret;
#[cfg(feature = "tls")]
mod tls;

use std::{io, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::time::timeout;

pub(crate) use answering::{Answering, Asked};
pub use outcome::ProbeOutcome;
pub use secret::ProbeSecret;

use answering::PROBE;
use client::Client;
use judge::{Judge, Next};
use secret::Nonce;

use crate::{Address, MachineId, OwnershipLayer, OwnershipLayerBuilder, SessionId, observe::Chain};

/// How many redirects are followed.
const REDIRECTS: u8 = 4;

impl OwnershipLayerBuilder {
    /// Answers [probes](crate::probe) that know this secret; none by default.
    pub fn probe_secret(self, secret: ProbeSecret) -> Self {
        self.answering(Answering::with(secret))
    }
}

/// Asks the public address for a session of another machine; see the [module](self).
#[derive(Clone, Debug)]
pub struct Probe {
    address: Address,
    session: SessionId,
    headers: HeaderMap,
    limit: Duration,
    client: Client,
}

impl Probe {
    /// The longest wait for an answer unless [said otherwise](Self::timeout): longer than the proxy
    /// is given to wake a machine.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// A probe of `session` at `url`, in which `{session}` stands for its id. Where the session is
    /// not in the URL, say so with [`header`](Self::header).
    pub fn new(url: &str, session: SessionId) -> Result<Self, InvalidProbe> {
        let filled = url.replace("{session}", &session.to_string());
        let address = Address::parse(&filled).map_err(|_| InvalidProbe::NotAUrl {
            url: url.to_owned(),
        })?;
        if address.scheme() == "https" && cfg!(not(feature = "tls")) {
            return Err(InvalidProbe::NoTls);
        }
        Ok(Self {
            address,
            session,
            headers: HeaderMap::new(),
            limit: Self::DEFAULT_TIMEOUT,
            client: Client::default(),
        })
    }

    /// Adds a header: a cookie with the session, or what a layer outside of ours wants to see.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
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
        let tls = tls::Tls::of_pem(pem).map_err(|error| InvalidProbe::RootCertificates {
            reason: error.to_string(),
        })?;
        self.client.tls = Some(tls);
        Ok(self)
    }

    /// Probes from the machine of this layer, for whoever the directory names now.
    ///
    /// The directory is asked anew, and nothing is remembered of its answer. If the session moved
    /// while the probe was on its way, another one is sent.
    pub async fn run(&self, layer: &OwnershipLayer) -> ProbeOutcome {
        let Some(secret) = layer.policy().answering.secret() else {
            return inconclusive("this machine's layer was built without a probe secret");
        };
        let me = layer.machine();
        let owner = match self.owner(layer).await {
            Ok(owner) => owner,
            Err(reason) => return inconclusive(reason),
        };
        let outcome = self.deliver(&owner, Some(me), secret).await;
        if outcome.has_arrived() {
            return outcome;
        }
        match self.owner(layer).await {
            Ok(now) if now != owner => self.deliver(&now, Some(me), secret).await,
            Ok(_) => outcome,
            Err(reason) => inconclusive(reason),
        }
    }

    /// Probes from anywhere, for a machine that is known to own the session.
    pub async fn send(&self, owner: &MachineId, secret: &ProbeSecret) -> ProbeOutcome {
        self.deliver(owner, None, secret).await
    }

    /// Who owns the session now, if it is another machine.
    async fn owner(&self, layer: &OwnershipLayer) -> Result<MachineId, &'static str> {
        let cache = &layer.policy().cache;
        let found = cache.ask_apart(self.session, cache.timeout()).await;
        let session = found
            .session
            .map_err(|_| "the directory could not be asked")?;
        let session = session.ok_or("the directory knows no such session")?;
        match session.serving_owner() {
            Some(owner) if owner == layer.machine() => Err("this machine owns the session itself"),
            Some(owner) if !session.is_over(found.age) => Ok(owner.clone()),
            _ => Err("nobody owns the session, or it is over"),
        }
    }

    async fn deliver(
        &self,
        owner: &MachineId,
        me: Option<&MachineId>,
        secret: &ProbeSecret,
    ) -> ProbeOutcome {
        let judge = Judge {
            secret,
            session: self.session,
            owner,
            me,
        };
        match timeout(self.limit, self.follow(&judge)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => ProbeOutcome::NoConnection {
                reason: Chain(&error).to_string(),
            },
            Err(_) => ProbeOutcome::TimedOut,
        }
    }

    /// Asks, and goes where the answers lead.
    async fn follow(&self, judge: &Judge<'_>) -> io::Result<ProbeOutcome> {
        let mut address = self.address.clone();
        for redirects in 0..=REDIRECTS {
            let nonce = Nonce::new();
            let headers = self.headers(judge.secret.ask(nonce, self.session))?;
            let answer = self.client.get(&address, headers).await?;
            match judge.read(&answer, nonce, redirects > 0) {
                Next::Done(outcome) => return Ok(outcome),
                Next::Follow(next) => address = next,
            }
        }
        Ok(ProbeOutcome::Looped)
    }

    fn headers(&self, ask: String) -> io::Result<HeaderMap> {
        let mut headers = self.headers.clone();
        let ask = HeaderValue::try_from(ask).map_err(io::Error::other)?;
        headers.insert(PROBE, ask);
        for (name, value) in [
            (header::ACCEPT, "application/problem+json"),
            // Whoever keeps answers may not answer this.
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

/// Why a probe cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidProbe {
    /// The address is none.
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
