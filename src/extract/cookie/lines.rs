//! The cookies in a request's `Cookie` lines.

use http::{HeaderMap, HeaderValue, header};

/// The name and the value of one cookie, which stands between two semicolons.
#[inline]
pub(in crate::extract) fn halves(cookie: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut halves = cookie.splitn(2, |&byte| byte == b'=');
    // A cookie without `=` has no name, says RFC 6265bis.
    let (name, value) = (halves.next()?, halves.next()?);
    Some((name.trim_ascii(), value.trim_ascii()))
}

/// All cookies, in order.
#[inline]
pub(super) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    lines
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b';'))
        .filter_map(halves)
}

/// Takes out the cookies that `is_out` names. Returns whether there were any. Other cookies stay as
/// they are, byte for byte; a line without any is left out.
pub(super) fn take_out(headers: &mut HeaderMap, is_out: impl Fn(&[u8], &[u8]) -> bool) -> bool {
    if !cookies(headers).any(|(name, value)| is_out(name, value)) {
        return false;
    }
    let lines: Vec<HeaderValue> = headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|line| without(line, &is_out))
        .collect();
    let mut lines = lines.into_iter();
    // The first one takes the place of all before, which keeps the order of the other headers.
    match lines.next() {
        Some(first) => drop(headers.insert(header::COOKIE, first)),
        None => drop(headers.remove(header::COOKIE)),
    }
    for line in lines {
        headers.append(header::COOKIE, line);
    }
    true
}

/// The line without these cookies; `None` if none is left.
fn without(line: &HeaderValue, is_out: impl Fn(&[u8], &[u8]) -> bool) -> Option<HeaderValue> {
    let is_out = |cookie: &&[u8]| halves(cookie).is_some_and(|(name, value)| is_out(name, value));
    let all = line.as_bytes().split(|&byte| byte == b';');
    if !all.clone().any(|cookie| is_out(&cookie)) {
        return Some(line.clone());
    }
    let left: Vec<&[u8]> = all.filter(|cookie| !is_out(cookie)).collect();
    if left.iter().all(|cookie| cookie.trim_ascii().is_empty()) {
        return None;
    }
    // What is left of a header's value is one.
    let mut left = HeaderValue::from_bytes(left.join(&b';').trim_ascii_start()).ok()?;
    left.set_sensitive(line.is_sensitive());
    Some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that are left of these without the cookies named `x`.
    fn left(lines: &[&str]) -> (bool, Vec<String>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, line.parse().unwrap());
        }
        let any = take_out(&mut headers, |name, _| name == b"x");
        let lines = headers.get_all(header::COOKIE).into_iter();
        let lines = lines.map(|line| line.to_str().unwrap().to_owned());
        (any, lines.collect())
    }

    #[test]
    fn other_cookies_stay_byte_for_byte() {
        for (line, expected) in [
            ("x=1; a=b; c=d", "a=b; c=d"),
            ("a=b; x=1; c=\"d\"", "a=b; c=\"d\""),
            ("a=b;x=1;c= d ;", "a=b;c= d ;"),
            ("a=b; x=1", "a=b"),
            ("x=1;a; =b;; x=2", "a; =b;"),
        ] {
            assert_eq!(left(&[line]), (true, vec![expected.to_owned()]), "{line}");
        }
    }

    #[test]
    fn a_line_without_cookies_disappears() {
        assert_eq!(left(&["x=1"]), (true, vec![]));
        assert_eq!(left(&["x=1; ", " ;x=1"]), (true, vec![]));
        let lines = ["a=b", "x=1", "; c=d"];
        assert_eq!(left(&lines), (true, vec!["a=b".into(), "; c=d".into()]));
    }

    #[test]
    fn nothing_changes_where_there_is_nothing_to_take_out() {
        let lines = ["", " a=b;", "x"];
        assert_eq!(left(&lines), (false, lines.map(str::to_owned).to_vec()));
    }

    #[test]
    fn a_sensitive_line_stays_sensitive_and_headers_in_order() {
        let mut line = HeaderValue::from_static("x=1; a=b");
        line.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("h"));
        headers.insert(header::COOKIE, line);
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        assert!(take_out(&mut headers, |name, _| name == b"x"));
        assert!(headers[header::COOKIE].is_sensitive());
        let names: Vec<_> = headers.keys().collect();
        assert_eq!(names, ["host", "cookie", "accept"]);
    }
}
