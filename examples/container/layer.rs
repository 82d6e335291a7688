//! The layer, of whichever type the handover makes it.

use axum::Router;
use http::request::Parts;
use serde::Serialize;
#[cfg(feature = "forward")]
use tower_ownership::forward::{Forward, Forwarding};
use tower_ownership::{
    BuildError, Node, OwnershipLayer, OwnershipLayerBuilder,
    health::HealthBuilder,
    ownership::{CacheHandle, Registrar},
};

use crate::settings::Handover;

/// The type of a layer says whether it carries requests itself; here the environment does.
#[derive(Clone)]
pub enum Layer {
    Replays(OwnershipLayer),
    #[cfg(feature = "forward")]
    Forwards(OwnershipLayer<Forwarding>),
}

macro_rules! either {
    ($either:expr, $layer:ident => $does:expr) => {
        match $either {
            Layer::Replays($layer) => $does,
            #[cfg(feature = "forward")]
            Layer::Forwards($layer) => $does,
        }
    };
}

impl Layer {
    pub fn build(builder: OwnershipLayerBuilder, handover: &Handover) -> Result<Self, BuildError> {
        Ok(match handover {
            Handover::Replay(replay) => Self::Replays(builder.replay(replay.clone()).build()?),
            #[cfg(feature = "forward")]
            Handover::Forward(forward) => {
                Self::Forwards(builder.forward(Forward::clone(forward)).build()?)
            }
        })
    }

    pub fn around(&self, router: Router) -> Router {
        either!(self, layer => router.layer(layer.clone()))
    }

    pub fn cache(&self) -> CacheHandle {
        either!(self, layer => layer.cache())
    }

    pub fn registrar(&self) -> Option<Registrar> {
        either!(self, layer => layer.registrar())
    }

    pub fn node(&self) -> &Node {
        either!(self, layer => layer.node())
    }

    pub fn health(&self) -> HealthBuilder {
        either!(self, layer => layer.health())
    }

    pub async fn explain(&self, head: &Parts) -> impl Serialize + use<> {
        either!(self, layer => layer.explain(head).await)
    }

    #[cfg(feature = "probe")]
    pub fn answering(&self, router: Router, secret: tower_ownership::probe::ProbeSecret) -> Router {
        either!(self, layer => router.layer(layer.answer_probes(secret)))
    }

    #[cfg(feature = "probe")]
    pub async fn probe(
        &self,
        probe: &tower_ownership::probe::Probe,
    ) -> tower_ownership::probe::ProbeOutcome {
        either!(self, layer => probe.run(layer).await)
    }
}
