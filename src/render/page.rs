//! The page for a person.

use std::{
    fmt::{self, Write as _},
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderValue, header};

use self::{
    template::{Hole, Template, Value},
    words::{Said, Words},
};
#[cfg(feature = "brand")]
use super::brand::Branding;
use super::{
    RenderContext,
    default::always,
    internals::{Internals, whole_seconds},
    language::Language,
};
use crate::{Rejection, SessionId};

mod template;
mod words;

pub(super) use template::Constant;
#[cfg(feature = "brand")]
pub(super) use template::push_escaped;

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const VARY: HeaderValue = HeaderValue::from_static("Accept, Content-Type, Accept-Language");

/// Nothing runs but what stands in `page.html`, known by its hash, and nothing is asked but the page's own
/// server, whether it is ready. A test says what to write here when the file has changed. There is no
/// `frame-ancestors`: pages that show sessions in a frame are common, and there is nothing here that a click
/// could give away.
pub(super) const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; connect-src 'self'; \
     script-src 'sha256-Go0ath5LQUD61VLIb5IznjH7Xkk1kTp3+pkgQjswFfM='; \
     style-src 'sha256-+Zx0KNC30m9SijEUU/9RBKYbzrCetgUU4Rv6IUhRnc0='";

/// Without a script the pauses cannot grow, so they are not short either.
const LEAST_WITHOUT_SCRIPT: Duration = Duration::from_secs(5);

const SOURCE: &str = include_str!("page/page.html");

/// The page of a brand, in each language: what never changes is filled in when it is first needed.
#[derive(Debug)]
pub(super) struct Pages {
    #[cfg(feature = "brand")]
    branding: Option<Branding>,
    policy: HeaderValue,
    headers: [OnceLock<HeaderMap>; Language::COUNT],
    templates: [OnceLock<Template>; Language::COUNT],
}

/// The pages without a brand.
pub(super) static PLAIN: Pages = Pages {
    #[cfg(feature = "brand")]
    branding: None,
    policy: HeaderValue::from_static(POLICY),
    headers: [const { OnceLock::new() }; Language::COUNT],
    templates: [const { OnceLock::new() }; Language::COUNT],
};

impl Pages {
    /// `policy` allows what the brand needs, too.
    #[cfg(feature = "brand")]
    pub(super) fn of(branding: Branding, policy: HeaderValue) -> Self {
        Self {
            branding: Some(branding),
            policy,
            headers: [const { OnceLock::new() }; Language::COUNT],
            templates: [const { OnceLock::new() }; Language::COUNT],
        }
    }

    /// The headers that all pages of a language have. A map is cloned for less than its fields are inserted
    /// for, one by one.
    pub(super) fn headers(&self, language: Language) -> &HeaderMap {
        self.headers[language as usize].get_or_init(|| {
            let mut headers = HeaderMap::new();
            always(VARY, &mut headers);
            let language = HeaderValue::from_static(language.tag());
            headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
            headers.insert(header::CONTENT_LANGUAGE, language);
            headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
            headers
        })
    }

    /// Writes the page.
    pub(super) fn write(
        &self,
        rejection: &Rejection,
        context: RenderContext,
        internals: Internals<'_>,
        now: Option<SystemTime>,
    ) -> String {
        let page = rejection.page();
        let said = Said::of(rejection, context.language);
        let wait = rejection.retry_after().filter(|_| context.may_repeat);
        let again = context.may_repeat && page.may_change && wait.is_none();
        let session = rejection.session().map(Short::<{ SessionId::MAX_LEN }>::of);
        let time = now.map(|now| Short::<32>::of(humantime::format_rfc3339_seconds(now)));
        let clock = time.as_ref().map(clock);
        let milliseconds = wait.map(|wait| Short::<32>::of(wait.as_millis()));
        let seconds = wait.map(|wait| wait.max(LEAST_WITHOUT_SCRIPT));
        let seconds = seconds.map(|wait| Short::<32>::of(whole_seconds(wait)));
        self.template(context.language).fill(|hole| {
            Some(match hole {
                Hole::Mood => Value::Ours(page.mood.as_str()),
                Hole::Headline => Value::Ours(said.headline),
                Hole::Sentence => Value::Ours(said.sentence),
                Hole::Advice if context.may_repeat => Value::Ours(said.advice),
                Hole::Advice => Value::Ours(said.after_sending),
                Hole::Detail => Value::Any(rejection.detail()),
                Hole::Code => Value::Ours(rejection.code().as_str()),
                Hole::Time => Value::Ours(time.as_ref()?.as_str()),
                Hole::Clock => Value::Ours(clock.as_ref()?.as_str()),
                Hole::Session => Value::Any(session.as_ref()?.as_str()),
                Hole::Machine => Value::Any(internals.machine?),
                Hole::Owner => Value::Any(internals.owner?),
                Hole::Wait => Value::Ours(milliseconds.as_ref()?.as_str()),
                Hole::Refresh => Value::Ours(seconds.as_ref()?.as_str()),
                // The ring is a clock that runs; the other signs stand still.
                Hole::Still if wait.is_none() => Value::Ours(""),
                Hole::Again if again => Value::Ours(""),
                Hole::Still | Hole::Again => return None,
            })
        })
    }

    fn template(&self, language: Language) -> &Template {
        self.templates[language as usize].get_or_init(|| {
            let words = Words::of(language);
            Template::new(SOURCE, |name| {
                let text = match name {
                    "lang" => language.tag(),
                    "try_now" => words.try_now,
                    "try_again" => words.try_again,
                    "by_itself" => words.by_itself,
                    "next" => words.next,
                    "trying" => words.trying,
                    "offline" => words.offline,
                    "opening" => words.opening,
                    "keeps_trying" => words.keeps_trying,
                    "not_yet" => words.not_yet,
                    "label_code" => words.code,
                    "label_session" => words.session,
                    "label_time" => words.time,
                    "label_machine" => words.machine,
                    "label_owner" => words.owner,
                    "technical" => words.technical,
                    _ => return self.of_the_brand(name, language),
                };
                Some(Constant::Text(text.into()))
            })
        })
    }
}

impl Pages {
    #[cfg(feature = "brand")]
    fn of_the_brand(&self, name: &str, language: Language) -> Option<Constant> {
        self.branding.as_ref()?.constant(name, language)
    }

    #[cfg(not(feature = "brand"))]
    #[expect(clippy::unused_self, reason = "it has a twin with the feature `brand`")]
    fn of_the_brand(&self, _: &str, _: Language) -> Option<Constant> {
        None
    }
}

/// A time in RFC 3339, as people read it.
fn clock<const N: usize>(time: &Short<N>) -> Short<32> {
    let (day, hours) = time.as_str().split_once('T').unwrap_or_default();
    Short::of(format_args!("{day} {} UTC", hours.trim_end_matches('Z')))
}

/// A text that fits into so many bytes for certain, in no memory of its own.
struct Short<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Short<N> {
    fn of(value: impl fmt::Display) -> Self {
        let (bytes, length) = ([0; N], 0);
        let mut short = Self { bytes, length };
        // What does not fit is left out.
        let _ = write!(short, "{value}");
        short
    }

    fn as_str(&self) -> &str {
        let written = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(written).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Write for Short<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
