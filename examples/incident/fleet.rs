//! The two machines of the incident, with the layer, behind an edge that picks the wrong one first.

use std::{collections::HashMap, time::Duration};

use tower_ownership::{
    FlyReplay, Freshness, MachineId, OnLostOwner, OnUnassigned, PathSegment,
    testing::{FlyEdge, FlyEdgeBuilder},
};

use crate::{
    LANDED, OWNER, Result,
    container::{Container, Running},
    directory::{Directory, Presence},
};

pub struct Fleet {
    pub edge: FlyEdge,
    directory: Directory,
    /// Whether machines beat, claim and take over, or only read who the owner is.
    lives: bool,
    machines: HashMap<&'static str, (Running, Option<Presence>)>,
}

impl Fleet {
    /// F: five seconds by default.
    pub const FRESHNESS: Duration = Duration::from_secs(1);

    /// Machines that only read who the owner is.
    pub async fn that_reads(directory: &Directory, edge: FlyEdgeBuilder) -> Result<Self> {
        Self::start(directory, edge, false).await
    }

    /// Machines that also claim, take over and give up.
    pub async fn that_lives(directory: &Directory) -> Result<Self> {
        Self::start(directory, FlyEdge::builder(), true).await
    }

    async fn start(directory: &Directory, edge: FlyEdgeBuilder, lives: bool) -> Result<Self> {
        let edge = edge.land_on(LANDED).start().await?;
        let mut fleet = Self {
            edge,
            directory: directory.clone(),
            lives,
            machines: HashMap::new(),
        };
        for machine in [OWNER, LANDED] {
            fleet.add(machine).await?;
        }
        Ok(fleet)
    }

    pub async fn add(&mut self, machine: &'static str) -> Result<()> {
        let mut builder = self
            .directory
            .layer()
            .session(PathSegment::after("/session")?)
            .machine(machine.parse::<MachineId>()?)
            .freshness(Freshness::new().owned(Self::FRESHNESS))
            .replay(FlyReplay::new());
        if self.lives {
            builder = builder
                .on_unassigned(OnUnassigned::Claim)
                .on_lost_owner(OnLostOwner::TakeOver);
        }
        let layer = builder.build()?;
        let presence = if self.lives {
            Some(self.directory.join(layer.cache()).await?)
        } else {
            None
        };
        let container = Container::named(machine).for_all(&self.directory);
        let running = container.start(Some(layer)).await?;
        self.edge.add(machine, running.addr);
        self.machines.insert(machine, (running, presence));
        Ok(())
    }

    pub fn kill(&mut self, machine: &str) {
        if let Some((running, presence)) = self.machines.remove(machine) {
            running.kill();
            drop(presence);
            self.edge.remove(machine);
        }
    }

    /// Has a machine give up what it owns; says how many sessions that were.
    pub async fn drain(&mut self, machine: &str) -> Result<usize> {
        let Some((running, Some(presence))) = self.machines.remove(machine) else {
            return Ok(0);
        };
        let released = presence.drain().await?;
        running.kill();
        self.edge.remove(machine);
        Ok(released)
    }
}
