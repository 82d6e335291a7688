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

/// What of a server's certificate is checked, by `sslmode`, where TLS is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checks {
    /// As libpq does for `allow`, `prefer` and `require`: nothing, or the chain where roots are named.
    AsTrusted,
    /// `verify-ca`: the chain, and no name.
    Chain,
    /// `verify-full`: the chain and the name.
    ChainAndName,
}

/// A connection string that was read.
#[derive(Debug, Default)]
pub(super) struct ConnectionString {
    pub(super) config: Config,
    /// By `sslmode`; the driver only tells its default.
    pub(super) checks: Option<Checks>,
    /// Whether it says that the server's connections are shared.
    pub(super) pooled: bool,
    pub(super) roots: Option<RootCertificates>,
    /// The file of a client's certificate, by `sslcert`.
    pub(super) certificate: Option<PathBuf>,
    /// The file of its key, by `sslkey`.
    pub(super) key: Option<PathBuf>,
    /// Words that mean nothing here.
    pub(super) passed_over: Vec<String>,
}

impl ConnectionString {
    /// Reads a URL or `key=value` words.
    ///
    /// `allow` asks for less than `prefer` and gets it. `pgbouncer` tells, as to
    /// other drivers, that nothing can be prepared.
    pub(super) fn parse(text: &str) -> Result<Self, PostgresConfigError> {
        if let Some(scheme) = scheme(text).filter(|_| !is_url(text)) {
            let scheme = scheme.to_owned();
            return Err(PostgresConfigError::NotPostgres { scheme });
        }
        let mut seen = Self::default();
        let rewritten = if is_url(text) {
            seen.rewrite_url(text)
        } else {
            seen.rewrite_words(text)
        };
        // What we cannot read is the driver's to complain about, in its own words.
        let text = rewritten.map_or(Cow::Borrowed(text), Cow::Owned);
        seen.config = text
            .parse()
            .map_err(PostgresConfigError::ConnectionString)?;
        Ok(seen)
    }
}

/// Words of libpq, of other drivers and of providers that change nothing here, with the values for which that is
/// so. A word in no list is an error: it may be a misspelt `sslmode`.
fn is_harmless(key: &str, value: &str) -> bool {
    match key {
        // The driver speaks UTF-8 and nothing else.
        "client_encoding" => matches!(
            value.to_ascii_lowercase().as_str(),
            "auto" | "utf8" | "utf-8" | "unicode"
        ),
        // There is no GSSAPI here: TLS does what it would.
        "gssencmode" => matches!(value, "disable" | "prefer"),
        // Lower versions than 1.2 are never used.
        "ssl_min_protocol_version" => matches!(value, "" | "TLSv1" | "TLSv1.1" | "TLSv1.2"),
        "fallback_application_name"
        | "gssdelegation"
        | "gsslib"
        | "krbsrvname"
        | "max_protocol_version"
        | "min_protocol_version"
        | "sslcertmode"
        | "sslcompression"
        | "sslsni"
        // Prisma, SQLAlchemy, node-postgres, JDBC, pgx and sqlx.
        | "connection_limit"
        | "pool_timeout"
        | "statement_cache_size"
        | "statement-cache-capacity"
        | "prepareThreshold"
        | "pool_max_conns"
        | "uselibpqcompat"
        // Supabase's integration of Vercel.
        | "supa" => true,
        _ => false,
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

impl ConnectionString {
    /// What the driver should read in place of this parameter; `None` if it should not see it.
    fn translate<'a>(&mut self, key: &'a str, value: &'a str) -> Option<(&'a str, &'a str)> {
        let file = || Some(PathBuf::from(value));
        let value = match key {
            "sslmode" => {
                let (checks, mode) = match value {
                    "verify-full" => (Checks::ChainAndName, "require"),
                    "verify-ca" => (Checks::Chain, "require"),
                    "allow" => (Checks::AsTrusted, "prefer"),
                    known => (Checks::AsTrusted, known),
                };
                self.checks = Some(checks);
                mode
            }
            "sslrootcert" => {
                self.roots = Some(match value {
                    "system" => RootCertificates::System,
                    path => RootCertificates::File(PathBuf::from(path)),
                });
                return None;
            }
            "sslcert" => {
                self.certificate = file();
                return None;
            }
            "sslkey" => {
                self.key = file();
                return None;
            }
            "target_session_attrs" => match value {
                // libpq's word for a server that is no standby. The driver asks whether the session may
                // write, which differs only where that was forbidden on the primary.
                "primary" => "read-write",
                "standby" => "read-only",
                known => known,
            },
            "keepalives_count" => return Some(("keepalives_retries", value)),
            "pgbouncer" => {
                self.pooled = value == "true";
                return None;
            }
            word if is_harmless(word, value) => {
                self.passed_over.push(word.to_owned());
                return None;
            }
            _ => value,
        };
        Some((key, value))
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
                Some(same) if same == (key, &*decoded) => kept.push(parameter.to_owned()),
                Some((key, value)) => kept.push(format!("{key}={value}")),
                None => {}
            }
        }
        Some(format!("{}?{}", url.get(..query)?, kept.join("&")))
    }

    fn rewrite_words(&mut self, text: &str) -> Option<String> {
        let mut kept = Vec::new();
        for (key, value) in words(text)? {
            if let Some((key, value)) = self.translate(&key, &value) {
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
            assert!(read.pooled);
            assert_eq!(read.config.get_password(), Some(b"p?".as_slice()), "{text}");
            assert_eq!(read.config.get_dbname(), Some("db"));
            assert_eq!(read.config.get_ports(), [1]);
        }
    }

    #[test]
    fn what_was_not_said_stays_unsaid() {
        let read = read("postgres://h/db?application_name=a%26b");
        assert_eq!(read.checks, None);
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
    fn sslmode_says_what_is_checked_as_in_libpq() {
        for (mode, checks, ssl) in [
            ("disable", Checks::AsTrusted, SslMode::Disable),
            ("allow", Checks::AsTrusted, SslMode::Prefer),
            ("prefer", Checks::AsTrusted, SslMode::Prefer),
            ("require", Checks::AsTrusted, SslMode::Require),
            ("verify-ca", Checks::Chain, SslMode::Require),
            ("verify-full", Checks::ChainAndName, SslMode::Require),
        ] {
            for text in [
                format!("postgres://h/db?sslmode={mode}"),
                format!("host=h sslmode={mode}"),
            ] {
                let read = read(&text);
                assert_eq!(read.checks, Some(checks), "{text}");
                assert_eq!(read.config.get_ssl_mode(), ssl, "{text}");
            }
        }
    }

    #[test]
    fn words_that_change_nothing_are_passed_over() {
        let text = "postgres://h/db?client_encoding=utf8&gssencmode=prefer&keepalives_count=7\
                    &ssl_min_protocol_version=TLSv1.2&application_name=n&connection_limit=1";
        let read = read(text);
        let passed_over = [
            "client_encoding",
            "gssencmode",
            "ssl_min_protocol_version",
            "connection_limit",
        ];
        assert_eq!(read.passed_over, passed_over);
        assert_eq!(read.config.get_keepalives_retries(), Some(7));
        assert_eq!(read.config.get_application_name(), Some("n"));
    }

    #[test]
    fn words_that_would_change_something_are_errors() {
        for word in [
            "client_encoding=LATIN1",
            "gssencmode=require",
            "ssl_min_protocol_version=TLSv1.3",
            "sslmod=verify-full",
            "sslcrl=/crl.pem",
            "require_auth=scram-sha-256",
            "requirepeer=postgres",
            "service=app",
            "passfile=/pgpass",
            "target_session_attrs=prefer-standby",
        ] {
            for text in [format!("postgres://h/db?{word}"), format!("host=h {word}")] {
                assert!(ConnectionString::parse(&text).is_err(), "{text}");
            }
        }
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
