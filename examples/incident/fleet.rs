//! The two machines of the incident, with the layer, behind an edge that picks the wrong one first.

use std::{collections::HashMap, time::Duration};

use tower_ownership::{
    CachePolicy, FlyReplay, MachineId, OnLostOwner, OnUnassigned, PathSegment,
    testing::{FlyEdge, FlyEdgeBuilder},
};

use crate::{
    LANDED, OWNER, Result,
    container::{Container, Running},
    directory::{Alive, Directory},
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// They say that they are there.
    Beats,
    /// They also claim, take over and give up.
    Claims,
}

pub struct Fleet {
    pub edge: FlyEdge,
    directory: Directory,
    /// Which part machines have in the life of ownerships; if none, they only read who the owner is.
    part: Option<Part>,
    machines: HashMap<&'static str, (Running, Option<Alive>)>,
}

impl Fleet {
    /// F: five seconds by default.
    pub const FRESHNESS: Duration = Duration::from_secs(1);

    /// How long a new owner waits where the previous one may still be serving: F, a fifth of it for
    /// clocks that stand still, and a few milliseconds.
    pub const WAIT: Duration = Duration::from_millis(1_205);

    /// Machines that only read who the owner is.
    pub async fn that_reads(directory: &Directory, edge: FlyEdgeBuilder) -> Result<Self> {
        Self::of(&[OWNER, LANDED], directory, edge, None).await
    }

    /// Machines that also claim, take over and give up.
    pub async fn that_lives(directory: &Directory) -> Result<Self> {
        let part = Some(Part::Claims);
        Self::of(&[OWNER, LANDED], directory, FlyEdge::builder(), part).await
    }

    /// Machines that beat and claim nothing, and of the two only the wrong one.
    pub async fn without_the_owner(directory: &Directory) -> Result<Self> {
        Self::of(&[LANDED], directory, FlyEdge::builder(), Some(Part::Beats)).await
    }

    async fn of(
        machines: &[&'static str],
        directory: &Directory,
        edge: FlyEdgeBuilder,
        part: Option<Part>,
    ) -> Result<Self> {
        let edge = edge.land_on(LANDED).start().await?;
        let mut fleet = Self {
            edge,
            directory: directory.clone(),
            part,
            machines: HashMap::new(),
        };
        for machine in machines {
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
            .cache_policy(CachePolicy::new().owned(Self::FRESHNESS))
            .insert_registrar()
            .expose_internals(self.part == Some(Part::Beats))
            .replay(FlyReplay::new());
        if self.part == Some(Part::Claims) {
            builder = builder
                .on_unassigned(OnUnassigned::Claim)
                .on_lost_owner(OnLostOwner::TakeOver);
        }
        let layer = builder.build()?;
        let presence = if self.part.is_some() {
            Some(self.directory.join(layer.node()).await?)
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
