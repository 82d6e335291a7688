//! The picture above the page.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Address, InvalidBrand};

/// Every refused page carries it.
const MOST: usize = 32 * 1024;

/// A logo: a picture that is part of the page, or the address of one.
///
/// A picture in the page needs no request, so that it is there when nothing else is. An SVG runs no script, and can
/// suit itself to dark pages by `@media (prefers-color-scheme: dark)` of its own.
#[derive(Clone, Debug)]
pub struct Logo(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Inline(&'static str, Vec<u8>),
    At(String),
}

/// A logo that was checked.
pub(super) struct Image {
    pub(super) source: String,
    /// The source that the page's policy has to allow.
    pub(super) policy: String,
}

impl Logo {
    /// An SVG file of at most 32 KiB, as part of the page.
    #[must_use]
    pub fn svg(file: &[u8]) -> Self {
        Self(Kind::Inline("image/svg+xml", file.to_vec()))
    }

    /// A PNG file of at most 32 KiB, as part of the page.
    #[must_use]
    pub fn png(file: &[u8]) -> Self {
        Self(Kind::Inline("image/png", file.to_vec()))
    }

    /// An address: `https:`, `http:`, or a path of this host that begins with one `/`, which has to be served
    /// without a session. The page's policy allows this one picture, or the pictures of this host.
    #[must_use]
    pub fn at(address: impl Into<String>) -> Self {
        Self(Kind::At(address.into()))
    }

    pub(super) fn checked(self) -> Result<Image, InvalidBrand> {
        match self.0 {
            Kind::Inline(_, file) if file.is_empty() || file.len() > MOST => {
                let reason = "a file in the page has between 1 byte and 32 KiB";
                Err(InvalidBrand::Logo { reason })
            }
            Kind::Inline(media_type, file) => Ok(Image {
                source: format!("data:{media_type};base64,{}", STANDARD.encode(file)),
                policy: "data:".to_owned(),
            }),
            Kind::At(address) => {
                let (source, policy) = Address::parse(&address)?.of_an_image()?;
                let (source, policy) = (source.to_owned(), policy.to_owned());
                Ok(Image { source, policy })
            }
        }
    }
}
