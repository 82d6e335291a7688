//! Where the orchestrator writes, machines beat, and the layer reads.

use std::{env, sync::Arc, time::Duration};

use tokio_postgres::{Client, NoTls};
use tower_ownership::{
    MachineId, MemoryDirectory, Node, OwnershipLayer, OwnershipLayerBuilder, PostgresDirectory,
    PostgresLookup, Session, SessionId, SessionStatus,
    doctor::Doctor,
    ownership::{Heartbeat, HeartbeatBuilder},
    postgres::PostgresIdType,
};

use crate::Result;

#[derive(Clone)]
pub enum Directory {
    Memory(MemoryDirectory),
    Postgres(PostgresLookup, PostgresDirectory, Arc<Client>),
}

/// A machine that is alive until this is dropped.
pub enum Alive {
    Memory(Heartbeat<MemoryDirectory>),
    Postgres(Heartbeat<PostgresDirectory>),
}

impl Directory {
    const SCHEMA: &str = "tower_ownership_incident";
    const BEAT: Duration = Duration::from_millis(200);
    /// Fifteen seconds by default, which is long for a demo.
    pub const LOST_AFTER: Duration = Duration::from_secs(1);

    pub async fn open() -> Result<Self> {
        let Ok(url) = env::var("DATABASE_URL") else {
            let sessions = MemoryDirectory::new().with_lost_after(Self::LOST_AFTER);
            return Ok(Self::Memory(sessions));
        };
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        let schema = Self::SCHEMA;
        client
            .batch_execute(&format!(
                "drop schema if exists {schema} cascade; create schema {schema};
                 create table {schema}.preview_sessions (
                     id text primary key, status text not null, container_id text,
                     container_url text, expires_at timestamptz, ended_at timestamptz)"
            ))
            .await?;
        let lookup = PostgresLookup::builder(url.as_str())
            .schema(schema)
            .id_type(PostgresIdType::Text)
            .ownership()
            .lost_after(Self::LOST_AFTER)
            .build()?;
        let directory = lookup.directory()?;
        directory.migrate().await?;
        Ok(Self::Postgres(lookup, directory, Arc::new(client)))
    }

    /// A layer that looks sessions up here, and claims them here.
    pub fn layer(&self) -> OwnershipLayerBuilder {
        match self {
            Self::Memory(sessions) => {
                OwnershipLayer::builder(sessions.clone()).directory(sessions.clone())
            }
            Self::Postgres(lookup, directory, _) => {
                OwnershipLayer::builder(lookup.clone()).directory(directory.clone())
            }
        }
    }

    /// Finds out what is wrong with a session of it.
    pub fn doctor(&self) -> Doctor {
        match self {
            Self::Memory(sessions) => Doctor::new(sessions.clone()),
            Self::Postgres(lookup, _, _) => Doctor::new(lookup.clone()),
        }
    }

    /// Forgets every session, and every machine that was ever there.
    pub async fn begin_anew(&self) -> Result<()> {
        match self {
            Self::Memory(sessions) => sessions.clear(),
            Self::Postgres(_, _, client) => {
                let schema = Self::SCHEMA;
                let sql =
                    format!("truncate {schema}.preview_sessions, {schema}.ownership_machines");
                client.batch_execute(&sql).await?;
            }
        }
        Ok(())
    }

    /// Keeps a machine alive.
    pub async fn join(&self, node: &Node) -> Result<Alive> {
        Ok(match self {
            Self::Memory(sessions) => {
                let heartbeat = HeartbeatBuilder::new(sessions.clone()).interval(Self::BEAT);
                Alive::Memory(heartbeat.start(node).await?)
            }
            Self::Postgres(_, directory, _) => {
                let heartbeat = directory.heartbeat().interval(Self::BEAT);
                Alive::Postgres(heartbeat.start(node).await?)
            }
        })
    }

    pub async fn write(&self, session: &str, owner: Option<&str>) -> Result<()> {
        let id: SessionId = session.parse()?;
        let owner: Option<MachineId> = owner.map(str::parse).transpose()?;
        match self {
            Self::Memory(sessions) => {
                // What the trigger does in the database.
                let epoch = sessions
                    .get(&id)
                    .map_or(0, |known| known.epoch().unwrap_or(0));
                let session = Session::new(id, SessionStatus::Active).with_epoch(epoch + 1);
                sessions.insert(match owner {
                    Some(owner) => session.with_owner(owner),
                    None => session.with_epoch(epoch),
                });
            }
            Self::Postgres(_, _, client) => {
                let upsert = format!(
                    "insert into {}.preview_sessions (id, status, container_id, expires_at)
                     values ($1, 'active', $2, now() + interval '1 hour')
                     on conflict (id) do update set container_id = excluded.container_id",
                    Self::SCHEMA
                );
                let owner = owner.as_ref().map(MachineId::as_str);
                client.execute(&upsert, &[&id.to_string(), &owner]).await?;
            }
        }
        Ok(())
    }

    pub async fn close(self) -> Result<()> {
        if let Self::Postgres(_, _, client) = &self {
            client
                .batch_execute(&format!("drop schema {} cascade", Self::SCHEMA))
                .await?;
        }
        Ok(())
    }
}

impl Alive {
    /// Gives up what the machine owns, and returns how many sessions that were. It has not left: a
    /// machine that is drained may be looked at.
    pub async fn drain(&self) -> Result<usize> {
        const LIMIT: Duration = Duration::from_secs(5);
        let drained = match self {
            Self::Memory(heartbeat) => heartbeat.drain(LIMIT).await?,
            Self::Postgres(heartbeat) => heartbeat.drain(LIMIT).await?,
        };
        Ok(drained.released.len())
    }
}
