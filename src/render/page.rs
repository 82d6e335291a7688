//! The page for a person.

use std::{
    borrow::Cow,
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use http::HeaderValue;

use super::{
    RenderContext,
    internals::{Internals, whole_seconds},
    template::Template,
};
use crate::{Rejection, SessionId};

pub(super) const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// Nothing is fetched, and nothing runs but what stands in `page.html`, known by its hash. A test
/// says what to write here when the file has changed. There is no `frame-ancestors`: pages that
/// show sessions in a frame are common, and there is nothing here that a click could give away.
pub(super) const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; base-uri 'none'; form-action 'none'; \
     style-src 'sha256-j4UwQw7/q0EatE6o30Q4sNG7ObN5IYvB7Z8RBcHeNWw='; \
     script-src 'sha256-P+dRxhW66HKYgui2WmvYyWmg2FI3+2kosdEcN5+RfCk='",
);

/// Without a script the pauses cannot grow, so they are not short either.
const LEAST_WITHOUT_SCRIPT: Duration = Duration::from_secs(5);

static TEMPLATE: LazyLock<Template> = LazyLock::new(|| Template::new(include_str!("page.html")));

/// Writes the page.
pub(super) fn write(
    rejection: &Rejection,
    context: RenderContext,
    internals: Internals<'_>,
    now: Option<SystemTime>,
) -> String {
    let words = rejection.page();
    let wait = rejection.retry_after().filter(|_| context.may_repeat);
    let again = context.may_repeat && words.may_change;
    let session = rejection.session().map(SessionId::to_string);
    let time = now.map(|now| humantime::format_rfc3339_seconds(now).to_string());
    TEMPLATE.fill(|name| {
        Some(match name {
            "mood" => words.mood.as_str().into(),
            "headline" => words.headline.into(),
            "sentence" => words.sentence.into(),
            "advice" if context.may_repeat => words.advice.into(),
            "advice" => words.after_sending.into(),
            "detail" => rejection.detail().into(),
            "code" => rejection.code().as_str().into(),
            "time" => time.as_deref()?.into(),
            "clock" => time
                .as_deref()?
                .replace('T', " ")
                .replace('Z', " UTC")
                .into(),
            "session" => session.as_deref()?.into(),
            "machine" => internals.machine?.into(),
            "owner" => internals.owner?.into(),
            "wait" => wait?.as_millis().to_string().into(),
            "refresh" => whole_seconds(wait?.max(LEAST_WITHOUT_SCRIPT))
                .to_string()
                .into(),
            // The ring is a clock that runs; the other signs stand still.
            "still" if wait.is_none() => Cow::Borrowed(""),
            "again" if again && wait.is_none() => Cow::Borrowed(""),
            _ => return None,
        })
    })
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
