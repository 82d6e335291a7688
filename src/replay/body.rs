//! How long a request's body is, as far as its head tells.

use http::{HeaderValue, Method, Version, header};

use crate::Head;

use super::NotReplayable;

/// Refuses a request whose body is, or has to be taken for, longer than `limit` bytes.
pub(super) fn check_length(
    head: &Head<'_>,
    limit: u64,
    unknown_passes: bool,
) -> Result<(), NotReplayable> {
    match Length::of(head) {
        Length::Known(length) if length > limit => Err(NotReplayable::BodyTooLarge { limit }),
        Length::Unknown if !unknown_passes => Err(NotReplayable::UnknownLength { limit }),
        Length::Known(_) | Length::Unknown => Ok(()),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Length {
    Known(u64),
    Unknown,
}

impl Length {
    fn of(head: &Head<'_>) -> Self {
        let mut lengths = head.headers.get_all(header::CONTENT_LENGTH).iter();
        if head.headers.contains_key(header::TRANSFER_ENCODING) {
            return Self::Unknown;
        }
        if let Some(first) = lengths.next() {
            // Servers refuse requests with two lengths; should one let them through, neither of
            // the two is to be believed.
            return match parse(first).filter(|_| lengths.all(|other| other == first)) {
                Some(length) => Self::Known(length),
                None => Self::Unknown,
            };
        }
        // HTTP/1 frames a body by one of the two headers (RFC 9112, section 6.3), so without them
        // there is none. HTTP/2 and 3 need neither, so only the method tells whether to expect one.
        let framed_by_headers = head.version <= Version::HTTP_11;
        let expects_body = [Method::POST, Method::PUT, Method::PATCH].contains(head.method);
        if expects_body && !framed_by_headers {
            Self::Unknown
        } else {
            Self::Known(0)
        }
    }
}

fn parse(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?.trim();
    // `u64::from_str` accepts a sign, HTTP does not.
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(method: Method, version: Version, headers: &[(&str, &str)]) -> Length {
        let mut request = http::Request::builder().method(method).version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Length::of(&(&request.body(()).unwrap().into_parts().0).into())
    }

    #[test]
    fn the_length_is_what_the_head_says() {
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            assert_eq!(
                length(Method::POST, version, &[("content-length", "900000")]),
                Length::Known(900_000)
            );
            assert_eq!(length(Method::GET, version, &[]), Length::Known(0));
        }
    }

    #[test]
    fn a_body_of_unknown_length_is_told_from_no_body() {
        assert_eq!(
            length(Method::POST, Version::HTTP_11, &[]),
            Length::Known(0)
        );
        for method in [Method::POST, Method::PUT, Method::PATCH] {
            assert_eq!(
                length(method.clone(), Version::HTTP_2, &[]),
                Length::Unknown
            );
            assert_eq!(
                length(
                    method,
                    Version::HTTP_11,
                    &[("transfer-encoding", "chunked")]
                ),
                Length::Unknown
            );
        }
        assert_eq!(
            length(
                Method::GET,
                Version::HTTP_11,
                &[("transfer-encoding", "chunked")]
            ),
            Length::Unknown
        );
    }

    #[test]
    fn a_length_that_cannot_be_believed_is_unknown() {
        for value in [
            "",
            "-1",
            "+5",
            "1e3",
            "0x10",
            "99999999999999999999999",
            "5, 5",
        ] {
            assert_eq!(
                length(Method::POST, Version::HTTP_11, &[("content-length", value)]),
                Length::Unknown,
                "{value:?}"
            );
        }
        let twice = [("content-length", "5"), ("content-length", "6")];
        assert_eq!(
            length(Method::POST, Version::HTTP_11, &twice),
            Length::Unknown
        );
        let smuggled = [("content-length", "5"), ("transfer-encoding", "chunked")];
        assert_eq!(
            length(Method::POST, Version::HTTP_11, &smuggled),
            Length::Unknown
        );
    }
}
