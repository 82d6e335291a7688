use std::{collections::BTreeSet, time::UNIX_EPOCH};

use http::StatusCode;
use sha2::{Digest, Sha256};

use super::*;
use crate::{MachineId, NotReplayable, RejectionCode, RequestOrigin, ResponseFormat};

fn machine() -> MachineId {
    MachineId::parse("m1").unwrap()
}

fn rejections() -> Vec<Rejection> {
    let too_large = NotReplayable::BodyTooLarge { limit: 1 };
    RejectionCode::ALL
        .iter()
        .map(|&code| Rejection::of(code, machine(), None, &RequestOrigin::Direct, None))
        .chain([
            Rejection::not_replayable(machine(), too_large),
            Rejection::not_honoured(machine(), StatusCode::CONFLICT),
        ])
        .collect()
}

fn page(rejection: &Rejection, may_repeat: bool) -> String {
    page_in(Language::English, rejection, may_repeat)
}

fn page_in(language: Language, rejection: &Rejection, may_repeat: bool) -> String {
    let context = RenderContext {
        format: ResponseFormat::Html,
        language,
        may_repeat,
        head_only: false,
        is_http1: true,
    };
    let prepared = PLAIN.prepared(rejection, context);
    let page = prepared.write(rejection, Internals::default(), Some(UNIX_EPOCH));
    String::from_utf8(page).unwrap()
}

/// What stands between the only `<name>` and its end.
fn element<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("<{name}>")).unwrap();
    let (content, rest) = rest.split_once(&format!("</{name}>")).unwrap();
    assert!(!rest.contains(&format!("<{name}")), "one <{name}> only");
    content
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0, |sum, at| {
            sum << 8 | u32::from(chunk.get(at).copied().unwrap_or(0))
        });
        for at in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= chunk.len() { digit.into() } else { '=' });
        }
    }
    text
}

#[test]
fn the_policy_names_the_script_and_the_style_that_are_in_the_file() {
    assert_eq!(base64(b"light wor"), "bGlnaHQgd29y");
    assert_eq!(base64(b"light wo"), "bGlnaHQgd28=");
    let starting = Rejection::of(
        RejectionCode::SessionStarting,
        machine(),
        None,
        &RequestOrigin::Direct,
        None,
    );
    let page = page(&starting, true);
    for (directive, name) in [("style-src", "style"), ("script-src", "script")] {
        let hash = base64(&Sha256::digest(element(&page, name)));
        let source = format!("{directive} 'sha256-{hash}'");
        assert!(POLICY.contains(&source), "page.rs should say {source}");
    }
}

#[test]
fn nothing_on_the_page_is_fetched_or_forbidden_by_its_policy() {
    for forbidden in ["http:", "https:", "//", "src=", "style=", "@import", "url("] {
        // The script's own comments begin with the same two slashes.
        let found = SOURCE
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .find(|line| line.contains(forbidden));
        assert_eq!(found, None, "{forbidden}");
    }
}

#[test]
fn every_hole_of_the_page_is_filled() {
    for &language in Language::ALL {
        for rejection in rejections() {
            let page = page_in(language, &rejection, true);
            assert!(!page.contains("{{") && !page.contains("}}"));
            for empty in [
                "=\"\"",
                "<dd id=\"code\"></dd>",
                "<dt></dt>",
                "<h1 id=\"headline\"></h1>",
                "<summary></summary>",
            ] {
                let found = page.replace("href=\"\"", "").contains(empty);
                assert!(!found, "{language:?} {empty} in {page}");
            }
        }
    }
}

#[test]
fn every_language_has_words_of_its_own_for_every_code() {
    for &language in Language::ALL {
        let mut headlines = BTreeSet::new();
        for rejection in rejections() {
            let said = Said::of(&rejection, language);
            let page = page_in(language, &rejection, true);
            let after = page_in(language, &rejection, false);
            assert!(page.contains(&format!("<html lang=\"{}\">", language.tag())));
            for part in [
                said.headline,
                said.sentence,
                said.advice,
                said.after_sending,
            ] {
                // They are filled in as they are.
                assert!(!part.contains(['&', '<', '>', '"', '\'', '{']), "{part}");
                assert!(page.contains(part) || after.contains(part), "{part}");
                let english = Said::of(&rejection, Language::English);
                let is_english =
                    [english.headline, english.sentence, english.advice].contains(&part);
                assert!(language == Language::English || !is_english, "{part}");
            }
            headlines.insert(said.headline);
        }
        assert_eq!(
            headlines.len(),
            RejectionCode::ALL.len() + 1,
            "{language:?}"
        );
    }
}

#[test]
fn the_script_finds_its_words_in_every_language() {
    let starting = Rejection::of(
        RejectionCode::SessionStarting,
        machine(),
        None,
        &RequestOrigin::Direct,
        None,
    );
    let mut waits = BTreeSet::new();
    for &language in Language::ALL {
        let page = page_in(language, &starting, true);
        let (_, wait) = page.split_once("id=\"wait\"").unwrap();
        let (wait, _) = wait.split_once('>').unwrap();
        for name in [
            "wait", "next", "trying", "offline", "opening", "keeps", "not-yet",
        ] {
            assert!(
                wait.contains(&format!("data-{name}=\"")),
                "{name} in {wait}"
            );
        }
        assert_eq!(wait.matches("{n}").count(), 2, "{wait}");
        waits.insert(wait.to_owned());
    }
    assert_eq!(waits.len(), Language::ALL.len());
}

#[test]
fn the_page_reloads_itself_only_where_that_helps_and_does_no_harm() {
    for rejection in rejections() {
        let code = rejection.code();
        let seen = page(&rejection, true);
        let waits = rejection.retry_after().is_some();
        for sign in [
            "<script>",
            "http-equiv=\"refresh\"",
            "data-wait=",
            "Try now",
        ] {
            assert_eq!(seen.contains(sign), waits, "{code:?} {sign}");
            assert!(!page(&rejection, false).contains(sign), "{code:?} {sign}");
        }
        // Sending something again is never one careless click away.
        assert!(!page(&rejection, false).contains("href="), "{code:?}");
        let promises = seen.contains("by itself");
        assert_eq!(promises, waits, "{code:?}");
        assert!(!page(&rejection, false).contains("by itself"), "{code:?}");
        assert_eq!(
            waits,
            rejection.page().mood.as_str() == "passing",
            "{code:?}"
        );
    }
}

#[test]
fn the_first_pause_is_the_one_that_programs_are_told() {
    let starting = Rejection::of(
        RejectionCode::SessionStarting,
        machine(),
        None,
        &RequestOrigin::Direct,
        None,
    );
    let page = page(&starting, true);
    assert!(page.contains("data-wait=\"1000\""));
    assert!(
        page.contains("content=\"5\""),
        "never that often without a script"
    );
}

#[test]
fn a_person_can_read_it_and_support_can_use_it() {
    let mut headlines = BTreeSet::new();
    for rejection in rejections() {
        let page = page(&rejection, true);
        let words = rejection.page();
        for part in [
            "<html lang=\"en\">",
            "name=\"viewport\"",
            "content=\"noindex\"",
            &format!("<title>{}</title>", words.headline),
            &format!("<h1 id=\"headline\">{}</h1>", words.headline),
            words.sentence,
            rejection.code().as_str(),
            "1970-01-01 00:00:00 UTC",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        headlines.insert(words.headline);
        let said = [
            words.headline,
            words.sentence,
            words.advice,
            words.after_sending,
        ]
        .join(" ");
        for jargon in [
            "machine",
            "replay",
            "owner",
            "proxy",
            "directory",
            "node",
            "not found",
        ] {
            assert!(!said.to_lowercase().contains(jargon), "{jargon} in {said}");
        }
    }
    assert_eq!(
        headlines.len(),
        RejectionCode::ALL.len() + 1,
        "no two pages look alike"
    );
}

#[test]
fn what_is_filled_in_is_escaped() {
    let rejection = Rejection::new(
        RejectionCode::DirectoryCorrupt,
        machine(),
        "<script>alert('1')</script>",
    );
    let page = page(&rejection, false);
    assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"));
    assert!(!page.contains("<script"));
}
