//! A real database in real trouble, and what the user notices of it: how long an answer takes,
//! what it says, and that everything heals without a restart.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::support::{
    database::Database,
    incident::PreviewSession,
    machine::{Answer, Machine},
    postgres::Cluster,
};
use tower_ownership::{
    CachePolicy, OwnershipLayer, PostgresLookup,
    observe::{CacheStatus, Observed},
};
use uuid::Uuid;

const UNAVAILABLE: Answer = Answer::Refused("lookup-unavailable");

/// The layer's time limit, and what a busy test machine may add to it.
const BOUND: Duration =
    OwnershipLayer::DEFAULT_LOOKUP_TIMEOUT.saturating_add(Duration::from_secs(1));

struct Trouble {
    cluster: Cluster,
    database: Database,
    machine: Machine,
    mine: Uuid,
    elsewhere: Uuid,
}

impl Trouble {
    async fn begin(freshness: CachePolicy) -> Self {
        let cluster = Cluster::private();
        let database = cluster.database().await;
        database.incident_table().await;
        let mine = database.insert(&PreviewSession::owned_by("me")).await;
        let elsewhere = database.insert(&PreviewSession::owned_by("other")).await;
        let lookup = PostgresLookup::builder(database.url()).build().unwrap();
        let machine = Machine::new("me", lookup, freshness);
        let trouble = Self {
            cluster,
            database,
            machine,
            mine,
            elsewhere,
        };
        trouble.all_is_well().await;
        trouble
    }

    async fn all_is_well(&self) {
        assert_eq!(self.machine.get(self.mine).await, Answer::Served);
        assert_eq!(self.machine.get(self.elsewhere).await, Answer::Replayed);
    }

    async fn heals(&self) {
        crate::support::until_async("all is well again", async || {
            self.machine.get(self.mine).await == Answer::Served
                && self.machine.get(self.elsewhere).await == Answer::Replayed
        })
        .await;
    }

    /// What is not remembered is refused, and in time.
    async fn is_noticed(&self) {
        let begin = Instant::now();
        assert_eq!(self.machine.get(Uuid::new_v4()).await, UNAVAILABLE);
        assert!(begin.elapsed() < BOUND, "{:?}", begin.elapsed());
    }
}

#[tokio::test]
async fn down() {
    let trouble = Trouble::begin(CachePolicy::always_ask()).await;
    trouble.cluster.stop();
    trouble.is_noticed().await;
    let begin = Instant::now();
    assert_eq!(trouble.machine.get(trouble.mine).await, UNAVAILABLE);
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "a refused connection is no wait"
    );
    trouble.cluster.start();
    trouble.heals().await;
}

#[tokio::test]
async fn frozen() {
    let trouble = Trouble::begin(CachePolicy::always_ask()).await;
    trouble.cluster.freeze();
    for _ in 0..2 {
        trouble.is_noticed().await;
    }
    trouble.cluster.thaw();
    trouble.heals().await;
}

#[tokio::test]
async fn slow() {
    let trouble = Trouble::begin(CachePolicy::always_ask()).await;
    let writer = trouble.database.client().await;
    writer
        .batch_execute("begin; lock table preview_sessions in access exclusive mode")
        .await
        .unwrap();
    trouble.is_noticed().await;
    writer.batch_execute("commit").await.unwrap();
    trouble.heals().await;
    let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
    let left: i64 = writer.query_one(waiting, &[]).await.unwrap().get(0);
    assert_eq!(
        left, 0,
        "no lookup goes on waiting after its request was answered"
    );
}

#[tokio::test]
async fn restarted() {
    let trouble = Trouble::begin(CachePolicy::always_ask()).await;
    trouble.cluster.stop();
    trouble.cluster.start();
    trouble.heals().await;
}

#[tokio::test]
async fn connections_killed() {
    let trouble = Trouble::begin(CachePolicy::always_ask()).await;
    assert!(trouble.database.kill_backends().await > 0);
    trouble.all_is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pool_exhausted() {
    let trouble = Trouble::begin(CachePolicy::always_ask()).await;
    let writer = trouble.database.client().await;
    writer
        .batch_execute("begin; lock table preview_sessions in access exclusive mode")
        .await
        .unwrap();
    let begin = Instant::now();
    let crowd: Vec<_> = (0..100)
        .map(|_| {
            let machine = trouble.machine.clone();
            tokio::spawn(async move { machine.get(Uuid::new_v4()).await })
        })
        .collect();
    for request in crowd {
        assert_eq!(request.await.unwrap(), UNAVAILABLE);
    }
    assert!(begin.elapsed() < BOUND, "{:?}", begin.elapsed());
    writer.batch_execute("commit").await.unwrap();
    trouble.heals().await;
}

#[tokio::test]
async fn what_is_remembered_outlives_the_trouble_for_its_freshness() {
    let trouble = Trouble::begin(CachePolicy::new()).await;
    trouble.cluster.stop();
    trouble.all_is_well().await;
}

#[tokio::test]
async fn a_hint_about_elsewhere_outlives_its_freshness_and_an_owned_session_does_not() {
    let brief = Duration::from_millis(50);
    let trouble = Trouble::begin(CachePolicy::new().owned(brief).elsewhere(brief)).await;
    trouble.cluster.stop();
    crate::support::until_async("what is owned is too old", async || {
        trouble.machine.get(trouble.mine).await == UNAVAILABLE
    })
    .await;
    assert_eq!(
        trouble.machine.get(trouble.elsewhere).await,
        Answer::Replayed
    );
    trouble.cluster.start();
    trouble.heals().await;
}

#[tokio::test]
async fn a_moved_session_is_not_served_by_its_old_machine_after_its_freshness() {
    let freshness = CachePolicy::new().owned(Duration::from_millis(400));
    let trouble = Trouble::begin(freshness).await;
    let begin = Instant::now();
    let moved = format!(
        "update preview_sessions set container_id = 'other' where id = '{}'",
        trouble.mine
    );
    trouble.database.execute(&moved).await;
    let committed = Instant::now();
    while trouble.machine.get(trouble.mine).await == Answer::Served {
        // What it serves from was read before the change was committed.
        assert!(
            committed.elapsed() < Duration::from_millis(450),
            "{:?}",
            begin.elapsed()
        );
        tokio::task::yield_now().await;
    }
    assert_eq!(trouble.machine.get(trouble.mine).await, Answer::Replayed);
}

#[tokio::test]
async fn a_replayed_request_for_a_session_that_moved_is_judged_on_news() {
    let trouble = Trouble::begin(CachePolicy::new().recheck(Duration::ZERO)).await;
    let moved = format!(
        "update preview_sessions set container_id = 'other' where id = '{}'",
        trouble.mine
    );
    trouble.database.execute(&moved).await;
    assert_eq!(
        trouble.machine.get(trouble.mine).await,
        Answer::Served,
        "it is remembered"
    );
    assert_eq!(
        trouble.machine.get_replayed(trouble.mine).await,
        Answer::Replayed
    );
    assert_eq!(
        trouble.machine.get(trouble.mine).await,
        Answer::Replayed,
        "and news is kept"
    );
}

#[tokio::test]
async fn a_busy_session_never_waits_for_the_database_again() {
    let database = Database::fresh().await;
    database.incident_table().await;
    let mine = database.insert(&PreviewSession::owned_by("me")).await;
    let lookup = PostgresLookup::builder(database.url()).build().unwrap();
    let waited = Arc::new(AtomicUsize::new(0));
    let waits = Arc::clone(&waited);
    let machine = Machine::built("me", lookup, |builder| {
        builder
            .cache_policy(CachePolicy::new().owned(Duration::from_millis(500)))
            .on_verdict(move |seen: &Observed<'_>| {
                if seen.cache_status == Some(CacheStatus::Miss) {
                    waits.fetch_add(1, Ordering::SeqCst);
                }
            })
    });
    assert_eq!(machine.get(mine).await, Answer::Served);
    let before = database.statements_with("preview_sessions");
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        assert_eq!(machine.get(mine).await, Answer::Served);
        // Lets the refresh run: there is one thread here.
        tokio::task::yield_now().await;
    }
    let asked = database.statements_with("preview_sessions") - before;
    assert!(
        (4..=20).contains(&asked),
        "asked {asked} times in six lives of 500 ms"
    );
    assert_eq!(waited.load(Ordering::SeqCst), 1, "the first request");
}
