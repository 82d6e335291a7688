//! The page for a person.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderValue, header};

use self::{
    template::{Hole, Template, Values},
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
use crate::{Rejection, RejectionCode, SessionId};

mod template;
mod words;

pub(super) use template::{Constant, escaped};

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

/// The pages of a brand. What is the same for all refusals of a kind is written when it is first needed: that is
/// some 8 KB for each of them, in each language that is asked for.
#[derive(Debug)]
pub(super) struct Pages {
    #[cfg(feature = "brand")]
    branding: Option<Branding>,
    policy: HeaderValue,
    prepared: [OnceLock<Box<[OnceLock<Prepared>]>>; Language::COUNT],
}

/// The pages without a brand.
pub(super) static PLAIN: Pages = Pages {
    #[cfg(feature = "brand")]
    branding: None,
    policy: HeaderValue::from_static(POLICY),
    prepared: [const { OnceLock::new() }; Language::COUNT],
};

/// One kind of refusal, in one language.
#[derive(Debug)]
pub(super) struct Prepared {
    /// A map is cloned for less than its fields are inserted for, one by one.
    pub(super) headers: HeaderMap,
    template: Template,
}

impl Pages {
    /// `policy` allows what the brand needs, too.
    #[cfg(feature = "brand")]
    pub(super) fn of(branding: Branding, policy: HeaderValue) -> Self {
        Self {
            branding: Some(branding),
            policy,
            prepared: [const { OnceLock::new() }; Language::COUNT],
        }
    }

    /// What all refusals of this kind have in common.
    pub(super) fn prepared(&self, rejection: &Rejection, context: RenderContext) -> &Prepared {
        const CODES: usize = RejectionCode::ALL.len();
        let kinds = self.prepared[context.language as usize]
            .get_or_init(|| (0..4 * (CODES + 1)).map(|_| OnceLock::new()).collect());
        let code = if rejection.is_too_large() {
            CODES
        } else {
            rejection.code() as usize
        };
        let waits = rejection.retry_after().is_some();
        let kind = 4 * code + 2 * usize::from(context.may_repeat) + usize::from(waits);
        kinds[kind].get_or_init(|| Prepared {
            headers: self.headers(rejection, context.language),
            template: self.template(rejection, context),
        })
    }

    fn headers(&self, rejection: &Rejection, language: Language) -> HeaderMap {
        let mut headers = HeaderMap::new();
        always(rejection, VARY, &mut headers);
        let language = HeaderValue::from_static(language.tag());
        headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
        headers.insert(header::CONTENT_LANGUAGE, language);
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        if rejection.retry_after().is_some() {
            // Its place; the seconds come with each refusal.
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(""));
        }
        headers
    }

    fn template(&self, rejection: &Rejection, context: RenderContext) -> Template {
        let (page, language) = (rejection.page(), context.language);
        let (words, said) = (Words::of(language), Said::of(rejection, language));
        let waits = context.may_repeat && rejection.retry_after().is_some();
        let again = context.may_repeat && page.may_change && !waits;
        let section = |is_there: bool| is_there.then_some("");
        Template::new(SOURCE, |name| {
            let text = match name {
                "lang" => language.tag(),
                "mood" => page.mood.as_str(),
                "headline" => said.headline,
                "sentence" => said.sentence,
                "advice" if context.may_repeat => said.advice,
                "advice" => said.after_sending,
                "code" => rejection.code().as_str(),
                "waits" => section(waits)?,
                // The ring is a clock that runs; the other signs stand still.
                "still" => section(!waits)?,
                "again" => section(again)?,
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
    }
}

impl Prepared {
    /// Writes the page.
    pub(super) fn write(
        &self,
        rejection: &Rejection,
        internals: Internals<'_>,
        now: Option<SystemTime>,
    ) -> Vec<u8> {
        let mut session = Short::<{ SessionId::MAX_LEN }>::new();
        let session = rejection.session().map(|id| {
            // It fits: that is the longest id.
            let _ = id.with_text(|text| session.write_str(text));
            session.as_str()
        });
        let time = now.map(|now| Short::<32>::of(humantime::format_rfc3339_seconds(now)));
        let time = time.as_ref().map(Short::as_str);
        let clock = time.map(clock);
        let wait = rejection.retry_after();
        let milliseconds = wait.map(|wait| Short::<32>::of(wait.as_millis()));
        let seconds = wait.map(|wait| wait.max(LEAST_WITHOUT_SCRIPT));
        let seconds = seconds.map(|wait| Short::<32>::of(whole_seconds(wait)));
        let mut values = Values::default();
        for (hole, value) in [
            (Hole::Detail, Some(escaped(rejection.detail()))),
            (Hole::Time, time.map(Cow::Borrowed)),
            (Hole::Clock, clock.as_ref().map(|it| it.as_str().into())),
            (Hole::Session, session.map(escaped)),
            (Hole::Machine, internals.machine.map(escaped)),
            (Hole::Owner, internals.owner.map(escaped)),
            (
                Hole::Wait,
                milliseconds.as_ref().map(|it| it.as_str().into()),
            ),
            (Hole::Refresh, seconds.as_ref().map(|it| it.as_str().into())),
        ] {
            values[hole as usize] = value;
        }
        self.template.fill(&values)
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
fn clock(time: &str) -> Short<32> {
    let (day, rest) = time.split_at_checked(10).unwrap_or_default();
    let hours = rest.get(1..9).unwrap_or_default();
    let mut clock = Short::new();
    // It fits: that is 23 bytes.
    let _ = [day, " ", hours, " UTC"].map(|part| clock.write_str(part));
    clock
}

/// A text that fits into so many bytes for certain, in no memory of its own.
struct Short<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Short<N> {
    fn new() -> Self {
        let (bytes, length) = ([0; N], 0);
        Self { bytes, length }
    }

    fn of(value: impl fmt::Display) -> Self {
        let mut short = Self::new();
        // What does not fit is left out.
        let _ = write!(short, "{value}");
        short
    }

    fn as_str(&self) -> &str {
        let written = self.bytes.get(..self.length).unwrap_or_default();
        str::from_utf8(written).unwrap_or_default()
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
