//! What the page says, by language.

use super::super::language::Language;
use crate::{Rejection, RejectionCode};

mod french;
mod german;
mod japanese;
mod spanish;

/// What the page says in every case. `{n}` is a number of seconds.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) try_now: &'static str,
    pub(super) try_again: &'static str,
    /// Where no script runs.
    pub(super) by_itself: &'static str,
    pub(super) next: &'static str,
    pub(super) trying: &'static str,
    pub(super) offline: &'static str,
    pub(super) opening: &'static str,
    /// The first announcement to a screen reader.
    pub(super) keeps_trying: &'static str,
    /// Each later one.
    pub(super) not_yet: &'static str,
    pub(super) code: &'static str,
    pub(super) session: &'static str,
    pub(super) time: &'static str,
    pub(super) machine: &'static str,
    pub(super) owner: &'static str,
    pub(super) technical: &'static str,
}

/// What the page says about one refusal; [`codes`](crate::rejection) has the English and says what it may say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) headline: &'static str,
    pub(super) sentence: &'static str,
    /// For a visitor who only wanted to see the page.
    pub(super) advice: &'static str,
    /// For a visitor who sent something.
    pub(super) after_sending: &'static str,
}

impl Said {
    const fn passing(
        headline: &'static str,
        sentence: &'static str,
        advice: &'static str,
        after_sending: &'static str,
    ) -> Self {
        Self {
            headline,
            sentence,
            advice,
            after_sending,
        }
    }

    const fn ended(headline: &'static str, sentence: &'static str, advice: &'static str) -> Self {
        Self::passing(headline, sentence, advice, advice)
    }
}

const ENGLISH: Words = Words {
    try_now: "Try now",
    try_again: "Try again",
    by_itself: "This page asks again by itself every few seconds.",
    next: "Next try in {n} s",
    trying: "Trying…",
    offline: "Waiting for your connection",
    opening: "Opening…",
    keeps_trying: "This page keeps trying by itself.",
    not_yet: "Not yet. Trying again in {n} seconds.",
    code: "Code",
    session: "Session",
    time: "Time",
    machine: "Machine",
    owner: "Owner",
    technical: "What happened, in technical words",
};

impl Words {
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::German => &german::WORDS,
            Language::French => &french::WORDS,
            Language::Spanish => &spanish::WORDS,
            Language::Japanese => &japanese::WORDS,
        }
    }
}

impl Said {
    pub(super) fn of(rejection: &Rejection, language: Language) -> Self {
        let (too_large, in_language): (_, fn(RejectionCode) -> Self) = match language {
            Language::English => {
                let page = rejection.page();
                return Self::passing(
                    page.headline,
                    page.sentence,
                    page.advice,
                    page.after_sending,
                );
            }
            Language::German => (german::TOO_LARGE, german::said),
            Language::French => (french::TOO_LARGE, french::said),
            Language::Spanish => (spanish::TOO_LARGE, spanish::said),
            Language::Japanese => (japanese::TOO_LARGE, japanese::said),
        };
        if rejection.is_too_large() {
            too_large
        } else {
            in_language(rejection.code())
        }
    }
}
