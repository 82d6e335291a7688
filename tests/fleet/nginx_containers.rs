//! Two containers with one database behind a real nginx, which sends requests to them in turn.

use reqwest::Method;

use crate::fleet::{OWNER, WRONG};
use crate::nginx::LOOPBACK;
use crate::pair::{
    Pair, Variables, a_frozen_owner_serves_nothing_late, a_kill_breaks_streams,
    a_move_ends_streams, becomes, echoes, open,
};
use crate::support::client::{Answer, get, request, send};
use crate::support::left_out;
use crate::support::nginx::{Nginx, replace};

const NGINX: Variables<'_> = &[("OWNERSHIP_HANDOVER", "nginx")];

/// `None` if nginx is not installed.
async fn scene() -> Option<(Pair, Nginx)> {
    let pair = Pair::start(NGINX).await;
    let machines = [pair.wrong.addr, pair.owner.addr];
    let Some(nginx) = Nginx::start(&machines, LOOPBACK) else {
        left_out("containers behind nginx", "nginx is not installed");
        return None;
    };
    Some((pair, nginx))
}

#[tokio::test]
async fn every_request_of_a_session_is_served_wherever_nginx_sends_it() {
    let Some((pair, nginx)) = scene().await else {
        return;
    };
    let url = |rest: &str| nginx.url(&pair.path(rest));
    // Twice, so that each lands on either container.
    for _ in 0..2 {
        get(url("/x")).await.is_served_by(OWNER);
    }
    for _ in 0..2 {
        let head = send(request(Method::HEAD, url("/x"))).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""));
    }
    for _ in 0..2 {
        let upload = request(Method::POST, url("/upload")).body(vec![7; 5_000_000]);
        let answer = send(upload).await;
        answer.is_served_by(OWNER);
        assert_eq!(answer.json()["bytes"], 5_000_000);
    }
    for _ in 0..2 {
        let answer: Answer = get(url("/download?bytes=100000000")).await;
        assert_eq!((answer.status, answer.text.len()), (200, 100_000_000));
    }
    for _ in 0..2 {
        let events = get(url("/events")).await;
        assert_eq!(events.text.matches("data: ").count(), 5, "{events:?}");
    }
    for _ in 0..2 {
        echoes(&mut open(&url("/ws")).await).await;
    }
}

#[tokio::test]
async fn behind_nginx_streams_of_a_session_that_moves_end_and_the_next_reach_its_new_owner() {
    let Some((pair, nginx)) = scene().await else {
        return;
    };
    a_move_ends_streams(&pair, |rest| nginx.url(&pair.path(rest))).await;
}

#[tokio::test]
async fn behind_nginx_streams_of_a_killed_owner_break() {
    let Some((pair, nginx)) = scene().await else {
        return;
    };
    a_kill_breaks_streams(&pair, |rest| nginx.url(&pair.path(rest))).await;
}

#[tokio::test]
async fn behind_nginx_a_frozen_owner_serves_nothing_when_it_goes_on() {
    let Some((pair, _)) = scene().await else {
        return;
    };
    let machines = [pair.wrong.addr, pair.owner.addr];
    let sooner =
        |shipped: String| replace(&shipped, "proxy_read_timeout 60s", "proxy_read_timeout 1s");
    let nginx = Nginx::edited(&machines, LOOPBACK, sooner).unwrap();
    a_frozen_owner_serves_nothing_late(&pair, |rest| nginx.url(&pair.path(rest))).await;
}

#[tokio::test]
async fn behind_nginx_a_session_moves_when_its_owner_drains() {
    let Some((pair, nginx)) = scene().await else {
        return;
    };
    let url = nginx.url(&pair.path(""));
    get(url.clone()).await.is_served_by(OWNER);
    pair.owner.ask_to_stop();
    becomes(&url, WRONG).await;
}

#[tokio::test]
async fn behind_nginx_a_session_is_taken_over_when_its_owner_is_killed() {
    let Some((pair, nginx)) = scene().await else {
        return;
    };
    let url = nginx.url(&pair.path(""));
    get(url.clone()).await.is_served_by(OWNER);
    pair.owner.kill();
    let codes = becomes(&url, WRONG).await;
    let unreachable = codes.iter().any(|code| code == "owner-unreachable");
    assert!(unreachable, "{codes:?}");
}
