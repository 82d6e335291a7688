use http::{HeaderName, HeaderValue, Request};
use proptest::prelude::*;

use super::*;
use crate::Reader;

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
    let table: &[(&[&str], Form)] = &[
        // Nobody says anything, or everything will do.
        (&[], Form::Problem),
        (&[""], Form::Problem),
        (&["*/*"], Form::Problem),
        (&["*"], Form::Problem),
        // Browsers on their way to a page.
        (&[CHROME], Form::Html),
        (
            &["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
            Form::Html,
        ),
        (&["text/html, */*"], Form::Html),
        (&["application/xhtml+xml"], Form::Html),
        (&["Application/XHTML+xml;q=0.5"], Form::Html),
        (&["TEXT/HTML"], Form::Html),
        (&["text/html;charset=utf-8"], Form::Html),
        (
            &["text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"],
            Form::Html,
        ),
        // Browsers in the service of a page.
        (
            &["image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"],
            Form::Problem,
        ),
        (&["text/css,*/*;q=0.1"], Form::Problem),
        (&["text/event-stream"], Form::Problem),
        (&["text/*"], Form::Problem),
        (
            &["text/markdown, application/graphql-response+json"],
            Form::Problem,
        ),
        (&["application/json, text/plain, */*"], Form::Problem),
        // Both are named: the higher one, and a page where they are level.
        (&["application/json, text/html"], Form::Html),
        (&["application/json, text/html;q=0.9"], Form::Problem),
        (
            &["application/problem+json, text/html;q=0.9"],
            Form::Problem,
        ),
        (&["application/json;q=0.8, text/html;q=0.9"], Form::Html),
        (&["text/html;q=0.5, */*"], Form::Problem),
        (&["text/html;q=0.5, application/*"], Form::Problem),
        (
            &["text/html;q=0.5, application/json;q=0.1, */*"],
            Form::Html,
        ),
        // We send text/html, so what is said of it counts more than what is said of its sibling.
        (&["text/html;q=0, application/xhtml+xml"], Form::Problem),
        (&["text/html;q=0, */*"], Form::Problem),
        (&["text/html;q=0"], Form::Problem),
        (&["text/html;q=0.000"], Form::Problem),
        // Several headers are one list.
        (&["application/json;q=0.5", "text/html"], Form::Html),
        (&["text/html;q=0.5", "application/json"], Form::Problem),
        (&["*/*", "text/html"], Form::Html),
        // Weights that cannot be read: the range says nothing.
        (&["text/html;q=high"], Form::Problem),
        (&["text/html;q="], Form::Problem),
        (&["text/html;q=1.5"], Form::Problem),
        (&["text/html;q=-1"], Form::Problem),
        (&["text/html;q=2"], Form::Problem),
        (&["application/json;q=x, text/html;q=0.1"], Form::Html),
        // Weights as they are really written.
        (&["text/html;Q=0.9, */*;q=0.8"], Form::Html),
        (
            &["text/html ; q=0.70001 , application/json ; q=0.7"],
            Form::Html,
        ),
        (&["text/html;q=1.000"], Form::Html),
        (&["text/html;q=1."], Form::Html),
        // Separators in quotes separate nothing.
        (&[r#"image/png;x="a,text/html""#], Form::Problem),
        (
            &[r#"text/html;x="\",;q=0";q=0.9, application/json;q=0.8"#],
            Form::Html,
        ),
        // Debris.
        (&[",,;;,", ";q=1", "text/html"], Form::Html),
        (&["text/htm", "text/html5", "text"], Form::Problem),
    ];
    for (accept, form) in table {
        let headers: Vec<_> = accept.iter().map(|value| ("accept", *value)).collect();
        for method in ["GET", "HEAD", "POST"] {
            let found = Reader::of(&head(method, &headers)).form;
            assert_eq!(found, *form, "{method} {accept:?}");
        }
    }
}

#[test]
fn the_content_type_decides_on_grpc() {
    for (method, content_type, form) in [
        ("POST", "application/grpc", Form::Grpc),
        ("POST", "application/grpc+proto", Form::Grpc),
        ("POST", "application/grpc;charset=utf-8", Form::Grpc),
        ("POST", "Application/gRPC ; x=y", Form::Grpc),
        ("POST", "application/grpc-web", Form::Problem),
        ("POST", "application/grpc-web+proto", Form::Problem),
        ("POST", "application/grpc-web-text", Form::Problem),
        ("POST", "application/grpcish", Form::Problem),
        ("POST", "application/connect+proto", Form::Problem),
        ("POST", "application/grp", Form::Problem),
        ("POST", "", Form::Problem),
        ("GET", "application/grpc", Form::Problem),
    ] {
        let found = Reader::of(&head(method, &[("content-type", content_type)])).form;
        assert_eq!(found, form, "{method} {content_type}");
    }
    let both = [("content-type", "application/grpc"), ("accept", CHROME)];
    assert_eq!(Reader::of(&head("POST", &both)).form, Form::Grpc);
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
        let reader = Reader::of(&head(method, &[]));
        assert_eq!(reader.may_repeat, may_repeat, "{method}");
        assert_eq!(reader.head_only, head_only, "{method}");
    }
}

fn form_of(accept: &[Vec<u8>]) -> Form {
    let mut parts = head("GET", &[]);
    for value in accept {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            parts.headers.append(header::ACCEPT, value);
        }
    }
    Reader::of(&parts).form
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
        let reader = Reader::of(&parts);
        prop_assert_eq!(reader.may_repeat, !post);
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
