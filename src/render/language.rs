//! The language that a visitor reads, by `Accept-Language` (RFC 9110, section 12.5.4).

use http::{HeaderMap, HeaderValue, header};

use super::negotiate::{MOST, Split, quality};

/// A language of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Language {
    /// `en`, and for visitors who read none of these.
    #[default]
    English,
    /// `de`.
    German,
    /// `fr`.
    French,
    /// `es`.
    Spanish,
    /// `ja`.
    Japanese,
}

impl Language {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::English,
        Self::German,
        Self::French,
        Self::Spanish,
        Self::Japanese,
    ];

    /// How many there are.
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// The tag, as in `Content-Language` (RFC 5646).
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Japanese => "ja",
        }
    }

    #[inline]
    fn of_subtag(subtag: [u8; 2]) -> Option<Self> {
        // Letters in lower case; nothing else becomes one.
        match &subtag.map(|letter| letter | 0x20) {
            b"en" => Some(Self::English),
            b"de" => Some(Self::German),
            b"fr" => Some(Self::French),
            b"es" => Some(Self::Spanish),
            b"ja" => Some(Self::Japanese),
            _ => None,
        }
    }

    /// The language of a range, such as `de-AT`: only its first subtag counts (RFC 4647, section 3.4).
    fn of_range(range: &[u8]) -> Option<Self> {
        let (&subtag, rest) = range.split_first_chunk()?;
        let ends = matches!(rest.first(), None | Some(b'-'));
        ends.then(|| Self::of_subtag(subtag)).flatten()
    }

    /// The language that the client likes best, of those that there are. Allocates nothing: requests that
    /// are served are asked, too.
    ///
    /// `first` is the first field of that name, if that is known to be the first.
    #[inline]
    pub(super) fn accepted(first: Option<&HeaderValue>, headers: &HeaderMap) -> Self {
        // Browsers begin with the language that they like best, and give it no weight, which is the highest.
        if let Some(
            [one, two]
            | [one, two, b',', ..]
            | [one, two, b'-', _, _]
            | [one, two, b'-', _, _, b',', ..],
        ) = first.map(HeaderValue::as_bytes)
            && let Some(language) = Self::of_subtag([*one, *two])
        {
            return language;
        }
        Self::ranked(headers)
    }

    #[cold]
    fn ranked(headers: &HeaderMap) -> Self {
        let lists = headers.get_all(header::ACCEPT_LANGUAGE).iter();
        let ranges = lists.flat_map(|list| Split::new(b',', list.as_bytes()));
        let mut best = None;
        for range in ranges {
            let mut parts = Split::new(b';', range);
            let name = parts.next().unwrap_or_default().trim_ascii();
            let (Some(language), Some(weight)) = (Self::of_range(name), quality(parts)) else {
                continue;
            };
            // Of two with one weight the first: that is how browsers sort.
            if weight > best.map_or(0, |(_, weight)| weight) {
                best = Some((language, weight));
            }
            if weight == MOST {
                break;
            }
        }
        best.map_or_else(Self::default, |(language, _)| language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Language {
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            headers.append(header::ACCEPT_LANGUAGE, value);
        }
        Language::accepted(headers.get(header::ACCEPT_LANGUAGE), &headers)
    }

    #[test]
    fn the_best_liked_language_that_there_is_is_spoken() {
        for (accepted, language) in [
            ("de", Language::German),
            ("de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", Language::German),
            ("FR-ca", Language::French),
            ("ja, en;q=0.5", Language::Japanese),
            ("en;q=0.5, es;q=0.8", Language::Spanish),
            ("en;q=0.5,es ; q=0.8 ,fr;q=0.80", Language::Spanish),
            // The first of the list is not spoken here.
            ("pt-BR,pt;q=0.9,es;q=0.8,en;q=0.7", Language::Spanish),
            ("de;q=0, fr;q=0.1", Language::French),
            ("xx;q=1, de;q=0.2", Language::German),
            ("de-Latn-CH-1996", Language::German),
        ] {
            assert_eq!(of(&[accepted]), language, "{accepted}");
        }
        assert_eq!(of(&["pt", "fr;q=0.3"]), Language::French);
    }

    #[test]
    fn an_unknown_language_is_english() {
        for accepted in [
            "",
            "pt",
            "*",
            "pt, *;q=0.5",
            "de;q=0",
            "de;q=2",
            "de;q=",
            "d",
            "deu",
            "den",
            "e",
            ";",
            ",,;q",
            "fröhlich",
            "\u{7fff}",
        ] {
            assert_eq!(of(&[accepted]), Language::English, "{accepted}");
        }
        assert_eq!(of(&[]), Language::English);
    }

    #[test]
    fn each_language_answers_to_its_own_tag() {
        for &language in Language::ALL {
            assert_eq!(of(&[language.tag()]), language);
            assert_eq!(Language::ALL[language as usize], language);
        }
    }
}
