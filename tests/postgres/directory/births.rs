//! Sessions that machines create.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tower_ownership::{
    CachePolicy, LookupError, LookupErrorKind, Session, SessionDirectory as _, SessionId,
    directory::{Created, EndIf, NewSession},
    postgres::PostgresLookupBuilder,
};
use uuid::Uuid;

use super::{F, PostgresDirectory, Process, builder, me, migrated, one, owned_by, row};
use crate::support::chain;
use crate::support::database::Database;

mod columns;

const HOUR: Duration = Duration::from_secs(60 * 60);

fn of(id: Uuid) -> NewSession {
    NewSession::new(SessionId::new(id))
}

fn attributes(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other}"),
    }
}

impl Process {
    async fn try_create(&self, new: NewSession) -> Result<Created, LookupError> {
        let machine = self.node.machine().clone();
        self.directory.create(new, machine).await
    }

    /// Creates a session of which none lives.
    pub(crate) async fn begin(&self, new: NewSession) -> Session {
        match self.try_create(new).await.unwrap() {
            Created::New(session) => session,
            Created::Taken(session) => panic!("taken: {session:?}"),
        }
    }

    async fn refused(&self, new: NewSession) -> LookupError {
        self.try_create(new).await.unwrap_err()
    }
}

fn with(builder: PostgresLookupBuilder) -> Process {
    Process::with("m1", builder, CachePolicy::new().owned(F))
}

async fn count(database: &Database) -> i64 {
    one(database, "SELECT count(*) FROM preview_sessions").await
}

#[tokio::test]
async fn a_session_that_is_born_here_is_served_at_once_and_again_after_an_end() {
    let database = migrated().await;
    let process = with(builder(&database));
    let _present = process.present().await;
    let id = Uuid::new_v4();
    process.begin(of(id).lifetime(HOUR)).await;
    assert_eq!(process.answer(id).await, "epoch 1");
    let session = SessionId::new(id);
    let ended = process.directory.end(session.clone(), EndIf::Any).await;
    assert_eq!(ended.unwrap(), Some(1));
    process.cache.forget(&session);
    assert_eq!(process.answer(id).await, "session-over");
    // Its own lease of the old life may still be valid.
    process.begin(of(id).lifetime(HOUR)).await;
    process.cache.forget(&session);
    assert_eq!(process.answer(id).await, "session-moving");
    assert_eq!(row(&database, id).await, (Some("m1".to_owned()), 3, None));
    database
        .execute("UPDATE preview_sessions SET ended_at = now() - interval '3 s'")
        .await;
    let new = process.begin(of(id).lifetime(HOUR)).await;
    assert_eq!((new.epoch(), new.released()), (Some(5), Some(4)));
    process.cache.forget(&session);
    assert_eq!(process.answer(id).await, "epoch 5");
}

#[tokio::test]
async fn a_new_life_of_a_row_is_one_transaction() {
    let database = migrated().await;
    let process = with(builder(&database));
    let id = owned_by(&database, "m2").await;
    database
        .execute("UPDATE preview_sessions SET ended_at = now()")
        .await;
    process.begin(of(id)).await;
    let statements = database.statements();
    let commits = statements.iter().filter(|sql| *sql == "COMMIT");
    // One that finds that the row has its owner still, and one that writes all of it.
    assert_eq!(commits.count(), 2);
    assert_eq!(row(&database, id).await, (Some("m1".to_owned()), 3, None));
}

#[tokio::test]
async fn a_life_that_ended_without_triggers_is_followed_at_a_higher_epoch() {
    let database = migrated().await;
    let process = with(builder(&database));
    let _present = process.present().await;
    for (owner, ended, proven) in [
        ("'m9'", "now() - interval '1 hour'", true),
        ("NULL", "now() - interval '1 hour'", true),
        ("'m9'", "now()", false),
        ("NULL", "now()", false),
    ] {
        let id = owned_by(&database, "m2").await;
        database
            .execute(&format!(
                "ALTER TABLE preview_sessions DISABLE TRIGGER zz_tower_ownership_update;
                 UPDATE preview_sessions SET container_id = {owner}, ended_at = {ended}
                     WHERE id = '{id}';
                 ALTER TABLE preview_sessions ENABLE TRIGGER zz_tower_ownership_update"
            ))
            .await;
        let new = process.begin(of(id)).await;
        let (epoch, released) = (new.epoch().unwrap(), new.released());
        assert!(epoch > 1, "{owner} {ended}: {epoch}");
        assert_eq!(released == Some(epoch - 1), proven, "{owner} {ended}");
    }
}

/// Two machines that create one id at once, each over connections of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_create_one_session_exactly_one_does() {
    for index in ["PRIMARY KEY (id)", "CHECK (true)"] {
        let database = without_a_key().await;
        database
            .execute(&format!("ALTER TABLE preview_sessions ADD {index}"))
            .await;
        let patient = super::race::patient(builder(&database));
        for is_over in [false, true] {
            let id = Uuid::new_v4();
            if is_over {
                database
                    .execute(&format!(
                        "INSERT INTO preview_sessions (id, status, container_id, ended_at)
                         VALUES ('{id}', 'active', 'm0', now())"
                    ))
                    .await;
            }
            let mut machines = tokio::task::JoinSet::new();
            for number in 0..8 {
                let directory = patient.clone().build().unwrap().directory().unwrap();
                let machine = me(&format!("m{number}"));
                machines.spawn(async move {
                    loop {
                        match directory
                            .create(of(id).lifetime(HOUR), machine.clone())
                            .await
                        {
                            // Others have held the lock for too long, and nothing was written.
                            Err(error) if error.kind() == LookupErrorKind::Timeout => {}
                            created => return created.unwrap(),
                        }
                    }
                });
            }
            let (mut winners, mut told) = (Vec::new(), Vec::new());
            for created in machines.join_all().await {
                match created {
                    Created::New(session) => winners.push(session),
                    Created::Taken(session) => told.push(session),
                }
            }
            assert_eq!(winners.len(), 1, "{index} {winners:?}");
            let owner = winners[0].owner();
            assert!(told.iter().all(|one| one.owner() == owner), "{told:?}");
            let rows = format!("SELECT count(*) FROM preview_sessions WHERE id = '{id}'");
            assert_eq!(one::<i64>(&database, &rows).await, 1, "{index}");
            let epoch = if is_over { 3 } else { 1 };
            assert_eq!(row(&database, id).await.1, epoch);
        }
    }
}

async fn without_a_key() -> Database {
    let database = Database::fresh().await;
    database.incident_table().await;
    database
        .execute("ALTER TABLE preview_sessions DROP CONSTRAINT preview_sessions_pkey")
        .await;
    database.execute(PostgresDirectory::MIGRATION).await;
    database
}

/// A row that others insert at the same time, and commit while the statement waits for it.
#[tokio::test]
async fn a_row_that_others_insert_meanwhile_is_taken_and_not_ours() {
    let database = migrated().await;
    let process = with(super::race::patient(builder(&database)));
    let id = Uuid::new_v4();
    let writer = database.client().await;
    writer
        .batch_execute(&format!(
            "BEGIN; INSERT INTO preview_sessions (id, status, container_id)
                 VALUES ('{id}', 'active', 'm2')"
        ))
        .await
        .unwrap();
    let commits = async {
        let waits = "SELECT count(*) > 0 FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        database.eventually(waits).await;
        writer.batch_execute("COMMIT").await.unwrap();
    };
    let (created, ()) = tokio::join!(process.try_create(of(id)), commits);
    match created {
        Ok(Created::Taken(session)) => assert_eq!(session.owner(), Some(&me("m2"))),
        // It waited for too long.
        Err(error) if error.kind() == LookupErrorKind::Timeout => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(row(&database, id).await, (Some("m2".to_owned()), 1, None));
}

#[tokio::test]
async fn a_drain_that_begins_meanwhile_lets_nothing_be_created() {
    let database = migrated().await;
    let process = with(super::race::patient(builder(&database)));
    let _present = process.present().await;
    let id = Uuid::new_v4();
    let drains = database.client().await;
    let begin = "BEGIN; SELECT FROM ownership_machines WHERE machine_id = 'm1' FOR UPDATE;
         UPDATE ownership_machines SET draining = true WHERE machine_id = 'm1'";
    drains.batch_execute(begin).await.unwrap();
    let commits = async {
        let waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database()
             AND wait_event_type = 'Lock' AND query LIKE '%pg_advisory_xact_lock%'";
        database.eventually(waits).await;
        drains.batch_execute("COMMIT").await.unwrap();
    };
    let (created, ()) = tokio::join!(process.try_create(of(id)), commits);
    let error = created.unwrap_err();
    assert!(chain(&error).contains("draining") || error.kind() == LookupErrorKind::Timeout);
    assert_eq!(count(&database).await, 0);
}

/// Unprepared, in a transaction of its own, as behind a pooler.
#[tokio::test]
async fn without_prepared_statements_it_is_the_same() {
    let database = migrated().await;
    let url = format!("{}?pgbouncer=true", database.url());
    let lookup = tower_ownership::PostgresLookup::builder(url).ownership();
    let process = with(lookup.attributes(["tier"]));
    let id = Uuid::new_v4();
    let new = || {
        of(id)
            .lifetime(HOUR)
            .attributes(attributes(json!({"tier": "free"})))
    };
    assert_eq!(
        process.begin(new()).await.attributes()["tier"],
        json!("free")
    );
    let session = SessionId::new(id);
    process
        .directory
        .end(session.clone(), EndIf::Any)
        .await
        .unwrap();
    assert_eq!(process.begin(new()).await.epoch(), Some(3));
    let touched = process.directory.touch(session, me("m1"), 3, 2 * HOUR);
    assert!(touched.await.unwrap());
}

#[tokio::test]
async fn a_table_that_was_not_migrated_is_said_so_at_a_birth() {
    let database = Database::fresh().await;
    database.incident_table().await;
    let error = with(builder(&database)).refused(of(Uuid::new_v4())).await;
    assert_eq!(error.kind(), LookupErrorKind::Unavailable);
    assert!(chain(&error).contains("migration"), "{error:?}");
}
