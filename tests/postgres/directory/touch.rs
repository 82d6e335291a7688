//! Sessions that live on.

use std::time::Duration;

use tower_ownership::{CachePolicy, LookupErrorKind, SessionDirectory as _, SessionId};

use super::{Process, builder, me, migrated, owned_by, race::patient};

const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::test]
async fn a_touch_that_waits_for_the_row_is_fenced_by_what_it_finds() {
    let database = migrated().await;
    let process = Process::with("m1", patient(builder(&database)), CachePolicy::new());
    let id = owned_by(&database, "m1").await;
    let moves = database.client().await;
    let take = format!("BEGIN; UPDATE preview_sessions SET container_id = 'm2' WHERE id = '{id}'");
    moves.batch_execute(&take).await.unwrap();
    let touch = process
        .directory
        .touch(SessionId::new(id), me("m1"), 1, 24 * HOUR);
    let commits = async {
        let waits = "SELECT count(*) = 1 FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        database.eventually(waits).await;
        moves.batch_execute("COMMIT").await.unwrap();
    };
    let (touched, ()) = tokio::join!(touch, commits);
    match touched {
        Ok(touched) => assert!(!touched),
        // It waited for too long.
        Err(error) => assert_eq!(error.kind(), LookupErrorKind::Timeout, "{error:?}"),
    }
    let left = process.read(id).await.remaining();
    assert!(left <= Some(HOUR), "{left:?}");
}
