use http::{HeaderName, HeaderValue, Request, request::Parts};
use proptest::prelude::*;

use super::*;
use crate::RenderContext;

const CHROME: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7";

fn head(method: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn accept_decides_between_a_page_and_a_problem() {
    let table: &[(&[&str], ResponseFormat)] = &[
        // Nobody says anything, or everything will do.
        (&[], ResponseFormat::Problem),
        (&[""], ResponseFormat::Problem),
        (&["*/*"], ResponseFormat::Problem),
        (&["*"], ResponseFormat::Problem),
        // Browsers on their way to a page.
        (&[CHROME], ResponseFormat::Html),
        (
            &["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
            ResponseFormat::Html,
        ),
        (&["text/html, */*"], ResponseFormat::Html),
        (&["application/xhtml+xml"], ResponseFormat::Html),
        (&["Application/XHTML+xml;q=0.5"], ResponseFormat::Html),
        (&["TEXT/HTML"], ResponseFormat::Html),
        (&["text/html;charset=utf-8"], ResponseFormat::Html),
        (
            &["text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"],
            ResponseFormat::Html,
        ),
        // Browsers in the service of a page.
        (
            &["image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"],
            ResponseFormat::Problem,
        ),
        (&["text/css,*/*;q=0.1"], ResponseFormat::Problem),
        (&["text/event-stream"], ResponseFormat::Events),
        (&["Text/Event-Stream, */*"], ResponseFormat::Events),
        (&[" text/event-stream;q=0.9"], ResponseFormat::Events),
        (&["text/event-streams"], ResponseFormat::Problem),
        (
            &["application/json, text/event-stream"],
            ResponseFormat::Problem,
        ),
        (&["text/*"], ResponseFormat::Problem),
        (
            &["text/markdown, application/graphql-response+json"],
            ResponseFormat::Problem,
        ),
        (
            &["application/json, text/plain, */*"],
            ResponseFormat::Problem,
        ),
        // Both are named: the higher one, and a page where they are level.
        (&["application/json, text/html"], ResponseFormat::Html),
        (
            &["application/json, text/html;q=0.9"],
            ResponseFormat::Problem,
        ),
        (
            &["application/problem+json, text/html;q=0.9"],
            ResponseFormat::Problem,
        ),
        (
            &["application/json;q=0.8, text/html;q=0.9"],
            ResponseFormat::Html,
        ),
        (&["text/html;q=0.5, */*"], ResponseFormat::Problem),
        (&["text/html;q=0.5, application/*"], ResponseFormat::Problem),
        (
            &["text/html;q=0.5, application/json;q=0.1, */*"],
            ResponseFormat::Html,
        ),
        // We send text/html, so what is said of it counts more than what is said of its sibling.
        (
            &["text/html;q=0, application/xhtml+xml"],
            ResponseFormat::Problem,
        ),
        (&["text/html;q=0, */*"], ResponseFormat::Problem),
        (&["text/html;q=0"], ResponseFormat::Problem),
        (&["text/html;q=0.000"], ResponseFormat::Problem),
        // Several headers are one list.
        (
            &["application/json;q=0.5", "text/html"],
            ResponseFormat::Html,
        ),
        (
            &["text/html;q=0.5", "application/json"],
            ResponseFormat::Problem,
        ),
        (&["*/*", "text/html"], ResponseFormat::Html),
        // Weights that cannot be read: the range says nothing.
        (&["text/html;q=high"], ResponseFormat::Problem),
        (&["text/html;q="], ResponseFormat::Problem),
        (&["text/html;q=1.5"], ResponseFormat::Problem),
        (&["text/html;q=-1"], ResponseFormat::Problem),
        (&["text/html;q=2"], ResponseFormat::Problem),
        (
            &["application/json;q=x, text/html;q=0.1"],
            ResponseFormat::Html,
        ),
        // Weights as they are really written.
        (&["text/html;Q=0.9, */*;q=0.8"], ResponseFormat::Html),
        (
            &["text/html ; q=0.70001 , application/json ; q=0.7"],
            ResponseFormat::Html,
        ),
        (&["text/html;q=1.000"], ResponseFormat::Html),
        (&["text/html;q=1."], ResponseFormat::Html),
        // Separators in quotes separate nothing.
        (&[r#"image/png;x="a,text/html""#], ResponseFormat::Problem),
        (
            &[r#"text/html;x="\",;q=0";q=0.9, application/json;q=0.8"#],
            ResponseFormat::Html,
        ),
        // Debris.
        (&[",,;;,", ";q=1", "text/html"], ResponseFormat::Html),
        (&["text/htm", "text/html5", "text"], ResponseFormat::Problem),
    ];
    for (accept, form) in table {
        let headers: Vec<_> = accept.iter().map(|value| ("accept", *value)).collect();
        for method in ["GET", "HEAD", "POST"] {
            let found = RenderContext::of(&(&head(method, &headers)).into()).format;
            let form = match *form {
                // What repeats a request is a GET.
                ResponseFormat::Events if method != "GET" => ResponseFormat::Problem,
                form => form,
            };
            assert_eq!(found, form, "{method} {accept:?}");
        }
    }
}

#[test]
fn the_content_type_decides_on_grpc() {
    for (method, content_type, form) in [
        ("POST", "application/grpc", ResponseFormat::Grpc),
        ("POST", "application/grpc+proto", ResponseFormat::Grpc),
        (
            "POST",
            "application/grpc;charset=utf-8",
            ResponseFormat::Grpc,
        ),
        ("POST", "Application/gRPC ; x=y", ResponseFormat::Grpc),
        ("POST", "application/grpc-web", ResponseFormat::GrpcWeb),
        (
            "POST",
            "application/grpc-web+proto",
            ResponseFormat::GrpcWeb,
        ),
        (
            "POST",
            "application/grpc-web-text",
            ResponseFormat::GrpcWebText,
        ),
        (
            "POST",
            "application/grpc-web-text+proto",
            ResponseFormat::GrpcWebText,
        ),
        ("POST", "application/grpc-webs", ResponseFormat::Problem),
        ("POST", "application/grpcish", ResponseFormat::Problem),
        ("POST", "application/connect+proto", ResponseFormat::Problem),
        ("POST", "application/grp", ResponseFormat::Problem),
        ("POST", "", ResponseFormat::Problem),
        ("GET", "application/grpc", ResponseFormat::Problem),
    ] {
        let found =
            RenderContext::of(&(&head(method, &[("content-type", content_type)])).into()).format;
        assert_eq!(found, form, "{method} {content_type}");
    }
    let both = [("content-type", "application/grpc"), ("accept", CHROME)];
    assert_eq!(
        RenderContext::of(&(&head("POST", &both)).into()).format,
        ResponseFormat::Grpc
    );
}

#[test]
fn only_harmless_requests_are_repeated() {
    for (method, may_repeat, head_only) in [
        ("GET", true, false),
        ("HEAD", true, true),
        ("POST", false, false),
        ("PUT", false, false),
        ("DELETE", false, false),
        ("OPTIONS", false, false),
    ] {
        let context = RenderContext::of(&(&head(method, &[])).into());
        assert_eq!(context.may_repeat, may_repeat, "{method}");
        assert_eq!(context.head_only, head_only, "{method}");
    }
}

fn form_of(accept: &[Vec<u8>]) -> ResponseFormat {
    let mut parts = head("GET", &[]);
    for value in accept {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            parts.headers.append(header::ACCEPT, value);
        }
    }
    RenderContext::of(&(&parts).into()).format
}

proptest! {
    #[test]
    fn no_header_makes_it_panic(
        post: bool,
        values in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..80)), 0..4),
        nearly in prop::collection::vec(r#"[a-z*/,;q=01.\\" ]{0,60}"#, 0..4),
    ) {
        let mut parts = head(if post { "POST" } else { "GET" }, &[]);
        let nearly = nearly.into_iter().map(|text| (true, text.into_bytes()));
        for (accept, value) in values.into_iter().chain(nearly) {
            let name: HeaderName = if accept { header::ACCEPT } else { header::CONTENT_TYPE };
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                parts.headers.append(name, value);
            }
        }
        let context = RenderContext::of(&(&parts).into());
        prop_assert_eq!(context.may_repeat, !post);
    }

    #[test]
    fn the_order_of_a_list_says_nothing(
        ranges in Just(vec!["text/html", "application/xhtml+xml", "text/*", "application/json", "*/*", "image/png"])
            .prop_shuffle(),
        weights in prop::collection::vec(0_u16..=10, 6),
        kept in 0_usize..=6,
    ) {
        let mut list: Vec<Vec<u8>> = ranges
            .iter()
            .zip(&weights)
            .take(kept)
            .map(|(range, weight)| format!("{range};q={}.{}", weight / 10, weight % 10).into_bytes())
            .collect();
        let one_way = form_of(&list);
        list.reverse();
        prop_assert_eq!(one_way, form_of(&list));
        prop_assert_eq!(one_way, form_of(&[list.join(&b", "[..])]));
    }
}
