//! One process of a machine: what it reads and writes, and what its layer answers.

use std::convert::Infallible;

use super::{BEAT, builder, me};
use crate::support::database::Database;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_ownership::{
    CachePolicy, FlyReplay, LookupError, Node, Owned, OwnershipLayer, OwnershipLayerBuilder,
    PathSegment, PostgresDirectory, PostgresLookup, Session, SessionDirectory as _, SessionId,
    SessionLookup as _,
    ownership::{CacheHandle, Heartbeat},
    postgres::PostgresLookupBuilder,
};

/// One process: a lookup and a directory of its own, and a layer with its cache.
pub(crate) struct Process {
    pub(crate) lookup: PostgresLookup,
    pub(crate) directory: PostgresDirectory,
    pub(crate) cache: CacheHandle,
    pub(crate) node: Node,
    layer: OwnershipLayer,
}

impl Process {
    /// Of this machine, with the incident's table.
    pub(crate) fn of(machine: &str, database: &Database) -> Self {
        Self::with(machine, builder(database), CachePolicy::new())
    }

    pub(crate) fn with(
        machine: &str,
        builder: PostgresLookupBuilder,
        freshness: CachePolicy,
    ) -> Self {
        let lookup = builder.build().unwrap();
        Self::around(machine, lookup, |layer| layer.cache_policy(freshness))
    }

    /// With a lookup that others may share, and a layer that `more` is said of.
    pub(crate) fn around(
        machine: &str,
        lookup: PostgresLookup,
        more: impl FnOnce(OwnershipLayerBuilder) -> OwnershipLayerBuilder,
    ) -> Self {
        let directory = lookup.directory().unwrap();
        let layer = OwnershipLayer::builder(lookup.clone())
            .session(PathSegment::after("/session").unwrap())
            .machine(me(machine))
            .replay(FlyReplay::new())
            .directory(directory.clone());
        let layer = more(layer).build().unwrap();
        Self {
            cache: layer.cache(),
            node: layer.node().clone(),
            lookup,
            directory,
            layer,
        }
    }

    /// Keeps the machine present, with a beat every 50 ms.
    pub(crate) async fn present(&self) -> Heartbeat<PostgresDirectory> {
        let presence = self.directory.heartbeat().interval(BEAT);
        presence.start(&self.node).await.unwrap()
    }

    pub(crate) async fn read(&self, id: impl Into<SessionId>) -> Session {
        let session = self.lookup.session(id.into()).await.unwrap();
        session.unwrap()
    }

    /// Claims the session as it is now.
    pub(crate) async fn claim(&self, id: impl Into<SessionId>) -> Session {
        let seen = self.read(id).await;
        self.claim_as(seen).await
    }

    pub(crate) async fn claim_as(&self, seen: Session) -> Session {
        self.try_claim(seen).await.unwrap()
    }

    /// The same where it may fail.
    pub(crate) async fn try_claim(&self, seen: Session) -> Result<Session, LookupError> {
        let claim = self.directory.claim(seen, self.node.machine().clone());
        claim.await.map(|claimed| claimed.unwrap().session)
    }

    /// What a request for the session is answered: `epoch 1` by the application that serves it, or
    /// the code of a refusal.
    pub(crate) async fn answer(&self, id: impl Into<SessionId>) -> String {
        let application = service_fn(|request: Request<String>| async move {
            let owned = request.extensions().get::<Owned>().unwrap();
            let text = format!("epoch {}", owned.epoch().unwrap());
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
        });
        let id = id.into().to_string();
        let id = percent_encoding::utf8_percent_encode(&id, percent_encoding::NON_ALPHANUMERIC);
        let request = Request::get(format!("/session/{id}/?session={id}"))
            .body(String::new())
            .unwrap();
        let Ok(response) = self.layer.layer(application).oneshot(request).await;
        let is_served = response.status() == StatusCode::OK;
        let body = response.into_body().collect().await.unwrap().to_bytes();
        if is_served {
            return String::from_utf8(body.to_vec()).unwrap();
        }
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        problem["code"].as_str().unwrap().to_owned()
    }
}
