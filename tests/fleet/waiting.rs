//! The page that waits, in a real browser.

use std::time::{Duration, Instant};

use axum::Router;
use fantoccini::Client;
use serde_json::{Value, json};
use tower_ownership::render::{Brand, Colours, Logo};
use tower_ownership::{DefaultRenderer, MemoryDirectory, Session, SessionId, SessionStatus};

use crate::fleet::{Fleet, OWNER, Server, layer, new_session};
use crate::support::browser::{Browser, Visitor};
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
    assert_eq!(whole, json!([true, true]));
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
    fleet.owner.server = Server::start(again).await;
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

async fn run(client: &Client, script: &str) -> Value {
    client.execute(script, vec![]).await.unwrap()
}

/// Waits until the page has asked so many times more.
async fn asks(fleet: &Fleet, times: usize) {
    let asked = fleet.edge.hops().len();
    let deadline = Instant::now() + PATIENCE;
    while fleet.edge.hops().len() < asked + times {
        assert!(Instant::now() < deadline, "the page asks no more");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A fleet, a session of the status, and the browser on its page.
async fn waiting(browser: &Browser, status: SessionStatus) -> (Fleet, SessionId) {
    let fleet = Fleet::start().await;
    let session = new_session();
    fleet.sessions.insert(Session::new(session.clone(), status));
    let url = fleet.edge.url(&format!("/session/{session}#part"));
    browser.client.goto(&url).await.unwrap();
    (fleet, session)
}

/// Opens the details, selects the session's id, focuses the link, and leaves a mark that a reload would wipe out.
const USE_THE_PAGE: &str = "
    document.querySelector('summary').click();
    const id = document.querySelectorAll('dd')[1];
    getSelection().selectAllChildren(id);
    document.getElementById('now').focus();
    window.mark = true;
    return id.textContent;";
const WHAT_IS_LEFT: &str = "return [
    window.mark === true,
    document.querySelector('details').open,
    getSelection().toString(),
    document.activeElement.id,
    location.hash];";

#[tokio::test]
async fn a_page_that_waits_keeps_what_was_opened_selected_and_focused() {
    let Some(browser) = Browser::open().await else {
        return left_out("the page that is used", "Chromium is not installed");
    };
    let client = &browser.client;
    let (fleet, session) = waiting(&browser, SessionStatus::Starting).await;
    sees(client, "This page is starting").await;
    let spoken = "return document.getElementById('spoken').textContent";
    let first = run(client, spoken).await;
    assert_eq!(
        first, "",
        "what is there from the beginning is not announced"
    );
    let id = run(client, USE_THE_PAGE).await;
    assert_eq!(id, session.to_string());
    asks(&fleet, 3).await;
    assert_eq!(
        run(client, WHAT_IS_LEFT).await,
        json!([true, true, id, "now", "#part"])
    );
    let said = run(client, spoken).await;
    assert!(said.as_str().unwrap().contains("rying"), "{said}");
    browser.screenshot("waiting-used").await;

    // A click asks at once, and the answer is announced.
    run(client, "document.getElementById('now').click()").await;
    sees(client, "Next try in").await;
    let said = run(client, spoken).await;
    let said = said.as_str().unwrap();
    assert!(said.starts_with("Not yet. Trying again in "), "{said}");

    // Another reason that passes is put in the place of this one.
    let owner = fleet.owner.server.addr;
    fleet.edge.add(OWNER, unused().await);
    fleet.give(session.clone(), OWNER);
    sees(client, "This page can’t be reached right now").await;
    sees(client, "owner-unreachable").await;
    let left = run(client, WHAT_IS_LEFT).await;
    assert_eq!(left[0], true, "the page was not loaded anew");
    assert_eq!(left[1], true);
    assert_eq!(
        client.title().await.unwrap(),
        "This page can’t be reached right now"
    );
    fleet.edge.add(OWNER, owner);
    run(client, "document.getElementById('now').click()").await;
    sees(client, &format!("The app runs on {OWNER}")).await;
    client.clone().close().await.unwrap();
}

/// An address where nothing listens.
async fn unused() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn a_reason_that_does_not_pass_is_loaded() {
    let Some(browser) = Browser::open().await else {
        return left_out("the page that ends", "Chromium is not installed");
    };
    let (fleet, session) = waiting(&browser, SessionStatus::Starting).await;
    sees(&browser.client, "This page is starting").await;
    fleet
        .sessions
        .insert(Session::new(session, SessionStatus::Over));
    sees(&browser.client, "This session has ended").await;
    let waits = run(
        &browser.client,
        "return document.getElementById('wait') !== null",
    );
    assert_eq!(waits.await, false);
    browser.client.clone().close().await.unwrap();
}

#[tokio::test]
async fn a_page_without_scripts_asks_again_by_itself() {
    let visitor = Visitor {
        scripts: false,
        ..Visitor::default()
    };
    let Some(browser) = Browser::open_as(visitor).await else {
        return left_out("the page without scripts", "Chromium is not installed");
    };
    let fleet = Fleet::start().await;
    let session = new_session();
    fleet
        .sessions
        .insert(Session::new(session.clone(), SessionStatus::Starting));
    let url = fleet.edge.url(&format!("/session/{session}"));
    browser.client.goto(&url).await.unwrap();
    asks(&fleet, 1).await;
    fleet.give(session.clone(), OWNER);
    let deadline = Instant::now() + PATIENCE;
    while fleet.owner.application.served(&session) == 0 {
        assert!(Instant::now() < deadline, "the page does not open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    browser.client.clone().close().await.unwrap();
}

#[tokio::test]
async fn a_page_speaks_the_visitors_language() {
    for (languages, lang, headline, next) in [
        (
            "de-AT,de,en",
            "de",
            "Diese Seite startet",
            "Nächster Versuch in",
        ),
        (
            "pt-BR,fr,en",
            "fr",
            "Cette page démarre",
            "Prochain essai dans",
        ),
        (
            "es",
            "es",
            "Esta página se está iniciando",
            "Próximo intento en",
        ),
        ("ja,en", "ja", "このページは起動中です", "次の確認まで"),
        ("pt-BR", "en", "This page is starting", "Next try in"),
    ] {
        let visitor = Visitor {
            languages,
            phone: true,
            ..Visitor::default()
        };
        let Some(browser) = Browser::open_as(visitor).await else {
            return left_out("the languages of the page", "Chromium is not installed");
        };
        let (fleet, _) = waiting(&browser, SessionStatus::Starting).await;
        sees(&browser.client, headline).await;
        sees(&browser.client, next).await;
        // Also after it has asked in the background.
        asks(&fleet, 1).await;
        sees(&browser.client, headline).await;
        let script = "return [document.documentElement.lang, document.documentElement.scrollWidth <= innerWidth]";
        assert_eq!(run(&browser.client, script).await, json!([lang, true]));
        browser.screenshot(&format!("waiting-phone-{lang}")).await;
        browser.client.clone().close().await.unwrap();
    }
}

const LOGO: &[u8] = br#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 190 36"><style>path{fill:#1b1b1f}text{fill:#1b1b1f;font:700 24px sans-serif}@media(prefers-color-scheme:dark){path,text{fill:#f1eef6}}</style><path d="M18 2 34 34H2z"/><text x="44" y="27">Acme</text></svg>"#;

#[tokio::test]
async fn a_brand_is_shown_and_its_policy_lets_it() {
    for (phone, name, paper) in [
        (false, "waiting-brand", "rgb(255, 255, 255)"),
        (true, "waiting-brand-phone", "rgb(23, 21, 28)"),
    ] {
        let visitor = Visitor {
            phone,
            ..Visitor::default()
        };
        let Some(browser) = Browser::open_as(visitor).await else {
            return left_out("the brand of the page", "Chromium is not installed");
        };
        let brand = Brand::new("Acme Previews")
            .logo(Logo::svg(LOGO))
            .light(Colours::new("#fff", "#1b1b1f", "#7a1fa2"))
            .dark(Colours::new("#17151c", "#f1eef6", "#d6a4f2"))
            .sentence("Is it urgent? We are on call day and night:")
            .link("system status", "https://status.example.com/");
        let sessions = MemoryDirectory::new();
        let session = new_session();
        sessions.insert(Session::new(session.clone(), SessionStatus::Starting));
        let renderer = DefaultRenderer::new().brand(brand).unwrap();
        let layer = layer(OWNER, sessions).render(renderer).build().unwrap();
        let server = Server::start(Router::new().layer(layer)).await;
        let url = format!("http://{}/session/{session}", server.addr);
        browser.client.goto(&url).await.unwrap();
        sees(
            &browser.client,
            "We are on call day and night: system status",
        )
        .await;
        is_whole(&browser.client).await;
        let script = "const logo = document.querySelector('.logo');
            return [getComputedStyle(document.body).backgroundColor, logo.alt, logo.naturalWidth > 0, document.title]";
        assert_eq!(
            run(&browser.client, script).await,
            json!([
                paper,
                "Acme Previews",
                true,
                "This page is starting · Acme Previews"
            ])
        );
        browser.screenshot(name).await;
        browser.client.clone().close().await.unwrap();
    }
}
