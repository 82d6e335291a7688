//! No spelling of a request's target makes the wrong machine serve.
//!
//! The application behind the layer reads paths generously (see `application::lenient`), so that
//! what the layer overlooks does get served.

use std::net::SocketAddr;

use tower_ownership::SessionId;

use crate::application::Application;
use crate::fleet::{Fleet, OWNER, Server, WRONG, edge, layer};
use crate::support::client::{Answer, get, raw, statuses};

/// Ways to write the target of a request for the session.
pub fn targets(session: &SessionId) -> Vec<String> {
    let id = session.to_string();
    let simple = id.replace('-', "");
    let upper = id.to_uppercase();
    let encoded = id.bytes().map(|byte| format!("%{byte:02x}"));
    let encoded = encoded.collect::<Vec<_>>().concat();
    let twice = encoded.replace('%', "%25");
    [
        "/session/ID",
        "/session/ID/",
        "/session/ID/x",
        "/session/ID?session=other",
        "/session/ID/..%2f..",
        "/session/ID/../ID",
        "/session/ID/%2e%2e/ID",
        "//session/ID",
        "///session///ID",
        "/session//ID",
        "/./session/ID",
        "/session/./ID",
        "/x/../session/ID",
        "/healthz/../session/ID",
        "/healthz/%2e%2e/session/ID",
        "/%73ession/ID",
        "/session%2fID",
        "/session%2FID",
        "/%2fsession/ID",
        "/session\\ID",
        "/session%5cID",
        "/session/x/../ID",
        "/session/UPPER",
        "/session/SIMPLE",
        "/session/ID%2fx",
        "/session/ID%5cx",
        "/session/ID%3fx",
        "/session/ID#x",
        "/session/%2fID",
        "/session/%2e/ID",
        "/session/x%2f..%2fID",
        "/session/x%2f%2e%2e%2fID",
        "/x%2f..%2fsession%2fID",
        "/%2e%2e/session/ID",
        "/../session/ID",
        "\\session\\ID",
        "session/ID",
        "/;x/session/ID",
        "/session/ENCODED",
        "/session/ENCODED/x",
        "/session/TWICE",
        "/session/{ID}",
        "/session/%7bID%7d",
        "/session/urn:uuid:ID",
        "/session/urn%3auuid%3aID",
        "/session/ID;v=1",
        "/session/ID%00",
        "/session/ID%20",
        "/session/ID%0a",
        "http://app/session/ID",
        "http://app//session/ID",
        "https://app/session/ID",
        "http://app:80/session/ENCODED",
        "http://user@app/session/ID",
        "http://WRONG/session/ID",
    ]
    .map(|target| {
        let target = target.replace("ENCODED", &encoded).replace("TWICE", &twice);
        let target = target.replace("UPPER", &upper).replace("SIMPLE", &simple);
        target.replace("WRONG", WRONG).replace("ID", &id)
    })
    .into()
}

pub async fn ask(addr: SocketAddr, target: &str, hosts: &[&str]) -> Answer {
    let hosts: Vec<_> = hosts
        .iter()
        .map(|host| {
            format!(
                "Host: {host}
"
            )
        })
        .collect();
    let hosts = hosts.concat();
    let head = format!("GET {target} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
    raw(addr, head.as_bytes()).await
}

#[tokio::test]
async fn no_spelling_of_the_path_makes_the_wrong_machine_serve() {
    let fleet = Fleet::with(edge().pass_forged_headers(true), layer).await;
    // The same application without the layer: what it serves is what the layer has to see.
    let naked = Application::on("naked");
    let naked_server = Server::start(naked.router()).await;
    let session = fleet.session();
    let mut served = 0;
    for target in targets(&session) {
        for addr in [fleet.wrong.server.addr, fleet.edge.addr()] {
            ask(addr, &target, &["app"]).await;
            assert_eq!(fleet.wrong.served(&session), 0, "{target}");
        }
        let before = naked.served(&session);
        ask(naked_server.addr, &target, &["app"]).await;
        served += naked.served(&session) - before;
    }
    assert!(
        served > 25,
        "the application serves {served} of the spellings"
    );
}

#[tokio::test]
async fn every_spelling_that_is_one_session_reaches_its_owner() {
    let fleet = Fleet::start().await;
    let session = fleet.session();
    let id = session.to_string();
    for target in [
        format!("/session/{}", id.to_uppercase()),
        format!("/session/{}", id.replace('-', "")),
        format!("//session/{id}"),
        format!("/session//{id}"),
        format!("/%73ession/{id}"),
        format!("http://app/session/{id}"),
    ] {
        let before = fleet.owner.served(&session);
        ask(fleet.edge.addr(), &target, &["app"])
            .await
            .is_served_by(OWNER);
        assert_eq!(fleet.owner.served(&session), before + 1, "{target}");
    }
}

#[tokio::test]
async fn no_host_makes_the_wrong_machine_serve() {
    let fleet = Fleet::with(edge().pass_forged_headers(true), layer).await;
    let session = fleet.session();
    let target = format!("/session/{session}");
    let own = fleet.wrong.server.addr.to_string();
    let odd: [&[&str]; 9] = [
        &[],
        &[""],
        &["localhost"],
        &[&own],
        &[WRONG],
        &["app", WRONG],
        &[WRONG, "app"],
        &["a b"],
        &["[::1]:80"],
    ];
    for hosts in odd {
        for addr in [fleet.wrong.server.addr, fleet.edge.addr()] {
            ask(addr, &target, hosts).await;
            assert_eq!(fleet.wrong.served(&session), 0, "{hosts:?}");
        }
    }
    get(fleet.edge.url(&target)).await.is_served_by(OWNER);
}

#[tokio::test]
async fn a_second_request_in_the_same_bytes_is_judged_by_itself() {
    let fleet = Fleet::start().await;
    let (theirs, mine) = (fleet.session(), fleet.session_of(WRONG));
    let addr = fleet.wrong.server.addr;
    // The first one is for a session of this machine and has a body; the second one hides behind.
    let both = |framing: &str, body: &str| {
        format!(
            "POST /session/{mine} HTTP/1.1\r\nHost: app\r\n{framing}\r\n\r\n{body}\
             GET /session/{theirs} HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n"
        )
    };
    let honest = both("Content-Length: 5", "12345");
    assert_eq!(statuses(addr, honest.as_bytes()).await, [200, 409]);
    let honest = both("Transfer-Encoding: chunked", "1\r\na\r\n0\r\n\r\n");
    assert_eq!(statuses(addr, honest.as_bytes()).await, [200, 409]);
    for smuggled in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Transfer-Encoding: identity\r\nContent-Length: 5",
        "Content-Length: +5",
    ] {
        statuses(addr, both(smuggled, "0\r\n\r\n").as_bytes()).await;
    }
    assert_eq!(fleet.wrong.served(&theirs), 0);
}
