//! Passwords that change while the process runs.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tower_ownership::PostgresLookup;
use tower_ownership::SessionLookup as _;
use uuid::Uuid;

use super::{is_down, layer, listening, long, until};
use crate::support::chain;
use crate::support::postgres::Cluster;

/// A token that is valid until the next one, or the reason why there is none.
#[derive(Clone)]
struct Tokens {
    now: Arc<Mutex<Result<String, String>>>,
    asked: Arc<AtomicUsize>,
}

impl Tokens {
    fn set(&self, token: Result<&str, &str>) {
        *self.now.lock().unwrap() = token.map(str::to_owned).map_err(str::to_owned);
    }

    async fn get(self) -> Result<String, io::Error> {
        // As one that asks a server.
        tokio::task::yield_now().await;
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.now.lock().unwrap().clone().map_err(io::Error::other)
    }
}

#[tokio::test]
async fn every_connection_asks_for_the_password_of_its_time() {
    let cluster = Cluster::prepared(|data| {
        let rules = "local all all trust\nhost all rotated 127.0.0.1/32 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), rules).unwrap();
        Vec::new()
    });
    let cluster = cluster.unwrap();
    let database = cluster.database().await;
    database
        .execute("CREATE ROLE rotated LOGIN PASSWORD 'first'")
        .await;
    let url = database.url().replace("postgres@", "rotated:old@");
    let tokens = Tokens {
        now: Arc::new(Mutex::new(Ok("first".to_owned()))),
        asked: Arc::default(),
    };
    let provider = tokens.clone();
    let lookup = PostgresLookup::builder(url)
        .query("SELECT 'm1' AS owner, 'active' AS status WHERE $1 IS NOT NULL")
        .password(move || provider.clone().get())
        .build()
        .unwrap();
    let session = || lookup.session(Uuid::nil().into());
    assert!(session().await.unwrap().is_some());
    let layer = layer("m1", lookup.clone(), long());
    let feed = lookup.change_feed().start(layer.cache()).unwrap();
    listening(&feed).await;
    let asked = tokens.asked.load(Ordering::Relaxed);
    assert!(asked >= 2, "by the lookup and by the feed: {asked}");

    database
        .execute("ALTER ROLE rotated PASSWORD 'second'")
        .await;
    // Connections that are open stay open.
    assert!(session().await.unwrap().is_some());
    tokens.set(Err("the token service is down"));
    database.kill_backends().await;
    until(&feed, is_down).await;
    let error = chain(&session().await.unwrap_err());
    assert!(
        error.contains("the password provider failed: the token service is down"),
        "{error}"
    );
    tokens.set(Ok("second"));
    assert!(session().await.unwrap().is_some());
    listening(&feed).await;
}

#[test]
fn a_pool_brings_its_own_passwords() {
    let manager =
        deadpool_postgres::Manager::new(tokio_postgres::Config::new(), tokio_postgres::NoTls);
    let pool = deadpool_postgres::Pool::builder(manager).build().unwrap();
    let built = PostgresLookup::builder(pool)
        .password(|| async { Ok::<_, io::Error>(String::new()) })
        .build();
    assert!(built.unwrap_err().to_string().contains("a password"));
}
