//! Whoever may connect may write on the channel.

use tower_ownership::{directory::Coverage, postgres::PostgresFeed};

use super::{Machine, give, layer, listening, long, told, until, with_session};
use crate::support::incident::lookup;

#[tokio::test]
async fn garbage_is_counted_and_changes_nothing() {
    let (database, id) = with_session().await;
    let machine = Machine::start("m1", &database).await;
    assert_eq!(machine.ask(id).await, "served");
    let lookups = database.statements_with("to_jsonb");
    let garbage = [
        "''".to_owned(),
        "'*'".to_owned(),
        format!("'{id}'"),
        format!("'3 {id}'"),
        format!("'1 {id} and more'"),
        "'1 807efe44-d63e-4a24-88f5'".to_owned(),
        "repeat('x', 7999)".to_owned(),
        "'1 beat'".to_owned(),
        "'{\"session\": null}'".to_owned(),
    ];
    for payload in &garbage {
        let sql = format!("SELECT pg_notify('tower_ownership', {payload})");
        database.execute(&sql).await;
    }
    let garbage = u64::try_from(garbage.len()).unwrap();
    let health = until(&machine.watch, |health| health.unreadable >= garbage).await;
    assert_eq!(health.unreadable, garbage);
    assert_eq!(health.changes, 0);
    assert!(health.state.is_listening());
    assert_eq!(machine.ask(id).await, "served");
    assert_eq!(database.statements_with("to_jsonb"), lookups);

    give(&database, id, "m2").await;
    machine.becomes(id, "to m2").await;
}

#[tokio::test]
async fn other_channels_are_not_listened_to() {
    let (database, id) = with_session().await;
    let machine = Machine::start("m1", &database).await;
    assert_eq!(machine.ask(id).await, "served");
    database.execute("NOTIFY \"Tower_Ownership\", '1 *'").await;
    assert_eq!(told(&database, &machine.watch).await, 0);
    assert_eq!(machine.layer.cache().len(), 1);
}

#[tokio::test]
async fn an_orchestrator_may_notify_without_triggers() {
    let (database, id) = with_session().await;
    database
        .execute("ALTER TABLE preview_sessions DISABLE TRIGGER USER")
        .await;
    let machine = Machine::start("m1", &database).await;
    let coverage = machine.watch.health().coverage;
    assert!(matches!(coverage, Coverage::Incomplete(_)), "{coverage:?}");
    for (payload, next, answer) in [
        (format!("1 {id}"), "m2", "to m2"),
        ("1 *".to_owned(), "m3", "to m3"),
        (
            format!("1 {}", id.simple().to_string().to_uppercase()),
            "m4",
            "to m4",
        ),
    ] {
        machine.ask(id).await;
        give(&database, id, next).await;
        assert_ne!(machine.ask(id).await, answer);
        database
            .execute(&format!("NOTIFY tower_ownership, '{payload}'"))
            .await;
        machine.becomes(id, answer).await;
    }
}

#[tokio::test]
async fn a_burst_is_heard_to_its_end() {
    let (database, id) = with_session().await;
    let machine = Machine::start("m1", &database).await;
    assert_eq!(machine.ask(id).await, "served");
    database
        .execute(&format!(
            "BEGIN;
             INSERT INTO preview_sessions (id, status)
                 SELECT gen_random_uuid(), 'active' FROM generate_series(1, 50000);
             UPDATE preview_sessions SET container_id = 'm2' WHERE id = '{id}';
             COMMIT"
        ))
        .await;
    machine.becomes(id, "to m2").await;
    assert_eq!(told(&database, &machine.watch).await, 50_001);
    assert_eq!(machine.watch.health().reconnects, 0);
}

#[tokio::test]
async fn two_applications_in_one_database_may_have_channels_of_their_own() {
    let (database, id) = with_session().await;
    let lookup = lookup(&database);
    let layer = layer("m1", lookup.clone(), long());
    let watch = lookup.change_feed().channel("Müller's \"own\" \\ channel");
    database.execute(&watch.migration().unwrap()).await;
    let watch = watch.start(layer.cache()).unwrap();
    listening(&watch).await;
    assert_eq!(watch.health().coverage, Coverage::Complete);
    assert_eq!(super::ask(&layer, id).await, "served");
    give(&database, id, "m2").await;
    super::becomes(&layer, id, "to m2").await;

    let text = format!(
        "{watch:?} {:?}",
        PostgresFeed::builder("postgres://u:secret@h/db")
    );
    assert!(!text.contains("secret"), "{text}");
}
