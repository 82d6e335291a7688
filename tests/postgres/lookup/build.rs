//! What `build` refuses, and what it never shows.

use std::time::Duration;

use crate::support::incident::columns;
use tower_ownership::{
    PostgresLookup,
    postgres::{PostgresConfigError, PostgresLookupBuilder},
};

const URL: &str = "postgres://app:secret@127.0.0.1/app";

fn refused(change: impl FnOnce(PostgresLookupBuilder) -> PostgresLookupBuilder) -> String {
    let error = change(PostgresLookup::builder(URL)).build().unwrap_err();
    assert!(!format!("{error:?} {error}").contains("secret"));
    error.to_string()
}

#[test]
fn settings_that_could_never_work_are_refused() {
    for (said, expected) in [
        (refused(|b| b.table("")), "table \"\""),
        (refused(|b| b.schema("a\0b")), "NUL"),
        (
            refused(|b| b.columns(columns(&format!("owner={}", "o".repeat(64))))),
            "63 bytes",
        ),
        (refused(|b| b.columns(columns("owner="))), "it is empty"),
        (refused(|b| b.attributes(["a", "a"])), "twice"),
        (refused(|b| b.active_statuses([""; 0])), "none means active"),
        (refused(|b| b.starting_statuses(["active"])), "\"active\""),
        (refused(|b| b.over_statuses(["pending"])), "\"pending\""),
        (refused(|b| b.query("SELECT 1")), "$1"),
        (refused(|b| b.query("SELECT $1").table("t")), "query"),
        (refused(|b| b.timeout(Duration::ZERO)), "timeout is zero"),
        (refused(|b| b.max_connections(0)), "max_connections is zero"),
    ] {
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_connection_string_that_cannot_be_read_is_refused() {
    for url in [
        "",
        "postgres://app:secret@/app",
        "postgres://app:secret@h/app?nonsense=1",
        "postgres://app:secret@h:port/app",
        "mysql://app:secret@h/app",
        "secret",
    ] {
        let error = PostgresLookup::builder(url).build().unwrap_err();
        assert!(
            !format!("{error:?} {error}").contains("secret"),
            "{error:?}"
        );
    }
    let error = PostgresLookup::builder("user=app").build().unwrap_err();
    assert!(matches!(error, PostgresConfigError::NoHost), "{error:?}");
}

#[test]
fn neither_builder_nor_lookup_shows_the_password() {
    let builder = PostgresLookup::builder(URL).table("rooms");
    let shown = format!("{builder:?}");
    assert!(
        shown.contains("rooms") && !shown.contains("secret"),
        "{shown}"
    );
    let shown = format!("{:?}", builder.build().unwrap());
    assert!(
        shown.contains("rooms") && !shown.contains("secret"),
        "{shown}"
    );
}

#[test]
fn a_pool_of_the_applications_is_taken_as_it_is() {
    let pool = || {
        let manager = deadpool_postgres::Manager::new(URL.parse().unwrap(), tokio_postgres::NoTls);
        deadpool_postgres::Pool::builder(manager).build().unwrap()
    };
    PostgresLookup::builder(pool()).build().unwrap();
    let sized = PostgresLookup::builder(pool()).max_connections(3).build();
    let error = sized.unwrap_err();
    assert!(matches!(error, PostgresConfigError::Conflict { .. }));
}

#[cfg(not(feature = "tls"))]
#[test]
fn what_demands_tls_is_refused_without_the_feature() {
    for url in [
        "postgres://h/app?sslmode=require",
        "postgres://h/app?sslmode=verify-full&sslrootcert=/ca.pem",
        "host=h sslrootcert=system",
    ] {
        let error = PostgresLookup::builder(url).build().unwrap_err();
        assert!(error.to_string().contains("feature `tls`"), "{error}");
    }
    for url in ["postgres://h/app", "postgres://h/app?sslmode=disable"] {
        PostgresLookup::builder(url).build().unwrap();
    }
}

#[test]
fn words_of_a_connection_string_that_mean_nothing_are_named_in_one_warning() {
    let log = crate::support::log::logged("tower_ownership=warn", async |_| {
        let url = "postgres://u:secret@h/db?client_encoding=utf8&connection_limit=1";
        PostgresLookup::builder(url).build().unwrap();
    });
    let text = log.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("client_encoding, connection_limit"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}
