//! Responses of applications that are not trusted with what a proxy obeys.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// The proxy in front acts on these: Fly's on `fly-replay` and `fly-replay-cache`, nginx on `X-Accel-*` and, with the
/// configuration that is shipped, on `X-Owner*`. What begins with `ownership-` is the layer's alone.
const CONTROL: [&str; 4] = ["fly-replay", "x-accel-", "x-owner", "ownership-"];

/// A response of this type is a replay, too, with its instruction in the body.
const FLY_JSON: &[u8] = b"application/vnd.fly.replay+json";

/// Takes off what would have the proxy send the request somewhere, or what only the layer says.
#[cold]
pub(super) fn take_off_control(headers: &mut HeaderMap) {
    let is_control = |name: &HeaderName| CONTROL.iter().any(|it| name.as_str().starts_with(it));
    let control: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_control(name))
        .cloned()
        .collect();
    for name in control {
        headers.remove(name);
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    if types.any(names_fly_json) {
        headers.remove(header::CONTENT_TYPE);
    }
}

/// Anywhere in the value: how leniently a proxy reads it is not known.
fn names_fly_json(value: &HeaderValue) -> bool {
    let mut windows = value.as_bytes().windows(FLY_JSON.len());
    windows.any(|window| window.eq_ignore_ascii_case(FLY_JSON))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_proxy_obeys_is_left() {
        for name in [
            "fly-replay",
            "Fly-Replay-Cache",
            "fly-replay-cache-ttl-secs",
            "x-accel-redirect",
            "X-Accel-Buffering",
            "x-owner",
            "x-owner-hops",
            "x-owner-directory",
            "ownership-code",
        ] {
            let mut headers = HeaderMap::new();
            for value in ["one", "two"] {
                let name: HeaderName = name.parse().unwrap();
                headers.append(name, HeaderValue::from_static(value));
            }
            headers.insert("x-mine", HeaderValue::from_static("stays"));
            take_off_control(&mut headers);
            assert_eq!(headers.len(), 1, "{name}: {headers:?}");
        }
        for (value, stays) in [
            ("application/vnd.fly.replay+json", false),
            ("Application/VND.fly.Replay+JSON; charset=utf-8", false),
            (" application/vnd.fly.replay+json", false),
            ("text/html,application/vnd.fly.replay+json", false),
            ("application/json", true),
        ] {
            let value = HeaderValue::from_static(value);
            let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, value)]);
            take_off_control(&mut headers);
            assert_eq!(headers.contains_key(header::CONTENT_TYPE), stays);
        }
    }
}
