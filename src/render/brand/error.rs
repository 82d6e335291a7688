//! What is wrong with a brand.

/// Why a [`Brand`](super::Brand) cannot be shown.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBrand {
    /// A colour is not written as `#rgb` or `#rrggbb`.
    #[error("the colour {colour:?} ({what}) is not of the form #rgb or #rrggbb")]
    Colour {
        /// Which one.
        what: &'static str,
        /// The colour.
        colour: String,
    },
    /// Two colours are too much alike for a text to be read.
    #[error(
        "the contrast of {text} on {paper} is {}.{:02}:1, and text needs 4.5:1 (WCAG 2.2, 1.4.3): \
         choose a {} colour",
        .hundredths / 100, .hundredths % 100, if *.darker { "darker" } else { "lighter" }
    )]
    Contrast {
        /// What is to be read, such as `the light accent`.
        text: &'static str,
        /// What it stands on.
        paper: &'static str,
        /// The contrast, in hundredths.
        hundredths: u16,
        /// Whether a darker text would be easier to read, rather than a lighter one.
        darker: bool,
    },
    /// An address cannot be used.
    #[error("the address {address:?} cannot be used: {reason}")]
    Address {
        /// The address.
        address: String,
        /// Why not.
        reason: &'static str,
    },
    /// The logo cannot be used.
    #[error("the logo cannot be used: {reason}")]
    Logo {
        /// Why not.
        reason: &'static str,
    },
}

crate::observe::debug_as_chain!(InvalidBrand);
