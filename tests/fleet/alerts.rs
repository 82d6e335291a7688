//! The alerts that are shipped, judged by a real Prometheus that collects from a real container.

use std::time::{Duration, Instant};

use serde_json::Value;
use uuid::Uuid;

use crate::life::migrate;
use crate::monitoring::queries;
use crate::support::client::get;
use crate::support::container::Container;
use crate::support::incident::PreviewSession;
use crate::support::left_out::left_out;
use crate::support::postgres::Cluster;
use crate::support::prometheus::Prometheus;

const RULES: &str = include_str!("../../examples/monitoring/ownership.rules.yml");

/// Far longer than the rules need when they look back for seconds.
const BOUND: Duration = Duration::from_secs(60);

/// The same rules for a test that does not last minutes: they look back for seconds. What they compare, and with
/// what, stays.
fn hastened(rules: &str) -> String {
    let mut hastened = String::new();
    for line in rules.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        if line.trim_start().starts_with("for: ") {
            hastened.push_str(indent);
            hastened.push_str("for: 1s");
        } else {
            hastened.push_str(&line.replace("[5m]", "[5s]").replace("[2m]", "[3s]"));
        }
        hastened.push('\n');
    }
    hastened
}

/// The alerts that fire now.
async fn firing(prometheus: &Prometheus) -> Vec<Value> {
    let answer = get(prometheus.url("/api/v1/alerts")).await;
    // It listens before it has read what it stored.
    if answer.status != 200 {
        return Vec::new();
    }
    let mut alerts = answer.json()["data"]["alerts"].take();
    let alerts = alerts.as_array_mut().unwrap();
    alerts.retain(|alert| alert["state"] == "firing");
    std::mem::take(alerts)
}

fn one<'a>(alerts: &'a [Value], name: &str) -> Option<&'a Value> {
    alerts
        .iter()
        .find(|alert| alert["labels"]["alertname"] == name)
}

/// Does `meanwhile` again and again until all of these alerts fire, and returns what fires.
async fn until_firing(
    prometheus: &Prometheus,
    names: &[&str],
    mut meanwhile: impl AsyncFnMut(),
) -> Vec<Value> {
    let deadline = Instant::now() + BOUND;
    loop {
        meanwhile().await;
        let alerts = firing(prometheus).await;
        if names.iter().all(|name| one(&alerts, name).is_some()) {
            return alerts;
        }
        let late = Instant::now() > deadline;
        assert!(!late, "{names:?} in {alerts:#?}\n{}", prometheus.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn until_silent(prometheus: &Prometheus, names: &[&str]) {
    let deadline = Instant::now() + BOUND;
    loop {
        let alerts = firing(prometheus).await;
        if names.iter().all(|name| one(&alerts, name).is_none()) {
            return;
        }
        assert!(Instant::now() < deadline, "{names:?} in {alerts:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Until what the container counts has been collected this often.
async fn until_collected(prometheus: &Prometheus, times: f64) {
    // Nothing but letters, so it needs no escapes in a URL.
    let query = "count_over_time(tower_ownership_feed_listening[1h])";
    let query = prometheus.url(&format!("/api/v1/query?query={query}"));
    let deadline = Instant::now() + BOUND;
    loop {
        let answer = get(query.clone()).await;
        if answer.status == 200 {
            let value = &answer.json()["data"]["result"][0]["value"][1];
            let collected = value.as_str().and_then(|value| value.parse().ok());
            if collected.is_some_and(|collected: f64| collected >= times) {
                return;
            }
        }
        let late = Instant::now() > deadline;
        assert!(!late, "{answer:?}\n{}", prometheus.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Runs the dashboard's queries; those of its overview have an answer.
async fn ask_all(prometheus: &Prometheus) {
    let overview: Vec<String> = queries().into_iter().take(6).collect();
    for query in queries() {
        let text = query
            .replace("$__rate_interval", "5s")
            .replace("$__range", "5s")
            .replace("$job", ".*")
            .replace("$instance", ".*");
        let text = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC);
        let answer = get(prometheus.url(&format!("/api/v1/query?query={text}"))).await;
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        let found = answer.json()["data"]["result"].as_array().unwrap().len();
        assert!(
            found > 0 || !overview.contains(&query),
            "{query}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn alerts_fire_for_an_owner_that_was_never_seen_and_a_database_that_is_down_and_end_with_it()
{
    const DOWN: [&str; 4] = [
        "OwnershipDirectoryDown",
        "OwnershipPresenceFailing",
        "OwnershipPresenceStale",
        "OwnershipWatchDeaf",
    ];
    const NEVER_SEEN: &str = "OwnershipOwnerNeverSeen";
    if Prometheus::find().is_none() {
        return left_out("alerts of a real Prometheus", "Prometheus is not installed");
    }
    let cluster = Cluster::private();
    let database = cluster.database().await;
    migrate(&database).await;
    let session = database.insert(&PreviewSession::owned_by("ghost")).await;
    let container = Container::start(&[
        ("MACHINE_ID", "web-1"),
        ("DATABASE_URL", &database.url()),
        ("OWNERSHIP_LIFE", "beat"),
        ("OWNERSHIP_BEAT_MS", "250"),
        ("OWNERSHIP_LOST_AFTER_MS", "1500"),
    ]);
    let prometheus = Prometheus::start(&[container.addr], &hastened(RULES)).unwrap();

    // Enough for every rule to have been judged for longer than it waits.
    until_collected(&prometheus, 8.0).await;
    ask_all(&prometheus).await;
    let alerts = firing(&prometheus).await;
    for name in DOWN.iter().chain([&NEVER_SEEN]) {
        assert!(
            one(&alerts, name).is_none(),
            "nothing is wrong: {alerts:#?}"
        );
    }

    let alerts = until_firing(&prometheus, &[NEVER_SEEN], async || {
        let answer = get(container.url(&format!("/session/{session}"))).await;
        answer.is_refused(503, "owner-never-seen");
    })
    .await;
    let alert = one(&alerts, NEVER_SEEN).unwrap();
    assert_eq!(alert["labels"]["job"], "web");
    let summary = alert["annotations"]["summary"].as_str().unwrap();
    assert!(summary.starts_with("web: "), "{summary}");
    assert!(one(&alerts, "OwnershipDirectoryDown").is_none());

    cluster.stop();
    let alerts = until_firing(&prometheus, &DOWN, async || {
        let unread = Uuid::new_v4();
        let answer = get(container.url(&format!("/session/{unread}"))).await;
        answer.is_refused(503, "lookup-unavailable");
    })
    .await;
    let alert = one(&alerts, "OwnershipDirectoryDown").unwrap();
    assert_eq!(alert["labels"]["instance"], container.addr.to_string());
    until_silent(&prometheus, &[NEVER_SEEN]).await;

    cluster.start();
    until_silent(&prometheus, &DOWN).await;
}
