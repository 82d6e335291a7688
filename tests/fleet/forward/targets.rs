//! Where a row, an id or a name could make a machine connect to.

use tower_ownership::MemoryDirectory;
use tower_ownership::forward::Forward;
use tower_ownership::{Session, SessionId};

use super::{Machine, listener, session_at};
use crate::fleet::{OWNER, WRONG, machine_id, new_session};
use crate::support::client::{Answer, get};

async fn asked(forward: Forward, session: impl FnOnce(&SessionId) -> Session) -> Answer {
    let (sessions, id) = (MemoryDirectory::new(), new_session());
    sessions.insert(session(&id));
    let wrong = Machine::start(WRONG, &sessions, forward).await;
    get(wrong.server.url(&format!("/session/{id}"))).await
}

#[tokio::test]
async fn an_address_that_is_not_listed_is_not_connected_to() {
    let (listener, addr) = listener().await;
    let port = addr.port();
    for (allowed, url) in [
        // Another network, another port, and this host by every name that it has.
        ("10.0.0.0/8", format!("http://127.0.0.1:{port}")),
        ("127.0.0.0/8:1", format!("http://127.0.0.1:{port}")),
        ("0.0.0.0/0", format!("http://127.0.0.1:{port}")),
        ("0.0.0.0/0", format!("http://0.0.0.0:{port}")),
        ("::/0", format!("http://[::ffff:127.0.0.1]:{port}")),
        ("0.0.0.0/0", format!("http://[::ffff:7f00:1]:{port}")),
        ("::/0", format!("http://[::1]:{port}")),
        ("0.0.0.0/0", format!("http://localhost:{port}")),
        ("localhost", format!("http://localhost:{port}")),
        ("0.0.0.0/0", format!("http://127.1:{port}")),
        ("0.0.0.0/0", format!("http://2130706433:{port}")),
        ("0.0.0.0/0", format!("http://0x7f000001:{port}")),
        ("*.internal", format!("http://localhost:{port}")),
        ("*.internal", format!("http://127.0.0.1:{port}")),
        ("127.0.0.0/8", format!("https://127.0.0.1:{port}")),
        ("127.0.0.0/8", format!("http://127.0.0.1:{port}/admin")),
        ("0.0.0.0/0", "http://169.254.169.254".to_owned()),
    ] {
        let forward = Forward::to_owner_address([allowed]).unwrap();
        let answer = asked(forward, |id| session_at(id, OWNER, &url)).await;
        assert!(answer.status >= 500, "{allowed} {url}: {answer:?}");
        let code = answer.code().unwrap();
        // A name that leads nowhere is unreachable; all others are refused for what they are.
        assert!(
            code == "directory-corrupt"
                || (code == "owner-unreachable"
                    && url.contains("127.1") | url.contains("2130706433") | url.contains("0x7f")),
            "{allowed} {url}: {answer:?}"
        );
    }
    listener
        .into_std()
        .unwrap()
        .accept()
        .expect_err("nothing came");
}

#[tokio::test]
async fn a_name_that_is_listed_leads_only_to_listed_networks() {
    let (_listener, addr) = listener().await;
    let url = format!("http://localhost:{}", addr.port());
    let other = Forward::to_owner_address(["localhost", "10.0.0.0/8"]).unwrap();
    let answer = asked(other, |id| session_at(id, OWNER, &url)).await;
    answer.is_refused(502, "directory-corrupt");
}

#[tokio::test]
async fn a_name_is_resolved_and_connected_to() {
    let sessions = MemoryDirectory::new();
    let forward = || Forward::to_owner_address(["localhost", "127.0.0.1", "::1"]).unwrap();
    let wrong = Machine::start(WRONG, &sessions, forward()).await;
    let owner = Machine::start(OWNER, &sessions, forward()).await;
    let id = new_session();
    let url = format!("http://localhost:{}", owner.server.addr.port());
    sessions.insert(session_at(&id, OWNER, &url));
    get(wrong.server.url(&format!("/session/{id}")))
        .await
        .is_served_by(OWNER);
}

#[tokio::test]
async fn a_template_says_where_owners_are() {
    let (sessions, id) = (MemoryDirectory::new(), new_session());
    let by_port = Forward::to_template("http://127.0.0.1:{owner}", ["127.0.0.1"]).unwrap();
    let wrong = Machine::start(WRONG, &sessions, by_port.clone()).await;
    // A machine that has its port for an id.
    let (listener, addr) = listener().await;
    let port: &'static str = addr.port().to_string().leak();
    let application = crate::application::Application::on(port);
    let layer = super::layer(port, &sessions, by_port);
    let router = application.router().layer(layer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    sessions.insert(Session::owned_by(id.clone(), machine_id(port)));
    get(wrong.server.url(&format!("/session/{id}")))
        .await
        .is_served_by(port);
    // An id that makes no port.
    sessions.insert(Session::owned_by(id.clone(), machine_id("80.evil.example")));
    let answer = get(wrong.server.url(&format!("/session/{id}"))).await;
    answer.is_refused(502, "directory-corrupt");
}

#[tokio::test]
async fn an_owner_without_an_address_is_refused() {
    let forward = super::forward();
    let answer = asked(forward, |id| {
        Session::owned_by(id.clone(), machine_id(OWNER))
    })
    .await;
    assert_eq!(answer.code(), Some("not-replayable"), "{answer:?}");
}

#[test]
fn what_allows_nothing_or_anything_is_refused_when_it_is_made() {
    assert!(Forward::to_owner_address::<&str>([]).is_err());
    assert!(Forward::to_owner_address(["*"]).is_err());
    assert!(Forward::to_template("http://{owner}", ["10.0.0.0/8"]).is_err());
    assert!(Forward::to_template("http://{owner}.internal/base", ["10.0.0.0/8"]).is_err());
}
