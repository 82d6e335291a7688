//! What sessions leave behind, fenced by the epoch.

use std::{error::Error, time::Duration};

use deadpool_postgres::{Manager, Pool, Runtime};
use tokio_postgres::{Config, NoTls, config::TargetSessionAttrs, types::ToSql};
use tower_ownership::Owned;

use crate::sessions::Ids;

/// The application's own connections: it writes, and the lookup only reads.
#[derive(Clone)]
pub struct States {
    pool: Pool,
    ids: Ids,
}

impl States {
    pub fn connect(url: &str, ids: Ids) -> Result<Self, Box<dyn Error>> {
        let bound = Some(Duration::from_secs(2));
        // After a failover the name may lead to a standby for a while: a connection to that would
        // stay, and refuse every write.
        let mut config: Config = url.parse()?;
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        let pool = Pool::builder(Manager::new(config, NoTls))
            .runtime(Runtime::Tokio1)
            .max_size(4)
            .wait_timeout(bound)
            .create_timeout(bound)
            .build()?;
        Ok(Self { pool, ids })
    }

    /// Saves, unless a later epoch has saved: a process that was stopped for a minute between the
    /// verdict and this line must not undo what its successor did. Says whether it was written.
    pub async fn save(&self, owned: &Owned, writer: &str) -> Result<bool, Box<dyn Error>> {
        const SAVE: &str = "
            INSERT INTO session_states AS s (session_id, epoch, writer, at)
            SELECT id, owner_epoch, $3, clock_timestamp() FROM preview_sessions
            WHERE id = $1 AND owner_epoch = $2 FOR SHARE
            ON CONFLICT (session_id) DO UPDATE
            SET epoch = excluded.epoch, writer = excluded.writer, at = excluded.at
            WHERE s.epoch <= excluded.epoch";
        let epoch = owned.epoch().ok_or("the directory keeps no epochs")?;
        let epoch = i64::try_from(epoch)?;
        let writing = async {
            let client = self.pool.get().await?;
            let (uuid, text) = (owned.id().as_uuid(), owned.id().to_string());
            let id: &(dyn ToSql + Sync) = match self.ids {
                Ids::Uuid => &uuid,
                Ids::Text => &text,
            };
            let rows = client.execute(SAVE, &[id, &epoch, &writer]).await?;
            Ok::<_, Box<dyn Error>>(rows == 1)
        };
        tokio::time::timeout(Duration::from_secs(3), writing).await?
    }
}
