//! Claims: what is taken, and what is not.

use tower_ownership::{
    CachePolicy, LookupErrorKind, OwnerStatus, Session, SessionDirectory as _, SessionId,
};
use uuid::Uuid;

use super::{Process, builder, machine, me, migrated, owned_by, row, unowned};
use crate::support::chain;
use crate::support::database::Database;
use crate::support::incident::PreviewSession;

#[tokio::test]
async fn a_session_without_an_owner_is_taken() {
    let database = migrated().await;
    let id = unowned(&database).await;
    let process = Process::of("m1", &database);
    let _present = process.present().await;
    let claimed = process.claim(id).await;
    assert_eq!(claimed.owner(), Some(&me("m1")));
    assert_eq!(claimed.epoch(), Some(1));
    assert_eq!(claimed.owner_status(), OwnerStatus::Alive);
    assert!(claimed.remaining().is_some());
    assert_eq!(claimed, {
        // As a lookup reads it, but for the time that has passed.
        let read = process.read(id).await;
        read.with_remaining(claimed.remaining().unwrap())
    });
}

/// As PostgreSQL refuses a commit whose notifications do not fit the queue.
#[tokio::test]
async fn a_full_notification_queue_is_named() {
    let database = migrated().await;
    let id = unowned(&database).await;
    let process = Process::of("m1", &database);
    let seen = process.read(id).await;
    database
        .execute(
            "CREATE FUNCTION full_queue() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 RAISE EXCEPTION USING ERRCODE = '54000',
                     MESSAGE = 'too many notifications in the NOTIFY queue';
             END $$;
             CREATE TRIGGER full_queue BEFORE UPDATE ON preview_sessions
                 FOR EACH ROW EXECUTE FUNCTION full_queue()",
        )
        .await;
    let claim = process.directory.claim(seen, me("m1")).await;
    let error = claim.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Unavailable);
    assert!(chain(&error).contains("NOTIFY queue"), "{error:?}");
}

#[tokio::test]
async fn an_unknown_session_is_nobodys() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let seen = Session::new(
        SessionId::new(Uuid::new_v4()),
        tower_ownership::SessionStatus::Active,
    );
    let claimed = process.directory.claim(seen, me("m1")).await;
    assert_eq!(claimed.unwrap(), None);
}

#[tokio::test]
async fn a_session_that_is_over_or_not_ready_is_not_taken() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let change = |set: fn(&mut PreviewSession)| {
        let mut session = PreviewSession::owned_by("unset");
        session.container_id = None;
        set(&mut session);
        session
    };
    for session in [
        change(|session| session.status = "stopped".to_owned()),
        change(|session| session.status = "starting".to_owned()),
        change(|session| session.expires_in = Some(-1.0)),
        change(|session| session.ended_ago = Some(1.0)),
    ] {
        let id = database.insert(&session).await;
        assert_eq!(process.claim(id).await.owner(), None, "{session:?}");
        assert_eq!(row(&database, id).await, (None, 0, None));
    }
}

#[tokio::test]
async fn an_owner_is_robbed_only_if_it_is_lost() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    machine(&database, "m1", 0.0, "").await;
    for (owner, ago, more, is_taken) in [
        ("alive", 1.0, "", false),
        ("slow", 14.0, "", false),
        ("draining", 1.0, ", draining = true", false),
        ("silent", 16.0, "", true),
        ("left", 1.0, ", left_at = now()", true),
        ("gone", 1.0, ", gone_at = now()", true),
    ] {
        machine(&database, owner, ago, more).await;
        let id = owned_by(&database, owner).await;
        let claimed = process.claim(id).await;
        let (now, epoch) = if is_taken { ("m1", 2) } else { (owner, 1) };
        assert_eq!(claimed.owner(), Some(&me(now)), "{owner}");
        assert_eq!(claimed.epoch(), Some(epoch), "{owner}");
    }
    let id = owned_by(&database, "stranger").await;
    assert_eq!(process.claim(id).await.owner(), Some(&me("m1")));
}

#[tokio::test]
async fn in_a_fleet_without_presence_nobody_is_lost() {
    let database = migrated().await;
    let id = owned_by(&database, "m2").await;
    let process = Process::of("m1", &database);
    assert_eq!(process.claim(id).await.owner(), Some(&me("m2")));
}

#[tokio::test]
async fn what_was_seen_has_to_be_so_still() {
    let database = migrated().await;
    machine(&database, "lost", 60.0, "").await;
    machine(&database, "other", 60.0, "").await;
    let process = Process::of("m1", &database);
    let id = owned_by(&database, "lost").await;
    let seen = process.read(id).await;
    // Away and back again: another epoch of the same owner.
    for owner in ["'other'", "'lost'"] {
        database
            .execute(&format!(
                "UPDATE preview_sessions SET container_id = {owner}"
            ))
            .await;
    }
    let found = process.claim_as(seen).await;
    assert_eq!((found.owner(), found.epoch()), (Some(&me("lost")), Some(3)));
    let seen = process.read(id).await;
    database
        .execute("UPDATE preview_sessions SET container_id = NULL")
        .await;
    let found = process.claim_as(seen).await;
    assert_eq!((found.owner(), found.epoch()), (None, Some(4)));
    // Nobody's, and somebody's by now.
    let seen = process.read(id).await;
    database
        .execute("UPDATE preview_sessions SET container_id = 'other'")
        .await;
    let found = process.claim_as(seen).await;
    assert_eq!(found.owner(), Some(&me("other")));
}

#[tokio::test]
async fn a_machine_that_should_take_nothing_takes_nothing() {
    let database = migrated().await;
    for (name, more) in [
        ("m1", ", draining = true"),
        ("m2", ", left_at = now()"),
        ("m3", ", gone_at = now()"),
    ] {
        machine(&database, name, 0.0, more).await;
        let id = unowned(&database).await;
        assert_eq!(
            Process::of(name, &database).claim(id).await.owner(),
            None,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_machine_that_keeps_its_presence_takes_nothing_when_it_should_not() {
    for how in [
        "draining = true",
        "left_at = now()",
        "gone_at = now()",
        "boot_id = gen_random_uuid()",
    ] {
        let database = migrated().await;
        let process = Process::of("m1", &database);
        let _present = process.present().await;
        let (taken, left) = (unowned(&database).await, unowned(&database).await);
        let seen = process.read(left).await;
        assert_eq!(process.claim(taken).await.epoch(), Some(1));
        database
            .execute(&format!("UPDATE ownership_machines SET {how}"))
            .await;
        assert_eq!(process.claim_as(seen).await.owner(), None, "{how}");
        assert_eq!(row(&database, left).await, (None, 0, None), "{how}");
    }
}

#[tokio::test]
async fn a_claim_of_a_session_without_an_owner_is_one_short_statement() {
    let database = migrated().await;
    let process = Process::of("m1", &database);
    let _present = process.present().await;
    let id = unowned(&database).await;
    let before = database.statements_with("jsonb_populate_record");
    process.claim(id).await;
    assert_eq!(
        database.statements_with("jsonb_populate_record"),
        before + 1
    );
    assert_eq!(database.statements_with("silent_seconds"), 0);
}

#[tokio::test]
async fn a_session_that_another_trigger_gives_away_is_returned_as_its_owners() {
    let database = migrated().await;
    machine(&database, "m2", 0.0, ", draining = true").await;
    database
        .execute(
            "CREATE FUNCTION gives_away() RETURNS trigger LANGUAGE plpgsql
                 AS $$ BEGIN NEW.container_id := 'm2'; RETURN NEW; END $$;
             CREATE TRIGGER gives_away BEFORE UPDATE ON preview_sessions
                 FOR EACH ROW EXECUTE FUNCTION gives_away()",
        )
        .await;
    let process = Process::of("m1", &database);
    let _present = process.present().await;
    let id = unowned(&database).await;
    let found = process.claim(id).await;
    assert_eq!(
        (found.owner(), found.owner_status()),
        (Some(&me("m2")), OwnerStatus::Draining)
    );
}

#[tokio::test]
async fn an_owner_that_the_column_cannot_hold_is_said_so() {
    let database = migrated().await;
    database
        .execute(
            "DROP FUNCTION preview_sessions_tower_ownership, preview_sessions_tower_ownership_epoch
                 CASCADE;
             DROP INDEX preview_sessions_tower_ownership_owner;
             ALTER TABLE preview_sessions ALTER container_id TYPE uuid USING NULL",
        )
        .await;
    database
        .execute(tower_ownership::PostgresDirectory::MIGRATION)
        .await;
    let id = Uuid::new_v4();
    database
        .execute(&format!(
            "INSERT INTO preview_sessions (id, status) VALUES ('{id}', 'active')"
        ))
        .await;
    let process = Process::of("m1", &database);
    let seen = process.read(id).await;
    let error = process.directory.claim(seen, me("m1")).await.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Corrupt, "{error:?}");
}

#[tokio::test]
async fn the_sessions_address_becomes_that_of_its_owner() {
    let database = migrated().await;
    let mut session = PreviewSession::owned_by("unset");
    session.container_id = None;
    session.container_url = Some("https://before.example".to_owned());
    let (with, without) = (database.insert(&session).await, {
        session.id = Uuid::new_v4();
        database.insert(&session).await
    });
    let address = "https://m1.example".parse().unwrap();
    let process = Process::of("m1", &database);
    let presence = process.directory.heartbeat().address(&address);
    let _present = presence.start(&process.node).await.unwrap();
    assert_eq!(process.claim(with).await.address(), Some(&address));
    let other = Process::of("m2", &database);
    let kept = other.claim(without).await;
    assert_eq!(
        kept.address().map(|kept| kept.host().to_owned()).as_deref(),
        Some("before.example")
    );
    let assigned = other
        .directory
        .assign(&SessionId::new(without), &me("m1"))
        .await;
    assert_eq!(assigned.unwrap().previous, Some(me("m2")));
    assert_eq!(process.read(without).await.address(), Some(&address));
}

/// Where a database cannot be asked, the claim says so.
#[tokio::test]
async fn a_table_that_was_not_migrated_is_said_so() {
    let database = Database::fresh().await;
    database.incident_table().await;
    let process = Process::of("m1", &database);
    let seen = Session::new(
        SessionId::new(Uuid::new_v4()),
        tower_ownership::SessionStatus::Active,
    );
    let error = process.directory.claim(seen, me("m1")).await.unwrap_err();
    assert_eq!(error.kind(), LookupErrorKind::Unavailable);
    assert!(chain(&error).contains("migration"), "{error:?}");
}

#[tokio::test]
async fn a_table_that_changes_is_written_all_the_same() {
    let database = migrated().await;
    // One connection, so that what was prepared before is used after.
    let one_connection = builder(&database).max_connections(1);
    let process = Process::with("m1", one_connection, CachePolicy::new());
    let _present = process.present().await;
    for change in [
        "SELECT",
        "ALTER TABLE preview_sessions ADD more text",
        "ALTER TABLE ownership_machines ADD more text",
        "ALTER TABLE preview_sessions DROP created_at",
        "DROP INDEX preview_sessions_tower_ownership_owner",
    ] {
        database.execute(change).await;
        // More often than the server plans anew each time.
        for _ in 0..8 {
            let id = unowned(&database).await;
            assert_eq!(process.claim(id).await.epoch(), Some(1), "{change}");
            let session = SessionId::new(id);
            let released = process.directory.release(&session, &process.node).await;
            assert!(released.unwrap().unwrap().proven, "{change}");
        }
    }
}
