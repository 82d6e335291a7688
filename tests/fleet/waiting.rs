//! The page that waits, in a real browser.

use std::time::{Duration, Instant};

use fantoccini::Client;
use tower_ownership::{Session, SessionStatus};

use crate::fleet::{Fleet, OWNER, layer, new_session};
use crate::support::browser::Browser;
use crate::support::left_out;

/// Longer than the page's pauses, which are about 1 s, 1.6 s, 2.6 s, and so on.
const PATIENCE: Duration = Duration::from_secs(30);

/// The visible text of the page, in the reader's eyes: `innerText` leaves out what is hidden.
async fn visible(client: &Client) -> String {
    let text = client.execute(
        "return document.body ? document.body.innerText : ''",
        vec![],
    );
    // While the page reloads there is nothing to ask.
    text.await
        .ok()
        .and_then(|text| Some(text.as_str()?.to_owned()))
        .unwrap_or_default()
}

async fn sees(client: &Client, text: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = visible(client).await;
        if seen.contains(text) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "no {text:?} within {PATIENCE:?}, but: {seen}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether the page's own style and script got past its `Content-Security-Policy`.
async fn is_whole(client: &Client) {
    let script = "return [document.styleSheets[0].cssRules.length > 0,
        document.getElementById('seconds').textContent !== '']";
    let whole = client.execute(script, vec![]).await.unwrap();
    assert_eq!(whole, serde_json::json!([true, true]));
}

#[tokio::test]
async fn a_session_that_is_starting_appears_without_a_click() {
    let Some(browser) = Browser::open().await else {
        return left_out(
            "the page that waits for a session",
            "Chromium is not installed",
        );
    };
    let fleet = Fleet::start().await;
    let session = new_session();
    fleet
        .sessions
        .insert(Session::new(session.clone(), SessionStatus::Starting));
    let url = fleet.edge.url(&format!("/session/{session}"));
    browser.client.goto(&url).await.unwrap();

    sees(&browser.client, "This page is starting").await;
    sees(&browser.client, "Next try in").await;
    sees(&browser.client, "session-starting").await;
    is_whole(&browser.client).await;
    browser.screenshot("waiting-starting").await;

    // It keeps asking by itself while nothing changes.
    let asked = fleet.edge.hops().len();
    let deadline = Instant::now() + PATIENCE;
    while fleet.edge.hops().len() < asked + 2 {
        assert!(Instant::now() < deadline, "the page asks no more");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sees(&browser.client, "This page is starting").await;

    fleet.give(session.clone(), OWNER);
    sees(&browser.client, &format!("The app runs on {OWNER}")).await;
    browser.screenshot("waiting-arrived").await;
    assert_eq!(browser.client.current_url().await.unwrap().as_str(), url);
    assert_eq!(fleet.wrong.served(&session), 0);
    browser.client.clone().close().await.unwrap();
}

#[tokio::test]
async fn an_owner_that_comes_back_appears_without_a_click() {
    let Some(browser) = Browser::open().await else {
        return left_out(
            "the page that waits for a machine",
            "Chromium is not installed",
        );
    };
    let mut fleet = Fleet::start().await;
    let session = fleet.session();
    fleet.owner.server.stop().await;
    let url = fleet.edge.url(&format!("/session/{session}"));
    browser.client.goto(&url).await.unwrap();

    sees(&browser.client, "This page can’t be reached right now").await;
    browser.screenshot("waiting-unreachable").await;

    let again = fleet.owner.application.router();
    let again = again.layer(layer(OWNER, fleet.sessions.clone()).build().unwrap());
    fleet.owner.server = crate::fleet::Server::start(again).await;
    fleet.edge.add(OWNER, fleet.owner.server.addr);
    sees(&browser.client, &format!("The app runs on {OWNER}")).await;
    assert_eq!(fleet.wrong.served(&session), 0);
    browser.client.clone().close().await.unwrap();
}

#[tokio::test]
async fn a_page_that_waiting_cannot_help_does_not_ask_again() {
    let Some(browser) = Browser::open().await else {
        return left_out("the page that does not wait", "Chromium is not installed");
    };
    let fleet = Fleet::start().await;
    let session = new_session();
    fleet
        .sessions
        .insert(Session::new(session.clone(), SessionStatus::Over));
    browser
        .client
        .goto(&fleet.edge.url(&format!("/session/{session}")))
        .await
        .unwrap();
    sees(&browser.client, "This session has ended").await;
    browser.screenshot("waiting-ended").await;
    let script = "return [document.scripts.length, document.querySelectorAll('[http-equiv=refresh]').length]";
    let counts = browser.client.execute(script, vec![]).await.unwrap();
    assert_eq!(
        counts,
        serde_json::json!([0, 0]),
        "nothing that could reload it"
    );
    browser.client.clone().close().await.unwrap();
}
