//! Connection strings as people have them: with libpq's words that the driver does not know.

use std::{borrow::Cow, path::PathBuf};

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;

use super::PostgresConfigError;

/// Where trusted root certificates come from, by `sslrootcert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RootCertificates {
    System,
    File(PathBuf),
}

/// A connection string that was read.
#[derive(Debug)]
pub(super) struct ConnectionString {
    pub(super) config: Config,
    /// Whether it says anything about `sslmode`; the driver only tells its default.
    pub(super) names_ssl_mode: bool,
    /// Whether it says that the server's connections are shared.
    pub(super) pooled: bool,
    pub(super) roots: Option<RootCertificates>,
}

impl ConnectionString {
    /// Reads a URL or `key=value` words.
    ///
    /// `verify-ca` and `verify-full` mean what `require` already does here: chain and name are
    /// checked. `allow` asks for less than `prefer` and gets it. `pgbouncer` tells, as to
    /// other drivers, that nothing can be prepared.
    pub(super) fn parse(text: &str) -> Result<Self, PostgresConfigError> {
        if let Some(scheme) = scheme(text).filter(|_| !is_url(text)) {
            let scheme = scheme.to_owned();
            return Err(PostgresConfigError::NotPostgres { scheme });
        }
        let mut seen = Seen::default();
        let rewritten = if is_url(text) {
            seen.rewrite_url(text)
        } else {
            seen.rewrite_words(text)
        };
        // What we cannot read is the driver's to complain about, in its own words.
        let text = rewritten.map_or(Cow::Borrowed(text), Cow::Owned);
        let config: Config = text
            .parse()
            .map_err(PostgresConfigError::ConnectionString)?;
        Ok(Self {
            config,
            names_ssl_mode: seen.ssl_mode,
            pooled: seen.pooled,
            roots: seen.roots,
        })
    }
}

/// What a URL begins with; words have a `=` before any.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    (!scheme.is_empty() && scheme.chars().all(is_of_scheme)).then_some(scheme)
}

fn is_url(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

#[derive(Default)]
struct Seen {
    ssl_mode: bool,
    pooled: bool,
    roots: Option<RootCertificates>,
}

impl Seen {
    /// What the driver should read in place of this parameter; `None` if it should not see it.
    fn translate<'a>(&mut self, key: &str, value: &'a str) -> Option<&'a str> {
        match key {
            "sslmode" => {
                self.ssl_mode = true;
                Some(match value {
                    "verify-ca" | "verify-full" => "require",
                    "allow" => "prefer",
                    known => known,
                })
            }
            "sslrootcert" => {
                self.roots = Some(match value {
                    "system" => RootCertificates::System,
                    path => RootCertificates::File(PathBuf::from(path)),
                });
                None
            }
            // libpq's word for a server that is no standby. The driver asks whether the session may
            // write, which differs only where that was forbidden on the primary.
            "target_session_attrs" if value == "primary" => Some("read-write"),
            "pgbouncer" => {
                self.pooled = value == "true";
                None
            }
            _ => Some(value),
        }
    }

    fn rewrite_url(&mut self, url: &str) -> Option<String> {
        // As the driver reads it: credentials end with the first `@`, whatever is in them.
        let host = url.find('@').unwrap_or(0);
        let query = host + url.get(host..)?.find('?')?;
        let mut kept = Vec::new();
        let parameters = url.get(query + 1..)?.split('&');
        for parameter in parameters.filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=')?;
            let decoded = percent_decode_str(value).decode_utf8().ok()?;
            match self.translate(key, &decoded) {
                Some(same) if same == decoded => kept.push(parameter.to_owned()),
                Some(other) => kept.push(format!("{key}={other}")),
                None => {}
            }
        }
        Some(format!("{}?{}", url.get(..query)?, kept.join("&")))
    }

    fn rewrite_words(&mut self, text: &str) -> Option<String> {
        let mut kept = Vec::new();
        for (key, value) in words(text)? {
            if let Some(value) = self.translate(&key, &value) {
                let value = value.replace('\\', r"\\").replace('\'', r"\'");
                kept.push(format!("{key}='{value}'"));
            }
        }
        Some(kept.join(" "))
    }
}

/// Splits `key = 'va\'lue' key=value`; `None` if it is not of that form.
fn words(text: &str) -> Option<Vec<(String, String)>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, after) = match after.strip_prefix('\'') {
            Some(quoted) => unescape(quoted, |c| c == '\'')?,
            None => unescape(after, char::is_whitespace)?,
        };
        words.push((key.trim().to_owned(), value));
        rest = after.trim_start();
    }
    Some(words)
}

/// Reads up to the character that ends a value, and returns what follows it.
fn unescape(text: &str, ends: impl Fn(char) -> bool) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next()?.1),
            end if ends(end) => return Some((value, text.get(at + end.len_utf8()..)?)),
            other => value.push(other),
        }
    }
    // Only white space may be missing at the end.
    ends(' ').then_some((value, ""))
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::SslMode;

    use super::*;

    fn read(text: &str) -> ConnectionString {
        ConnectionString::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }

    #[test]
    fn libpqs_words_are_read_in_both_forms() {
        for text in [
            "postgres://u:p%3F@h:1/db?sslmode=verify-full&sslrootcert=%2Fca%20dir%2Fca.pem&pgbouncer=true",
            "postgresql://u:p?@h:1/db?pgbouncer=true&sslrootcert=/ca dir/ca.pem&sslmode=verify-ca",
            r"host=h port = 1 user=u password='p?' dbname=db sslmode=verify-full sslrootcert='/ca dir/ca.pem' pgbouncer=true",
        ] {
            let read = read(text);
            assert_eq!(read.config.get_ssl_mode(), SslMode::Require, "{text}");
            assert_eq!(
                read.roots,
                Some(RootCertificates::File("/ca dir/ca.pem".into()))
            );
            assert!(read.names_ssl_mode);
            assert!(read.pooled);
            assert_eq!(read.config.get_password(), Some(b"p?".as_slice()), "{text}");
            assert_eq!(read.config.get_dbname(), Some("db"));
            assert_eq!(read.config.get_ports(), [1]);
        }
    }

    #[test]
    fn what_was_not_said_stays_unsaid() {
        let read = read("postgres://h/db?application_name=a%26b");
        assert!(!read.names_ssl_mode);
        assert!(!read.pooled);
        assert_eq!(read.roots, None);
        assert_eq!(read.config.get_application_name(), Some("a&b"));
        assert_eq!(
            ConnectionString::parse("postgres://h/db?sslrootcert=system")
                .unwrap()
                .roots,
            Some(RootCertificates::System)
        );
    }

    #[test]
    fn quotes_and_backslashes_survive() {
        let read = read(r"host=h password='a\'b \\ c' user=x\ y");
        assert_eq!(read.config.get_password(), Some(br"a'b \ c".as_slice()));
        assert_eq!(read.config.get_user(), Some("x y"));
    }

    #[test]
    fn an_unknown_parameter_is_an_error_without_the_password() {
        for text in [
            "postgres://u:secret@h/db?nonsense=1",
            "postgres://u:secret@h/db?sslmode=maybe",
            "postgres://u:secret@h:port/db",
            "host=h password=secret nonsense",
            "host=h password='secret",
        ] {
            let error = ConnectionString::parse(text).unwrap_err();
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
}
