//! What cannot work, and the layer.

use std::{sync::Arc, time::Duration};

use super::OwnershipLayerBuilder;
use crate::{
    DefaultRenderer, Node, OwnershipLayer,
    cache::CachePart,
    clock::Clock,
    detect,
    layer::BuildError,
    meter,
    observe::Warnings,
    ownership::{Registrar, Sessions, SlidingExpiry},
    policy::{KeptHandovers, Policy, SharedPolicy},
};

impl OwnershipLayerBuilder {
    /// Builds the layer, or says what is missing or cannot work.
    pub fn build(self) -> Result<OwnershipLayer, BuildError> {
        self.build_with(Clock::start())
    }

    pub(crate) fn build_with(self, clock: Clock) -> Result<OwnershipLayer, BuildError> {
        Ok(OwnershipLayer {
            policy: self.policy(clock)?,
            forward: (),
        })
    }

    pub(in crate::layer) fn policy(self, clock: Clock) -> Result<Arc<SharedPolicy>, BuildError> {
        let replay = self.replay.ok_or(BuildError::NoReplay)?;
        replay.validate()?;
        let claims = self.claims.needs_directory() || self.takes_over.needs_directory();
        if (claims || self.volatile) && self.directory.is_none() {
            return Err(BuildError::NoDirectory);
        }
        if claims && self.volatile {
            return Err(BuildError::VolatileClaims);
        }
        if self.lookup_timeout.is_zero() {
            return Err(BuildError::NoTimeToLookUp);
        }
        let identity = self.identity.unwrap_or_else(|| Box::new(detect()));
        let machine = identity.machine_id()?;
        meter::describe();
        let node = match self.node {
            None => {
                let node = Node::new(machine.clone(), self.capacity, clock);
                self.lookup.node(&node)
            }
            Some(node) if *node.machine() != machine => {
                return Err(BuildError::NodeOfAnotherMachine {
                    node: node.machine().clone(),
                    machine,
                });
            }
            Some(node) if !self.lookup.node(&node).is(&node) => {
                return Err(BuildError::TwoNodes { machine });
            }
            Some(node) => node,
        };
        if !node.extend_ttl(self.freshness.owned) {
            return Err(BuildError::LongerThanLease {
                owned: Duration::from_millis(self.freshness.owned.into()),
                ttl: node.lease_ttl(),
            });
        }
        if !node.agree_on_volatile(self.volatile) {
            return Err(BuildError::VolatileDiffers { machine });
        }
        if self.require_membership {
            node.await_membership();
        }
        let mut births = self.births;
        let writes = births.are_looked_for() || births.tells_registrar || self.sliding.is_some();
        if self.directory.is_none() && writes {
            return Err(BuildError::NoDirectory);
        }
        let ids = self.lookup.session_ids();
        let part = CachePart {
            lookup: self.lookup,
            timeout: self.lookup_timeout,
            freshness: self.freshness,
            capacity: self.capacity,
        };
        let directory = self.directory.clone();
        let sessions = Sessions::new(node, part, self.directory);
        births.registrar =
            directory.map(|directory| Registrar::new(Arc::clone(&sessions), directory));
        let policy = Policy {
            machine,
            sessions,
            extract: self.extract.ok_or(BuildError::NoSession)?,
            searches: self.searches,
            ids,
            births,
            ends_streams: self.ends_streams,
            hosts_untrusted: self.hosts_untrusted,
            refused_bodies: self.refused_bodies,
            sliding: self.sliding.map(SlidingExpiry::new),
            guard: self.guard,
            claims: self.claims,
            takes_over: self.takes_over,
            replay,
            handovers: KeptHandovers::default(),
            #[cfg(feature = "forward")]
            forward: self.forward,
            max_hops: self.max_hops,
            tells_owned: self.tells_owned,
            render: self.render.unwrap_or_else(|| {
                let default = DefaultRenderer::new();
                Box::new(default.expose_internals(self.expose_internals))
            }),
            observe: self.observe,
            warnings: Warnings::every(self.warn_interval),
            meter: meter::Verdicts::new(),
        };
        Ok(Arc::new(SharedPolicy::new(policy)))
    }
}
