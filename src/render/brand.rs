//! What makes the page look like the site that it stands for.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use sha2::{Digest as _, Sha256};

use self::address::Address;
pub use self::{colours::Colours, error::InvalidBrand, logo::Logo};
use super::{
    language::Language,
    page::{self, Constant, Pages, escaped},
};

mod address;
mod colours;
mod error;
mod logo;
#[cfg(test)]
mod tests;

/// The name, logo, colours and words of a site, for the pages of the
/// [`DefaultRenderer`](crate::DefaultRenderer::brand).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_ownership::DefaultRenderer;
/// use tower_ownership::render::{Brand, Colours, Language, Logo};
///
/// let brand = Brand::new("Acme Previews")
///     .logo(Logo::svg(br#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="4"/></svg>"#))
///     .light(Colours::new("#ffffff", "#1b1b1f", "#7a1fa2"))
///     .dark(Colours::new("#17151c", "#f1eef6", "#d6a4f2"))
///     .sentence("We are on call day and night.")
///     .sentence_in(Language::German, "Wir sind Tag und Nacht in Bereitschaft.")
///     .link("System status", "https://status.example.com/")
///     .link_text_in(Language::German, "Systemstatus");
/// let renderer = DefaultRenderer::new().brand(brand)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a brand does nothing before a renderer has it"]
pub struct Brand {
    name: String,
    logo: Option<Logo>,
    light: Option<Colours>,
    dark: Option<Colours>,
    sentence: Texts,
    link: Option<String>,
    link_text: Texts,
}

impl Brand {
    /// The name stands above the page and in its title.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            logo: None,
            light: None,
            dark: None,
            sentence: Texts::default(),
            link: None,
            link_text: Texts::default(),
        }
    }

    /// A picture in place of the name, which is then its text for those who do not see it. It is shown 2.25 rem
    /// high, and at most as wide as the text.
    pub fn logo(mut self, logo: Logo) -> Self {
        self.logo = Some(logo);
        self
    }

    /// The colours for visitors who prefer light pages, and for those who do not say.
    pub fn light(mut self, colours: Colours) -> Self {
        self.light = Some(colours);
        self
    }

    /// The colours for visitors who prefer dark pages.
    pub fn dark(mut self, colours: Colours) -> Self {
        self.dark = Some(colours);
        self
    }

    /// A sentence below the page's own, such as where help is. It is plain text.
    pub fn sentence(mut self, text: impl Into<String>) -> Self {
        self.sentence.any = Some(text.into());
        self
    }

    /// The [`sentence`](Self::sentence) in a language, where it is another one.
    pub fn sentence_in(mut self, language: Language, text: impl Into<String>) -> Self {
        self.sentence.own[language as usize] = Some(text.into());
        self
    }

    /// A link: `https:`, `http:`, `mailto:`, `tel:`, or a path of this host that begins with one `/`.
    pub fn link(mut self, text: impl Into<String>, address: impl Into<String>) -> Self {
        self.link_text.any = Some(text.into());
        self.link = Some(address.into());
        self
    }

    /// The text of the [`link`](Self::link) in a language, where it is another one.
    pub fn link_text_in(mut self, language: Language, text: impl Into<String>) -> Self {
        self.link_text.own[language as usize] = Some(text.into());
        self
    }

    /// Checks everything, and writes what is the same on all pages.
    pub(super) fn pages(self) -> Result<Pages, InvalidBrand> {
        let style = colours::style(self.light.as_ref(), self.dark.as_ref())?;
        let image = self.logo.map(Logo::checked).transpose()?;
        let link = match self.link {
            Some(link) => Some(Address::parse(&link)?.of_a_link().to_owned()),
            None => None,
        };
        let mut policy = page::POLICY.to_owned();
        if let Some(style) = &style {
            // The list of styles is the last directive.
            let hash = STANDARD.encode(Sha256::digest(style));
            policy.extend([" 'sha256-", &hash, "'"]);
        }
        if let Some(image) = &image {
            policy.extend(["; img-src ", &image.policy]);
        }
        let policy = HeaderValue::try_from(policy).map_err(|_| InvalidBrand::Logo {
            reason: "its address cannot stand in a header",
        })?;
        let head = match &image {
            Some(image) => format!(
                "<img class=\"logo\" src=\"{}\" alt=\"{}\">",
                escaped(&image.source),
                escaped(&self.name)
            ),
            None => escaped(&self.name).into_owned(),
        };
        let branding = Branding {
            title: format!(" · {}", self.name),
            style,
            head,
            sentence: self.sentence,
            link,
            link_text: self.link_text,
        };
        Ok(Pages::of(branding, policy))
    }
}

/// A text, and the same in other languages.
#[derive(Clone, Debug, Default)]
struct Texts {
    any: Option<String>,
    own: [Option<String>; Language::COUNT],
}

impl Texts {
    fn get(&self, language: Language) -> Option<&str> {
        self.own[language as usize]
            .as_ref()
            .or(self.any.as_ref())
            .map(String::as_str)
    }
}

/// A brand that was checked.
#[derive(Debug)]
pub(super) struct Branding {
    title: String,
    style: Option<String>,
    head: String,
    sentence: Texts,
    link: Option<String>,
    link_text: Texts,
}

impl Branding {
    /// What stands in the brand's places on the page.
    pub(super) fn constant(&self, name: &str, language: Language) -> Option<Constant> {
        let text = |text: &str| Constant::Text(Cow::Owned(text.to_owned()));
        Some(match name {
            "brand_title" => text(&self.title),
            // Numbers and names of colours that were read, and nothing as it was given.
            "brand_style" => Constant::Markup(self.style.clone()?.into()),
            "brand_head" => Constant::Markup(self.head.clone().into()),
            "brand_word" => {
                let sentence = self.sentence.get(language).map(escaped);
                let link = self.link.as_ref().map(|link| {
                    let text = self.link_text.get(language).unwrap_or(link);
                    // Out of a frame that shows the session.
                    Cow::Owned(format!(
                        "<a href=\"{}\" target=\"_top\" rel=\"noopener\">{}</a>",
                        escaped(link),
                        escaped(text)
                    ))
                });
                let parts: Vec<_> = sentence.into_iter().chain(link).collect();
                if parts.is_empty() {
                    return None;
                }
                Constant::Markup(parts.join(" ").into())
            }
            _ => return None,
        })
    }
}
