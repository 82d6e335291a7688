//! The server around the tables: what keeps machines from reading and writing them.

use std::fmt;

use serde::Serialize;

use crate::{
    LookupError,
    doctor::seconds,
    postgres::{
        PostgresLookup,
        failure::is_of_a_standby,
        row::value,
        sql::{Sql, sql_file, words},
    },
};

/// What the server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeenServer {
    /// It follows another one.
    pub(crate) standby: bool,
    /// Held for longer than a second by other connections; the oldest first.
    pub(crate) locks: Vec<SeenLock>,
}

/// A lock that statements of machines wait for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeenLock {
    pub(crate) pid: i32,
    /// The table, as SQL names it; `None`: a row of one.
    pub(crate) table: Option<String>,
    pub(crate) mode: String,
    pub(crate) who: Option<String>,
    pub(crate) program: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) seconds: Option<f64>,
    pub(crate) query: Option<String>,
}

impl SeenLock {
    /// Whether it keeps even readers waiting.
    pub(crate) fn stops_readers(&self) -> bool {
        self.mode == "AccessExclusiveLock"
    }
}

/// `pid 4711 (app, psql, idle in transaction for 3m) locks "preview_sessions" (ExclusiveLock): LOCK …`
impl fmt::Display for SeenLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.pid)?;
        let how = self.state.as_deref().unwrap_or("running");
        let how = match self.seconds {
            Some(since) => format!("{how} for {}", seconds(since)),
            None => how.to_owned(),
        };
        let about = [self.who.as_deref(), self.program.as_deref(), Some(&*how)];
        let about: Vec<&str> = about
            .into_iter()
            .flatten()
            .filter(|one| !one.is_empty())
            .collect();
        write!(f, " ({})", about.join(", "))?;
        match &self.table {
            Some(table) => write!(f, " locks {table} ({})", self.mode)?,
            None => f.write_str(" holds a row that machines wait for")?,
        }
        let query = self.query.as_deref().unwrap_or_default();
        let query: Vec<&str> = query.split_whitespace().collect();
        if query.is_empty() {
            return Ok(());
        }
        write!(f, ": `{}`", query.join(" "))
    }
}

impl PostgresLookup {
    /// Looks at the server. It takes no lock that any of those could keep waiting.
    pub(crate) async fn see_server(&self) -> Result<SeenServer, LookupError> {
        let sql = self.of_places().fill(sql_file!("see_server"));
        let rows = self.inner.connections.query(&sql, &[]).await?;
        let mut seen = SeenServer::default();
        for row in &rows {
            seen.standby = value(row, "standby")?;
            let Some(pid) = value(row, "pid")? else {
                continue;
            };
            seen.locks.push(SeenLock {
                pid,
                table: value(row, "place")?,
                mode: value::<Option<String>>(row, "mode")?.unwrap_or_default(),
                who: value(row, "who")?,
                program: value(row, "program")?,
                state: value(row, "state")?,
                seconds: value(row, "since")?,
                query: value(row, "query")?,
            });
        }
        Ok(seen)
    }

    /// What this user would have to be granted, as statements.
    pub(crate) async fn see_denied(&self) -> Result<Vec<String>, LookupError> {
        let sql = self.of_places();
        let sql = sql.text("keeps_ownership", self.keeps_ownership().to_string());
        let sql = sql.fill(sql_file!("see_denied"));
        let rows = self.inner.connections.query(&sql, &[]).await?;
        rows.iter().map(|row| value(row, "grant")).collect()
    }

    /// Whether something between here and the server shares its connections.
    pub(crate) fn is_pooled(&self) -> bool {
        !self.inner.connections.is_foreign && !self.inner.connections.direct.holds()
    }

    /// Whether this is what a lookup of a standby says, where ownership is kept.
    pub(crate) fn says_standby(error: &LookupError) -> bool {
        is_of_a_standby(error)
    }

    fn of_places(&self) -> Sql {
        let mut places = Vec::new();
        if let Some(table) = &self.inner.table {
            places.push(table.qualified());
            if let Some(ownership) = &table.ownership {
                places.extend([ownership.machines.clone(), ownership.fleet.clone()]);
            }
        }
        self.inner.sql.clone().text("places", words(&places))
    }
}
