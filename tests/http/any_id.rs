//! Nothing that an id contains can forge a header, a page, a document, a path or a host.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use proptest::prelude::*;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_ownership::{
    FlyReplay, LookupError, OwnershipLayer, OwnershipLayerBuilder, Query, Redirect, Session,
    SessionId, lookup_fn,
};

use crate::support::fixture::{ME, OWNER, machine};

/// Text that tries to be something else, and any other.
fn id() -> impl Strategy<Value = String> {
    let hostile = prop::sample::select(vec![
        "<script>",
        "</title>",
        "\"",
        "'",
        "&lt;",
        "\\",
        "/",
        "..",
        "%2F",
        "%0d%0a",
        "?x=1",
        "#",
        "@",
        "evil.example",
        ":80",
        ";",
        ",",
        "\u{202e}",
        "\u{2028}",
        " ",
        "$1",
        "{{session}}",
        "{owner}",
    ]);
    prop_oneof![
        prop::collection::vec(hostile, 1..8).prop_map(|parts| parts.concat()),
        "\\PC{1,60}",
    ]
}

async fn send(layer: OwnershipLayerBuilder, id: &str, accept: &str) -> Response<Bytes> {
    let layer = layer
        .session(Query::named("s").unwrap())
        .machine(machine(ME))
        .build()
        .unwrap();
    let encoded = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
    let request = Request::get(format!("/app?s={encoded}"))
        .header(header::ACCEPT, accept)
        .body(String::new())
        .unwrap();
    let application = service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let Ok(response) = layer.layer(application).oneshot(request).await;
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

fn unknown() -> OwnershipLayerBuilder {
    let lookup = lookup_fn(async |_: SessionId| Ok::<_, LookupError>(None::<Session>));
    OwnershipLayer::builder(lookup).replay(FlyReplay::new())
}

fn elsewhere(template: &str) -> OwnershipLayerBuilder {
    let lookup = lookup_fn(async |id: SessionId| {
        Ok::<_, LookupError>(Some(Session::owned_by(id, machine(OWNER))))
    });
    OwnershipLayer::builder(lookup).replay(Redirect::to_template(template).unwrap())
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

proptest! {
    #[test]
    fn a_document_shows_the_id_and_nothing_else_of_it(id in id()) {
        prop_assume!(SessionId::parse(&id).is_ok());
        let response = run(send(unknown(), &id, "application/json"));
        prop_assert_eq!(response.status(), 404);
        let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        prop_assert_eq!(problem["sessionId"].as_str(), Some(id.as_str()));
        prop_assert_eq!(problem["code"].as_str(), Some("session-unknown"));
    }

    #[test]
    fn a_page_has_the_same_elements_whatever_the_id(id in id()) {
        prop_assume!(SessionId::parse(&id).is_ok());
        let elements = |page: &Response<Bytes>| {
            let page = String::from_utf8_lossy(page.body()).into_owned();
            ["<", ">", "\"", "<script"].map(|mark| page.matches(mark).count())
        };
        let plain = run(send(unknown(), "plain", "text/html"));
        let page = run(send(unknown(), &id, "text/html"));
        prop_assert_eq!(elements(&page), elements(&plain));
        prop_assert_eq!(page.headers().len(), plain.headers().len());
    }

    #[test]
    fn a_redirect_leads_to_the_owner_and_one_segment(id in id()) {
        prop_assume!(SessionId::parse(&id).is_ok());
        let response = run(send(elsewhere("https://{owner}.example.com/s/{session}"), &id, "*/*"));
        let location = response.headers()[header::LOCATION].to_str().unwrap();
        let location: http::Uri = location.parse().unwrap();
        let host = format!("{OWNER}.example.com");
        prop_assert_eq!(location.authority().unwrap().as_str(), host);
        let segments: Vec<&str> = location.path().split('/').collect();
        prop_assert!(matches!(segments[..], ["", "s", _, "app"]), "{}", location);
        let decoded = percent_encoding::percent_decode_str(segments[2]).decode_utf8().unwrap();
        prop_assert_eq!(decoded, id.as_str());
    }

    #[test]
    fn an_id_in_a_host_is_a_label_or_nothing(id in id()) {
        prop_assume!(SessionId::parse(&id).is_ok());
        let response = run(send(elsewhere("https://{session}.{owner}.example.com"), &id, "*/*"));
        if let Some(location) = response.headers().get(header::LOCATION) {
            let location: http::Uri = location.to_str().unwrap().parse().unwrap();
            let host = format!("{id}.{OWNER}.example.com");
            prop_assert_eq!(location.authority().unwrap().as_str(), host);
        } else {
            prop_assert_eq!(response.headers()["ownership-code"].to_str().unwrap(), "not-replayable");
        }
    }
}
