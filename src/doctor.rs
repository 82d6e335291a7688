//! Finds out what is wrong with one session.
//!
//! [`Doctor`] reads the session's row and its owner's, asks the platform for the owner, makes a
//! request to the public URL, and reports one [`Finding`](crate::Finding) with its evidence and the
//! next step. The command `ownership doctor` is made of it, and your own tools can be:
//!
//! ```no_run
//! use tower_ownership::{PostgresLookup, doctor::Doctor};
//!
//! # async fn look() -> Result<(), Box<dyn std::error::Error>> {
//! let doctor = Doctor::postgres(PostgresLookup::builder("postgres://app@db.internal/app"))?
//!     .url("https://app.example.com/session/{session}")?;
//! let diagnosis = doctor.diagnose("807efe44-d63e-4a24-88f5-dbe96112830a").await;
//! println!("{diagnosis}");
//! # Ok(())
//! # }
//! ```
//!
//! It only reads: the database (each step bounded like a lookup), the platform's API, and one GET
//! to the URL, if there is one, which reaches the application if all is well, by a
//! [`Redirect`](crate::Redirect) or a replay. A check whose result cannot be known from
//! where it runs is `unknown`, and not guessed.

use std::{fmt, time::Duration};

use crate::{
    PostgresConfigError, PostgresLookup, PostgresLookupBuilder, SessionId, SessionLookup,
    directory::lookup::DynLookup,
};

mod check;
mod checklist;
mod diagnosis;
mod directory;
mod facts;
mod fleet;
mod fly_api;
mod judge;
mod part;
mod request;
mod url;
mod words;

pub use check::{Check, CheckState};
pub use diagnosis::{Complaint, Diagnosis};
pub use fleet::{Fleet, FleetAudit, FleetError, FleetSessions};
pub use fly_api::FlyApi;
pub use url::InvalidUrl;
#[doc(hidden)]
pub use words::seconds;

use facts::{Answer, Directory, Facts, Platform};
use url::RequestTemplate;

/// Finds out what is wrong with a session. A clone is cheap, and shares the lookup.
#[derive(Clone)]
#[must_use = "a doctor does nothing before `diagnose`"]
pub struct Doctor {
    source: Source,
    url: Option<RequestTemplate>,
    machine_header: Option<String>,
    fly_api: Option<FlyApi>,
    timeout: Duration,
    #[cfg(feature = "testing")]
    hops: Option<crate::testing::HopsOf>,
}

/// Where sessions are looked up.
#[derive(Clone)]
enum Source {
    Any(DynLookup),
    Postgres {
        lookup: PostgresLookup,
        /// The same without what the ownership migration makes.
        plain: Option<PostgresLookup>,
        /// The name of Fly's pooler, if that is in between.
        pooler: Option<String>,
    },
}

impl Source {
    /// The session that a text names: by its id, or by the beginning or the end of it, as a log shows it.
    /// The error says why it names none.
    async fn find(&self, text: &str) -> Result<Option<SessionId>, String> {
        match self {
            Self::Any(lookup) => Ok(part::whole(text, lookup.session_ids())),
            Self::Postgres { lookup, .. } => part::find(lookup, text).await,
        }
    }
}

impl Doctor {
    /// Reads any directory. Of `PostgreSQL`, [`postgres`](Self::postgres) reads more.
    pub fn new(lookup: impl SessionLookup) -> Self {
        Self::of(Source::Any(DynLookup::new(lookup)))
    }

    /// Reads the tables themselves, by the builder's names of tables and columns. Detects whether
    /// the ownership migration is applied, and does not use the builder's setting.
    pub fn postgres(builder: PostgresLookupBuilder) -> Result<Self, PostgresConfigError> {
        // By the names that Fly's Managed Postgres gives out: fly.io/docs/mpg.
        let is_pooler =
            |host: &String| host.starts_with("pgbouncer.") && host.ends_with(".flympg.net");
        let pooler = builder.hosts().into_iter().find(is_pooler);
        let (lookup, plain) = builder.with_and_without_ownership()?;
        Ok(Self::of(Source::Postgres {
            lookup,
            plain,
            pooler,
        }))
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            url: None,
            machine_header: None,
            fly_api: None,
            timeout: Duration::from_secs(15),
            #[cfg(feature = "testing")]
            hops: None,
        }
    }

    /// The public URL of a session, with `{session}` in the place of its id. Default: none, and
    /// then no request is made.
    pub fn url(self, template: impl AsRef<str>) -> Result<Self, InvalidUrl> {
        self.url_with(template, &[])
    }

    /// The same for sessions in a header or a cookie: `{session}` stands for the id in the URL or in a
    /// header's value, such as `[("mcp-session-id", "{session}")]` or `[("cookie", "sid={session}")]`. The
    /// headers go along with redirects, also to other hosts.
    pub fn url_with(
        mut self,
        template: impl AsRef<str>,
        headers: &[(&str, &str)],
    ) -> Result<Self, InvalidUrl> {
        self.url = Some(RequestTemplate::parse(template.as_ref(), headers)?);
        Ok(self)
    }

    /// A further header by which answers say which machine gave them. `ownership-machine`, which
    /// the layer writes where it may [show internals](crate::OwnershipLayerBuilder::expose_internals),
    /// and `fly-machine-id` are known.
    pub fn machine_header(mut self, name: impl Into<String>) -> Self {
        self.machine_header = Some(name.into());
        self
    }

    /// Asks Fly's Machines API for the owner.
    pub fn fly_api(mut self, api: FlyApi) -> Self {
        self.fly_api = Some(api);
        self
    }

    /// How long the request may take, and all questions to the platform together. Default: 15 s,
    /// longer than Fly's proxy tries to reach a machine.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Lets an edge that runs in this process tell which machines a request came to.
    #[cfg(feature = "testing")]
    pub fn edge(mut self, edge: &crate::testing::FlyEdge) -> Self {
        self.hops = Some(edge.reader());
        self
    }

    /// Finds out what is wrong with the session. Every step is bounded, and what fails is part of
    /// the diagnosis.
    ///
    /// `session` is its id or, in a table of `PostgreSQL`, the beginning or the end of it from three
    /// characters on, as logs show it. For that the whole table is read, within 10 s.
    pub async fn diagnose(&self, session: &str) -> Diagnosis {
        let mut facts = Facts {
            session: session.to_owned(),
            directory: Directory::NotAsked {
                why: format!("{session:?} cannot be the id of a session here"),
            },
            platform: Platform {
                app: self.app().map(str::to_owned),
                ..Platform::default()
            },
            answer: Answer::NotAsked,
        };
        let id = match self.source.find(session).await {
            Ok(Some(id)) => id,
            Ok(None) => return Diagnosis::of(facts),
            Err(why) => {
                facts.directory = Directory::NotAsked { why };
                return Diagnosis::of(facts);
            }
        };
        facts.session = id.to_string();
        facts.directory = directory::ask(&self.source, &id).await;
        // Before the request, which may wake the owner.
        self.look_for_the_owner(&mut facts).await;
        if let Some(Ok((url, headers))) = self.url.as_ref().map(|url| url.of(&id)) {
            let request = request::PublicRequest {
                url,
                headers,
                machine_header: self.machine_header.as_deref(),
                app: self.app(),
                timeout: self.timeout,
            };
            facts.answer = request.send().await;
            #[cfg(feature = "testing")]
            self.add_hops(&mut facts.answer);
            if facts.served_elsewhere().is_some() {
                self.look_again(&mut facts, &id).await;
            }
        }
        Diagnosis::of(facts)
    }

    async fn look_for_the_owner(&self, facts: &mut Facts) {
        if let (Some(owner), Some(api)) = (facts.owner(), &self.fly_api) {
            facts.platform.machine = api.machine(owner, self.timeout).await;
        }
    }

    /// Reads the row again: the machine that served may have become the owner meanwhile, by a
    /// take-over for this very request.
    async fn look_again(&self, facts: &mut Facts, id: &SessionId) {
        let again = directory::ask(&self.source, id).await;
        let before = std::mem::replace(&mut facts.directory, again);
        if facts.owner().is_none() || facts.served_elsewhere().is_some() {
            facts.directory = before;
        } else {
            self.look_for_the_owner(facts).await;
        }
    }

    fn app(&self) -> Option<&str> {
        self.fly_api.as_ref().map(FlyApi::app)
    }

    #[cfg(feature = "testing")]
    fn add_hops(&self, answer: &mut Answer) {
        let (Some(hops), Answer::Got(got)) = (&self.hops, answer) else {
            return;
        };
        let hops = hops.of(got.request_id.as_deref().unwrap_or_default());
        if got.machine.is_none() {
            got.machine = hops.last().map(|hop| hop.machine.clone());
        }
        got.hops = hops.iter().map(ToString::to_string).collect();
    }
}

impl fmt::Debug for Doctor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doctor")
            .field("url", &self.url)
            .field("fly_api", &self.fly_api)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
