use std::time::Duration;
use std::time::UNIX_EPOCH;

use serde_json::Value;

use super::*;
use crate::{NotReplayable, RejectionCode, RequestOrigin, SessionId};

const SESSION: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";
const FORMS: [ResponseFormat; 6] = [
    ResponseFormat::Problem,
    ResponseFormat::Html,
    ResponseFormat::Grpc,
    ResponseFormat::GrpcWeb,
    ResponseFormat::GrpcWebText,
    ResponseFormat::Events,
];

fn rejection(code: RejectionCode) -> Rejection {
    let machine = MachineId::parse("refusing-machine").unwrap();
    let owner = MachineId::parse("owning-machine").unwrap();
    Rejection::of(code, machine, None, &RequestOrigin::Direct, None)
        .for_session(SessionId::parse(SESSION).unwrap(), Some(&owner))
}

fn context(format: ResponseFormat) -> RenderContext {
    RenderContext {
        format,
        language: Language::English,
        may_repeat: true,
        head_only: false,
        is_http1: true,
    }
}

fn rendered(
    renderer: &DefaultRenderer,
    rejection: &Rejection,
    format: ResponseFormat,
) -> Response<Bytes> {
    let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_042);
    renderer.render_at(rejection, context(format), Some(now))
}

fn problem(renderer: &DefaultRenderer, rejection: &Rejection) -> Value {
    serde_json::from_slice(rendered(renderer, rejection, ResponseFormat::Problem).body()).unwrap()
}

/// Everything a client can see, as one text.
fn visible(response: &Response<Bytes>) -> String {
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    format!("{:?}\n{body}", response.headers())
}

#[test]
fn every_form_of_every_code_keeps_the_contract() {
    let renderer = DefaultRenderer::new();
    for &code in RejectionCode::ALL {
        for form in FORMS {
            let rejection = rejection(code);
            let response = rendered(&renderer, &rejection, form);
            let headers = response.headers();
            let (status, content_type) = match form {
                ResponseFormat::Html => (code.status(), "text/html; charset=utf-8"),
                ResponseFormat::Grpc => (StatusCode::OK, "application/grpc"),
                ResponseFormat::GrpcWeb => (StatusCode::OK, "application/grpc-web+proto"),
                ResponseFormat::GrpcWebText => (StatusCode::OK, "application/grpc-web-text+proto"),
                ResponseFormat::Events if code.retry_after().is_some() => {
                    (StatusCode::OK, "text/event-stream")
                }
                ResponseFormat::Problem | ResponseFormat::Events => {
                    (code.status(), "application/problem+json")
                }
            };
            assert_eq!(response.status(), status, "{code:?} {form:?}");
            assert_eq!(headers["content-type"], content_type);
            assert_eq!(headers["ownership-code"], code.as_str());
            assert_eq!(headers["cache-control"], "no-store");
            if form == ResponseFormat::Html {
                assert_eq!(headers["vary"], "Accept, Content-Type, Accept-Language");
                assert_eq!(headers["content-language"], "en");
            } else {
                assert_eq!(headers["vary"], "Accept, Content-Type");
                assert_eq!(headers.get("content-language"), None);
            }
            assert_eq!(headers["x-content-type-options"], "nosniff");
            let retry_after = headers
                .get("retry-after")
                .map(|value| value.to_str().unwrap().parse().unwrap());
            assert_eq!(
                retry_after,
                rejection.retry_after().map(|wait| wait.as_secs())
            );
            let is_grpc = content_type.starts_with("application/grpc");
            assert_eq!(response.body().is_empty(), is_grpc);
            assert_eq!(headers.contains_key("grpc-status"), is_grpc);
            assert_eq!(
                headers.contains_key("content-security-policy"),
                form == ResponseFormat::Html
            );
        }
    }
}

#[test]
fn a_problem_has_the_members_of_the_contract_and_no_others() {
    for &code in RejectionCode::ALL {
        let rejection = rejection(code);
        let problem = problem(&DefaultRenderer::new(), &rejection);
        let mut expected = serde_json::json!({
            "type": format!("https://docs.rs/tower-ownership/latest/tower_ownership/manual/rejections/index.html#{}", code.as_str()),
            "title": code.title(),
            "status": code.status().as_u16(),
            "detail": rejection.detail(),
            "code": code.as_str(),
            "sessionId": SESSION,
            "timestamp": "2023-11-14T22:13:20.042Z",
        });
        if let Some(wait) = rejection.retry_after() {
            expected["retryAfter"] = wait.as_secs().into();
        }
        assert_eq!(problem, expected);
    }
}

#[test]
fn a_refusal_that_passes_is_one_event_with_the_problem() {
    let renderer = DefaultRenderer::new();
    let rejection = rejection(RejectionCode::OwnerLost);
    let stream = rendered(&renderer, &rejection, ResponseFormat::Events);
    let text = |response: &Response<Bytes>| String::from_utf8(response.body().to_vec()).unwrap();
    let problem = text(&rendered(&renderer, &rejection, ResponseFormat::Problem));
    let wait = rejection.retry_after().unwrap().as_millis();
    let event = format!("retry: {wait}\nevent: ownership-refused\ndata: {problem}\n\n");
    assert_eq!(text(&stream), event);
}

#[test]
fn a_session_that_nobody_named_is_not_made_up() {
    let machine = MachineId::parse("m").unwrap();
    let rejection = Rejection::new(RejectionCode::SessionMalformed, machine, "Why.");
    let renderer = DefaultRenderer::new();
    assert!(problem(&renderer, &rejection).get("sessionId").is_none());
    let page = rendered(&renderer, &rejection, ResponseFormat::Html);
    assert!(!visible(&page).contains("<dt>Session</dt>"));
}

#[test]
fn no_answer_names_a_machine_unless_it_was_asked_to() {
    for &code in RejectionCode::ALL {
        for form in FORMS {
            let hidden = visible(&rendered(&DefaultRenderer::new(), &rejection(code), form));
            assert!(!hidden.contains("-machine"), "{code:?} {form:?}: {hidden}");
            let renderer = DefaultRenderer::new().expose_internals(true);
            let shown = rendered(&renderer, &rejection(code), form);
            assert_eq!(shown.headers()["ownership-machine"], "refusing-machine");
            assert_eq!(shown.headers()["ownership-owner"], "owning-machine");
            if !shown.body().is_empty() {
                let body = std::str::from_utf8(shown.body()).unwrap();
                assert!(body.contains("refusing-machine") && body.contains("owning-machine"));
            }
        }
    }
    let renderer = DefaultRenderer::new().expose_internals(true);
    let problem = problem(&renderer, &rejection(RejectionCode::OwnerUnreachable));
    assert_eq!(problem["machine"], "refusing-machine");
    assert_eq!(problem["owner"], "owning-machine");
}

#[test]
fn head_gets_the_headers_of_get_and_no_body() {
    for &code in RejectionCode::ALL {
        for form in FORMS {
            let get = rendered(&DefaultRenderer::new(), &rejection(code), form);
            let context = RenderContext {
                head_only: true,
                ..context(form)
            };
            let mut head = DefaultRenderer::new().render(&rejection(code), context);
            assert!(head.body().is_empty());
            // A server counts the body for itself, which for HEAD is the wrong one.
            let counted = head.headers_mut().remove(header::CONTENT_LENGTH);
            let length = (!get.body().is_empty()).then(|| get.body().len().to_string());
            assert_eq!(counted.map(|it| it.to_str().unwrap().to_owned()), length);
            assert_eq!(head.status(), get.status());
            assert_eq!(head.headers(), get.headers());
        }
    }
}

#[test]
fn the_status_of_the_circumstances_wins_over_the_codes() {
    let machine = MachineId::parse("m").unwrap();
    let too_large = NotReplayable::BodyTooLarge { limit: 1_000_000 };
    let rejections = [
        (Rejection::not_replayable(machine.clone(), too_large), 413),
        (Rejection::not_honoured(machine, StatusCode::ACCEPTED), 202),
    ];
    for (rejection, status) in rejections {
        let renderer = DefaultRenderer::default();
        assert_eq!(problem(&renderer, &rejection)["status"], status);
        let page = rendered(&renderer, &rejection, ResponseFormat::Html);
        assert_eq!(page.status().as_u16(), status);
    }
}

#[test]
fn problem_types_are_uris_whatever_the_base() {
    let typed = |base: &str| {
        let renderer = DefaultRenderer::new().problem_base(base);
        problem(&renderer, &rejection(RejectionCode::SessionOver))["type"].clone()
    };
    assert_eq!(
        typed("urn:example:problem:"),
        "urn:example:problem:session-over"
    );
    assert_eq!(
        typed("https://a.example/p#"),
        "https://a.example/p#session-over"
    );
    assert_eq!(typed("/a%20b/"), "/a%20b/session-over");
    assert_eq!(typed("/a \"b\"/ü/"), "/a%20%22b%22/%C3%BC/session-over");
    assert_eq!(typed(""), "session-over");
}

#[test]
fn a_renderer_that_was_used_can_still_be_told_another_base() {
    let machine: MachineId = "e2863555a91708".parse().unwrap();
    let rejection = Rejection::not_honoured(machine, StatusCode::CONFLICT)
        .for_session(SessionId::new(uuid::Uuid::nil()), None);
    let used = DefaultRenderer::new();
    problem(&used, &rejection);
    let other = used.clone().problem_base("urn:other:");
    assert_eq!(
        problem(&other, &rejection)["type"],
        "urn:other:replay-not-honoured"
    );
}

/// The `type` of a problem is an address; this keeps it one that answers.
#[test]
fn the_documentation_has_a_place_for_every_problem_type() {
    let documentation = include_str!("../rejection/codes.rs");
    for &code in RejectionCode::ALL {
        let anchor = format!("/// <span id=\"{}\"></span>", code.as_str());
        assert_eq!(documentation.matches(&anchor).count(), 1, "{anchor}");
    }
}

#[test]
fn the_answer_of_a_replay_is_written_once_for_all_sessions() {
    let renderer = DefaultRenderer::new();
    let of = |session: &str| {
        let session = session.parse().unwrap();
        rejection(RejectionCode::ReplayNotHonoured).for_session(session, None)
    };
    let one = of("807efe44-d63e-4a24-88f5-dbe96112830a");
    for form in [
        ResponseFormat::Problem,
        ResponseFormat::Html,
        ResponseFormat::Grpc,
    ] {
        for may_repeat in [false, true] {
            let context = RenderContext {
                may_repeat,
                ..context(form)
            };
            let general = rejection(RejectionCode::ReplayNotHonoured);
            let one = renderer.unread(&general, context).unwrap();
            let other = renderer.unread(&general, context).unwrap();
            assert!(std::ptr::eq(one, other), "{form:?}");
            let written = renderer.render_at(&general, context, None);
            assert_eq!(one.status(), written.status());
            assert_eq!(one.headers(), written.headers());
            assert_eq!(one.body(), written.body());
        }
    }
    let shows = DefaultRenderer::new().expose_internals(true);
    assert!(
        shows
            .unread(&one, context(ResponseFormat::Problem))
            .is_none()
    );
    let named = problem(&shows, &one);
    assert_eq!(named["sessionId"], "807efe44-d63e-4a24-88f5-dbe96112830a");
}

#[test]
fn the_page_of_a_replay_speaks_the_visitors_language() {
    let renderer = DefaultRenderer::new();
    let general = rejection(RejectionCode::ReplayNotHonoured);
    for &language in Language::ALL {
        let context = RenderContext {
            language,
            ..context(ResponseFormat::Html)
        };
        let unread = renderer.unread(&general, context).unwrap();
        assert_eq!(unread.headers()["content-language"], language.tag());
        let written = renderer.render_at(&general, context, None);
        assert_eq!(unread.body(), written.body());
    }
}

#[cfg(feature = "brand")]
#[test]
fn a_brand_is_on_the_page_and_in_its_policy() {
    use crate::render::{Colours, Logo};

    let brand = Brand::new("A & B")
        .logo(Logo::svg(b"<svg/>"))
        .light(Colours::new("#fff", "#111", "#7a1fa2"))
        .sentence("We are on call.")
        .link("Status", "https://status.example.com/");
    let renderer = DefaultRenderer::new();
    let used = rejection(RejectionCode::ReplayNotHonoured);
    renderer.unread(&used, context(ResponseFormat::Html));
    let renderer = renderer.brand(brand).unwrap();
    let response = rendered(
        &renderer,
        &rejection(RejectionCode::SessionStarting),
        ResponseFormat::Html,
    );
    let page = std::str::from_utf8(response.body()).unwrap();
    for part in [
        "<title>This page is starting · A &amp; B</title>",
        "<div class=\"brand\"><img class=\"logo\" src=\"data:image/svg+xml;base64,PHN2Zy8+\" alt=\"A &amp; B\"></div>",
        "--accent: #7a1fa2; --on-accent: #ffffff;",
        "<p class=\"own\">We are on call. <a href=\"https://status.example.com/\" target=\"_top\" rel=\"noopener\">Status</a></p>",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(policy.ends_with("; img-src data:"), "{policy}");
    let unread = renderer
        .unread(&used, context(ResponseFormat::Html))
        .unwrap();
    assert!(
        std::str::from_utf8(unread.body())
            .unwrap()
            .contains("We are on call.")
    );
}
