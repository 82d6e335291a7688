//! One machine: the layer around an application that only counts what it served.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use http::{Request, Response};
use tower::{Layer, Service, ServiceExt};
use tower_ownership::{
    CachePolicy, FlyReplay, MachineId, Ownership, OwnershipLayer, OwnershipLayerBuilder,
    PathSegment, Rejection, SessionLookup, ownership::CacheHandle,
};
use uuid::Uuid;

/// A machine that asks a directory who owns a session.
#[derive(Clone)]
pub struct Machine {
    service: Ownership<Application>,
    cache: CacheHandle,
}

/// What a client notices: who served it, or why nobody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Served,
    Replayed,
    Refused(&'static str),
}

impl Machine {
    pub fn new(id: &str, lookup: impl SessionLookup, freshness: CachePolicy) -> Self {
        Self::built(id, lookup, |builder| builder.cache_policy(freshness))
    }

    pub fn built(
        id: &str,
        lookup: impl SessionLookup,
        with: impl FnOnce(OwnershipLayerBuilder) -> OwnershipLayerBuilder,
    ) -> Self {
        let builder = OwnershipLayer::builder(lookup)
            .session(PathSegment::after("/session").unwrap())
            .machine(id.parse::<MachineId>().unwrap())
            .replay(FlyReplay::new());
        let layer = with(builder).build().unwrap();
        Self {
            service: layer.layer(Application::default()),
            cache: layer.cache(),
        }
    }

    pub fn cache(&self) -> &CacheHandle {
        &self.cache
    }

    /// How many requests for sessions reached the application.
    pub fn served(&self) -> usize {
        self.service.get_ref().served.load(Ordering::SeqCst)
    }

    pub async fn get(&self, session: Uuid) -> Answer {
        self.send(Request::get(format!("/session/{session}"))).await
    }

    /// As the owner gets it, when another machine had it replayed.
    pub async fn get_replayed(&self, session: Uuid) -> Answer {
        let request = Request::get(format!("/session/{session}"));
        self.send(request.header("fly-replay-src", "instance=another;state=own.1"))
            .await
    }

    async fn send(&self, request: http::request::Builder) -> Answer {
        let request = request.body(String::new()).unwrap();
        let Ok(response) = self.service.clone().oneshot(request).await;
        if response.headers().contains_key("fly-replay") {
            return Answer::Replayed;
        }
        match response.extensions().get::<Rejection>() {
            Some(rejection) => Answer::Refused(rejection.code().as_str()),
            None => Answer::Served,
        }
    }
}

#[derive(Clone, Default)]
pub struct Application {
    served: Arc<AtomicUsize>,
}

impl<B> Service<Request<B>> for Application {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        self.served.fetch_add(1, Ordering::SeqCst);
        ready(Ok(Response::new(String::new())))
    }
}
