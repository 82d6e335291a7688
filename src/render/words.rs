//! What the page says to a person who has never heard of machines.

use http::StatusCode;

use crate::{Code, Rejection};

/// What kind of news it is, which decides the sign at the top of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// It passes by itself.
    Passing,
    /// It is final, and nothing is broken.
    Final,
    /// Something is wrong, and somebody has to look at it.
    Fault,
}

impl Mood {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Final => "final",
            Self::Fault => "fault",
        }
    }
}

/// The words for one rejection.
///
/// They may say less than the problem's title and detail, and in another way, but nothing that is
/// only likely: above all not whether something that was *sent* has arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    pub(super) mood: Mood,
    pub(super) headline: &'static str,
    pub(super) sentence: &'static str,
    /// What to do for who only wanted to see the page.
    pub(super) advice: &'static str,
    /// What to do for who sent something.
    pub(super) after_sending: &'static str,
    /// Whether a person who asks again may get another answer.
    pub(super) may_change: bool,
}

const TELL_THEM: &str =
    "The people who run this site can fix it. The lines below tell them what to look for.";

impl Words {
    pub(super) fn of(rejection: &Rejection) -> Self {
        match rejection.code() {
            Code::SessionStarting => Self::passing(
                "This page is starting",
                "It is not ready yet.",
                "You can leave this page open: it will open by itself as soon as it is ready.",
                "Wait a moment, then go back and try again.",
            ),
            Code::SessionMoving => Self::passing(
                "This page is moving",
                "Another computer is about to run it.",
                "You can leave this page open: it will open by itself in a few seconds.",
                "Wait a moment, then go back and try again.",
            ),
            Code::OwnerNeverSeen => Self::passing(
                "This page isn’t running yet",
                "The computer that should run it has not started, or was never set up.",
                "You can leave this page open: it keeps trying, and will open by itself when that computer starts.",
                "Wait a moment, then go back and try again.",
            ),
            Code::OwnerLost => Self::passing(
                "This page has gone quiet",
                "The computer that runs it has not been heard of for a while.",
                "You can leave this page open: it keeps trying, and will open by itself when that computer is back or another one has taken its place.",
                "It is not certain whether what you sent has arrived. Wait a moment, go back, and check before you send it again.",
            ),
            Code::DuplicateIdentity => Self::passing(
                "This page can’t be opened right now",
                "Two computers say that they run this page, and this one has stopped.",
                "You can leave this page open: it keeps trying, and will open by itself.",
                "Wait a moment, then go back and try again.",
            ),
            Code::OwnerUnreachable => Self::passing(
                "This page can’t be reached right now",
                "The computer that runs it could not be reached.",
                "You can leave this page open: it keeps trying, and will open by itself when that computer answers.",
                "It is not certain whether what you sent has arrived. Wait a moment, go back, and check before you send it again.",
            ),
            Code::LookupUnavailable => Self::passing(
                "Just a moment, please",
                "This site could not look up where your page is. That says nothing about the page itself.",
                "You can leave this page open: it keeps trying, and will open by itself.",
                "Wait a moment, then go back and try again.",
            ),
            Code::SessionMalformed => Self::ended(
                "It isn’t clear what to open",
                "The part of the request that should say which session you want can’t be read.",
                "If you followed a link or typed an address, check that it is complete.",
            ),
            Code::SessionUnknown => Self {
                may_change: true,
                ..Self::ended(
                    "There is no such session",
                    "This site knows no session by this name.",
                    "If you followed a link or typed an address, check that it is complete.",
                )
            },
            Code::SessionOver => Self::ended(
                "This session has ended",
                "It was closed, or the time it was given has run out. It will not come back.",
                "To go on, start a new one.",
            ),
            Code::SessionAbsent => Self::ended(
                "This session was lost",
                "The computer that should run it no longer has it. Waiting will not bring it back.",
                "To go on, start a new one.",
            ),
            Code::SessionForbidden => Self::ended(
                "This session isn’t open to you",
                "This site did not let your request in.",
                "If you think it should have, ask whoever gave you access.",
            ),
            Code::NotReplayable if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Self::ended(
                    "This could not be sent on",
                    "Another computer runs this session, and what you sent is too large to be taken there, or does not say how large it is.",
                    "If it was a file, try a smaller one.",
                )
            }
            Code::NotReplayable => Self::fault(
                "This could not be taken further",
                "Another computer runs this session, and your request could not be taken there.",
            ),
            Code::ReplayNotHonoured => Self::fault(
                "This page is somewhere else",
                "Another computer runs it, and your request was not taken there.",
            ),
            Code::ReplayLoop => Self::fault(
                "The way to this page could not be found",
                "Your request was passed from one computer to the next, and none of them runs this page.",
            ),
            Code::DirectoryCorrupt => Self::fault(
                "This page can’t be opened",
                "What is recorded about where it runs can’t be used.",
            ),
        }
    }

    const fn passing(
        headline: &'static str,
        sentence: &'static str,
        advice: &'static str,
        after_sending: &'static str,
    ) -> Self {
        Self {
            mood: Mood::Passing,
            headline,
            sentence,
            advice,
            after_sending,
            may_change: true,
        }
    }

    const fn ended(headline: &'static str, sentence: &'static str, advice: &'static str) -> Self {
        Self {
            mood: Mood::Final,
            headline,
            sentence,
            advice,
            after_sending: advice,
            may_change: false,
        }
    }

    const fn fault(headline: &'static str, sentence: &'static str) -> Self {
        Self {
            mood: Mood::Fault,
            headline,
            sentence,
            advice: TELL_THEM,
            after_sending: TELL_THEM,
            may_change: true,
        }
    }
}
