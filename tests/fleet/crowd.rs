//! Many sessions and many clients at once: nobody is served by a machine that is not theirs.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::fleet::{Fleet, OWNER, THIRD, WRONG, machine_id};
use crate::support::client::{client, get};

#[tokio::test(flavor = "multi_thread")]
async fn many_sessions_at_once_each_reach_their_own_machine() {
    const SESSIONS: usize = 300;
    let fleet = Arc::new(Fleet::start().await);
    fleet.edge.land_anywhere();
    let client = client();
    let mut answers = JoinSet::new();
    for (number, machine) in [WRONG, OWNER, THIRD]
        .into_iter()
        .cycle()
        .take(SESSIONS)
        .enumerate()
    {
        let session = fleet.session_of(machine);
        let (fleet, client) = (Arc::clone(&fleet), client.clone());
        answers.spawn(async move {
            let url = fleet.edge.url(&format!("/session/{session}/{number}"));
            let answer = client.get(url).send().await.unwrap();
            let text: serde_json::Value = answer.json().await.unwrap();
            assert_eq!(text["machine"], machine);
            assert_eq!(text["session"], session.to_string());
            for one in [&fleet.wrong, &fleet.owner, &fleet.third] {
                assert_eq!(one.served(&session), usize::from(one.id == machine));
            }
        });
    }
    let mut answered = 0;
    while let Some(answer) = answers.join_next().await {
        answer.unwrap();
        answered += 1;
    }
    assert_eq!(answered, SESSIONS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_keeps_moving_is_served_by_owners_only_or_refused_with_the_true_reason() {
    let fleet = Arc::new(Fleet::start().await);
    fleet.edge.land_anywhere();
    let session = fleet.session();
    let url = fleet.edge.url(&format!("/session/{session}"));
    // Never on the third machine, so whatever that one serves is wrong.
    let (mover, id) = (Arc::clone(&fleet), session.clone());
    let moving = tokio::spawn(async move {
        for owner in [WRONG, OWNER].into_iter().cycle() {
            mover.give(id.clone(), owner);
            tokio::task::yield_now().await;
        }
    });
    let mut answers = JoinSet::new();
    for _ in 0..200 {
        answers.spawn(get(url.clone()));
    }
    while let Some(answer) = answers.join_next().await {
        let answer = answer.unwrap();
        match answer.status {
            200 => assert_ne!(answer.json()["machine"], THIRD),
            _ => answer.is_refused(508, "replay-loop"),
        }
    }
    moving.abort();
    // A move that is under way ends first.
    assert!(moving.await.unwrap_err().is_cancelled());
    assert_eq!(fleet.third.served(&session), 0);
    fleet.give(session, machine_id(OWNER).as_str());
    get(url).await.is_served_by(OWNER);
}
