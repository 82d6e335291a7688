//! PgBouncer in transaction mode: right for lookups, wrong for a watch.

use tower_ownership::{
    PostgresLookup,
    directory::{Coverage, FeedErrorKind},
    ownership::{FeedHealth, FeedState},
};

use super::{ask, becomes, give, layer, listening, long, until, with_session};
use crate::support::left_out::left_out;
use crate::support::log::Log;
use crate::support::pgbouncer::PgBouncer;

fn is_undelivered(health: &FeedHealth) -> bool {
    matches!(&health.state, FeedState::Down { error, .. } if error.kind() == FeedErrorKind::Undelivered)
}

#[tokio::test]
async fn lookups_may_go_through_it_while_the_watch_does_not() {
    let (database, id) = with_session().await;
    let Some(pooler) = PgBouncer::in_front_of(&database) else {
        return left_out("a watch beside PgBouncer", "PgBouncer is not installed");
    };
    let lookup = PostgresLookup::builder(pooler.url(&database)).build();
    let lookup = lookup.unwrap();
    let layer = layer("m1", lookup.clone(), long());
    let watch = lookup.change_feed().direct(database.url());
    let watch = watch.start(layer.cache()).unwrap();
    listening(&watch).await;
    assert_eq!(watch.health().coverage, Coverage::Complete);
    assert_eq!(ask(&layer, id).await, "served");
    give(&database, id, "m2").await;
    becomes(&layer, id, "to m2").await;
}

#[tokio::test]
async fn a_watch_through_it_is_refused_loudly() {
    let (database, id) = with_session().await;
    let Some(pooler) = PgBouncer::in_front_of(&database) else {
        return left_out("a watch through PgBouncer", "PgBouncer is not installed");
    };
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    // The test's runtime has one thread, which is this one.
    let _logging = tracing::subscriber::set_default(subscriber);
    let lookup = PostgresLookup::builder(pooler.url(&database)).build();
    let lookup = lookup.unwrap();
    let layer = layer("m1", lookup.clone(), long());
    let watch = lookup.change_feed().start(layer.cache()).unwrap();
    assert_eq!(ask(&layer, id).await, "served");
    until(&watch, is_undelivered).await;
    let said = log.text();
    let line = said.lines().find(|line| line.contains("ERROR"));
    let line = line.unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains("tower_ownership::feed"), "{line}");
    assert!(line.contains("direct URL"), "{line}");
    // What is cached is not dropped with every attempt.
    let attempts = database.statements_with("UNLISTEN");
    while database.statements_with("UNLISTEN") < attempts + 2 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(layer.cache().len(), 1);
    assert!(is_undelivered(&watch.health()));
}
