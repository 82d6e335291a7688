//! One fresh database, which no other test sees.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::{Client, Config, Error, NoTls};

use super::postgres::Cluster;
use super::supervisor::{log_length, read_log, read_log_from};

/// A database of a [`Cluster`].
#[derive(Clone, Debug)]
pub struct Database {
    name: String,
    dir: PathBuf,
    port: u16,
    /// Where its entries in the log of the cluster begin, at the earliest: many databases may have
    /// been there before.
    log_begin: u64,
}

impl Database {
    /// A fresh, empty database of the cluster that the process shares: what most tests want.
    pub async fn fresh() -> Self {
        Cluster::shared().database().await
    }

    pub(super) async fn create(dir: &Path, port: u16) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let database = Self {
            name: format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed)),
            dir: dir.to_owned(),
            port,
            log_begin: log_length(dir),
        };
        database
            .administrator()
            .await
            .batch_execute(&format!("CREATE DATABASE {}", database.name))
            .await
            .expect("CREATE DATABASE");
        database
    }

    /// The same database in a cluster that follows this one's.
    pub fn on(&self, standby: &Cluster) -> Self {
        Self {
            name: self.name.clone(),
            dir: standby.dir().to_owned(),
            port: standby.port(),
            log_begin: 0,
        }
    }

    /// Its name, which is unique in the process.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port of 127.0.0.1 that its cluster listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL over TCP.
    pub fn url(&self) -> String {
        self.url_through(self.port)
    }

    /// Its URL through something else on 127.0.0.1: a relay, a pooler.
    pub fn url_through(&self, port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/{}", self.name)
    }

    /// [`url`](Self::url), parsed.
    pub fn config(&self) -> Config {
        self.url().parse().expect("a URL")
    }

    /// A connection of the test's own. It is made by the Unix socket, so relays and TLS settings
    /// do not concern it.
    pub async fn client(&self) -> Client {
        connect_by_socket(&self.dir, self.port, &self.name).await
    }

    /// Runs one or more statements without parameters.
    pub async fn execute(&self, sql: &str) {
        let done = self.client().await.batch_execute(sql).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Asks until the answer is yes.
    pub async fn eventually(&self, question: &str) {
        let client = self.client().await;
        super::until_async(question, async || {
            client
                .query_one(question, &[])
                .await
                .expect(question)
                .get(0)
        })
        .await;
    }

    /// Ends all connections to this database from the server's side (57P01) and returns how many.
    pub async fn kill_backends(&self) -> i64 {
        self.ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1")
            .await
    }

    /// How many connections to this database are open now.
    pub async fn connections(&self) -> i64 {
        self.ask("SELECT count(*) FROM pg_stat_activity WHERE datname = $1")
            .await
    }

    /// How many connections to this database have ever been made, those of the test among them.
    pub fn connections_made(&self) -> usize {
        self.log("connection authorized:").len()
    }

    /// Every statement that was executed in this database so far, the test's own among them, in
    /// the server's order. The server writes them down before it executes them, so whoever has an
    /// answer also finds its statement here.
    pub fn statements(&self) -> Vec<String> {
        self.log("")
            .into_iter()
            .filter_map(|entry| {
                // `statement: SQL` (simple protocol) or `execute NAME: SQL` (extended).
                let (kind, sql) = entry.split_once(": ")?;
                (kind == "statement" || kind.starts_with("execute ")).then(|| sql.to_owned())
            })
            .collect()
    }

    /// How many of the [`statements`](Self::statements) contain `part`.
    pub fn statements_with(&self, part: &str) -> usize {
        let statements = self.statements();
        statements.iter().filter(|sql| sql.contains(part)).count()
    }

    /// Whether the server's log holds this text, in an entry of whatever level and database.
    pub fn has_logged(&self, text: &str) -> bool {
        read_log(&self.dir).contains(text)
    }

    /// The `LOG` entries of this database that begin with `begin`.
    fn log(&self, begin: &str) -> Vec<String> {
        let prefix = format!("{}|LOG:  ", self.name);
        let mut entries: Vec<String> = Vec::new();
        let mut ours = false;
        for line in read_log_from(&self.dir, self.log_begin).lines() {
            // Further lines of one entry are indented by a tab.
            if let Some(more) = line.strip_prefix('\t') {
                if let (true, Some(entry)) = (ours, entries.last_mut()) {
                    entry.push('\n');
                    entry.push_str(more);
                }
                continue;
            }
            let entry = line.strip_prefix(&prefix);
            let entry = entry.filter(|entry| entry.starts_with(begin));
            ours = entry.is_some();
            entries.extend(entry.map(ToOwned::to_owned));
        }
        entries
    }

    async fn ask(&self, sql: &str) -> i64 {
        let administrator = self.administrator().await;
        let row = administrator.query_one(sql, &[&self.name]).await;
        row.expect("an answer").get(0)
    }

    /// Connected to another database, so that it neither counts nor ends itself.
    async fn administrator(&self) -> Client {
        connect_by_socket(&self.dir, self.port, "postgres").await
    }
}

/// A plain connection to `url`, which may fail.
pub async fn connect(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // Ends with the client. An error of it is the client's too.
    tokio::spawn(connection);
    Ok(client)
}

async fn connect_by_socket(socket: &Path, port: u16, database: &str) -> Client {
    let (client, connection) = Config::new()
        .host_path(socket)
        .port(port)
        .user("postgres")
        .dbname(database)
        .connect(NoTls)
        .await
        .unwrap_or_else(|error| panic!("cannot connect to {database}: {error:?}"));
    tokio::spawn(connection);
    client
}
