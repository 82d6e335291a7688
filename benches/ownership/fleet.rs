//! A machine that keeps its presence.

use tower_ownership::{
    FlyReplay, MachineId, Node, OwnershipLayer, PathSegment, PostgresDirectory, PostgresLookup,
    ownership::Heartbeat,
};

use crate::common::setup::ME;
use crate::support::database::Database;

pub(crate) struct Machine {
    pub(crate) directory: PostgresDirectory,
    pub(crate) node: Node,
    pub(crate) presence: Heartbeat<PostgresDirectory>,
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
        let node = layer.node().clone();
        let presence = directory.heartbeat().start(&node).await;
        Self {
            directory,
            node,
            presence: presence.expect("a presence"),
        }
    }
}
