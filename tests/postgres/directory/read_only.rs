//! Writers that an operator or a provider has stopped.

use tower_ownership::{CachePolicy, LookupErrorKind, PostgresLookup};

use super::{PostgresDirectory, Process, machine, unowned};
use crate::support::chain;
use crate::support::postgres::Cluster;
use crate::support::until_async;

/// As providers do it when a disk is full, and operators before a switchover.
#[tokio::test]
async fn a_server_that_is_set_to_be_read_only_is_not_written() {
    for parameters in ["", "?pgbouncer=true"] {
        let cluster = Cluster::private();
        let database = cluster.database().await;
        database.incident_table().await;
        database.execute(PostgresDirectory::MIGRATION).await;
        machine(&database, "m1", 0.0, "").await;
        let url = format!("{}{parameters}", database.url());
        let lookup = PostgresLookup::builder(url).ownership();
        let process = Process::with("m1", lookup, CachePolicy::new());
        assert_eq!(
            process.claim(unowned(&database).await).await.epoch(),
            Some(1)
        );

        let later = unowned(&database).await;
        let client = database.client().await;
        let set = async |value: &str| {
            let sql = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
            for sql in [
                "SET default_transaction_read_only = off",
                &sql,
                "SELECT pg_reload_conf()",
            ] {
                client.batch_execute(sql).await.unwrap();
            }
        };
        set("on").await;
        // A server process reads its settings anew before its next statement, sooner or later.
        let mut error = None;
        until_async("the claim is refused", async || {
            let seen = process.read(later).await;
            error = process.try_claim(seen).await.err();
            error.is_some()
        })
        .await;
        let error = error.unwrap();
        assert_eq!(error.kind(), LookupErrorKind::Unavailable);
        let text = chain(&error);
        assert!(text.contains("default_transaction_read_only"), "{text}");
        set("off").await;
        until_async("it is claimed", async || {
            let seen = process.read(later).await;
            process.try_claim(seen).await.is_ok()
        })
        .await;
    }
}

/// The driver asks a new connection whether it may write.
#[tokio::test]
async fn a_primary_is_found_by_target_session_attrs() {
    let database = super::migrated().await;
    machine(&database, "m1", 0.0, "").await;
    let ways = ["", "&pgbouncer=true"];
    for way in ways {
        let url = format!("{}?target_session_attrs=read-write{way}", database.url());
        let lookup = PostgresLookup::builder(url).ownership();
        let process = Process::with("m1", lookup, CachePolicy::new());
        process.lookup.verify(&super::me("m1")).await.unwrap();
        let _present = process.present().await;
        assert_eq!(
            process.claim(unowned(&database).await).await.epoch(),
            Some(1)
        );
    }
}
