//! A machine that keeps its presence.

use tower_ownership::{
    CacheHandle, FlyReplay, MachineId, OwnershipLayer, PathSegment, PostgresDirectory,
    PostgresLookup, PostgresPresence,
};

use crate::common::setup::ME;
use crate::support::database::Database;

pub(crate) struct Machine {
    pub(crate) directory: PostgresDirectory,
    pub(crate) cache: CacheHandle,
    pub(crate) presence: PostgresPresence,
}

impl Machine {
    pub(crate) async fn start(database: &Database) -> Self {
        let lookup = PostgresLookup::builder(database.url())
            .ownership()
            .max_connections(8);
        let lookup = lookup.build().expect("a lookup");
        let directory = lookup.directory().expect("a directory");
        let layer = OwnershipLayer::builder(lookup)
            .session(PathSegment::after("/session").expect("a prefix"))
            .machine(ME.parse::<MachineId>().expect("a machine id"))
            .replay(FlyReplay::new())
            .build()
            .expect("a layer");
        let cache = layer.cache();
        let presence = directory.presence().start(cache.clone()).await;
        Self {
            directory,
            cache,
            presence: presence.expect("a presence"),
        }
    }
}
