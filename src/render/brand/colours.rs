//! Colours that can be read.

use std::fmt;

use super::InvalidBrand;

/// The colours of a page, each as `#rgb` or `#rrggbb`.
///
/// The others are made of these: softer text and lines lie between `ink` and `paper`, and a button's text is black or
/// white. Text keeps a contrast of 4.5:1 on what it stands on (WCAG 2.2, 1.4.3): colours with less are refused.
#[derive(Clone, Debug)]
pub struct Colours {
    paper: String,
    ink: String,
    accent: String,
}

impl Colours {
    /// `paper` is the background, `ink` the text, and `accent` is for links, buttons and the ring that counts down.
    pub fn new(
        paper: impl Into<String>,
        ink: impl Into<String>,
        accent: impl Into<String>,
    ) -> Self {
        Self {
            paper: paper.into(),
            ink: ink.into(),
            accent: accent.into(),
        }
    }
}

/// What the colours of one scheme are called, and its colour for what is broken.
struct Scheme {
    paper: &'static str,
    ink: &'static str,
    accent: &'static str,
    fault: Rgb,
}

const LIGHT: Scheme = Scheme {
    paper: "the light paper",
    ink: "the light ink",
    accent: "the light accent",
    fault: Rgb([0xb3, 0x40, 0x1f]),
};
const DARK: Scheme = Scheme {
    paper: "the dark paper",
    ink: "the dark ink",
    accent: "the dark accent",
    fault: Rgb([0xf2, 0x93, 0x6f]),
};

/// The style sheet of a brand, after that of the page.
pub(super) fn style(
    light: Option<&Colours>,
    dark: Option<&Colours>,
) -> Result<Option<String>, InvalidBrand> {
    let light = light.map(|colours| LIGHT.rule(colours)).transpose()?;
    let dark = dark.map(|colours| DARK.rule(colours)).transpose()?;
    // Without a set of its own, the other scheme keeps the page's.
    let light = light.map(|rule| format!("@media not (prefers-color-scheme: dark) {{ {rule} }}\n"));
    let dark = dark.map(|rule| format!("@media (prefers-color-scheme: dark) {{ {rule} }}\n"));
    let style: String = light.into_iter().chain(dark).collect();
    Ok((!style.is_empty()).then_some(style))
}

/// The least contrast of text, in hundredths.
const TEXT: u16 = 450;
/// The least contrast of a sign, in hundredths (WCAG 2.2, 1.4.11).
const SIGN: u16 = 300;

impl Scheme {
    fn rule(&self, colours: &Colours) -> Result<String, InvalidBrand> {
        let paper = Rgb::parse(self.paper, &colours.paper)?;
        let ink = Rgb::parse(self.ink, &colours.ink)?;
        let accent = Rgb::parse(self.accent, &colours.accent)?;
        for (text, colour) in [(self.ink, ink), (self.accent, accent)] {
            let hundredths = colour.contrast(paper);
            if hundredths < TEXT {
                return Err(InvalidBrand::Contrast {
                    text,
                    paper: self.paper,
                    hundredths,
                    darker: paper.contrast(Rgb::BLACK) >= paper.contrast(Rgb::WHITE),
                });
            }
        }
        // The softest that can be read; ink itself can.
        let soft = (0..8_u8).rev().map(|step| ink.towards(paper, step * 5));
        let soft = soft.into_iter().find(|soft| soft.contrast(paper) >= TEXT);
        let soft = soft.unwrap_or(ink);
        let line = paper.towards(ink, 12);
        // One of the two has at least 4.58:1 on any colour.
        let on_accent = if accent.contrast(Rgb::WHITE) >= accent.contrast(Rgb::BLACK) {
            Rgb::WHITE
        } else {
            Rgb::BLACK
        };
        let is_seen = self.fault.contrast(paper) >= SIGN;
        let fault = if is_seen { self.fault } else { ink };
        Ok(format!(
            ":root {{ --paper: {paper}; --ink: {ink}; --soft: {soft}; --line: {line}; \
             --accent: {accent}; --on-accent: {on_accent}; --fault: {fault}; }}"
        ))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rgb(pub(super) [u8; 3]);

impl Rgb {
    const BLACK: Self = Self([0; 3]);
    const WHITE: Self = Self([255; 3]);

    fn parse(what: &'static str, text: &str) -> Result<Self, InvalidBrand> {
        let digits = text.strip_prefix('#').unwrap_or_default();
        let all_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u32::from_str_radix(digits, 16).ok().filter(|_| all_hex);
        let bytes = number.and_then(|number| {
            let [_, red, green, blue] = number.to_be_bytes();
            match digits.len() {
                6 => Some([red, green, blue]),
                // Each digit stands for itself twice.
                3 => Some([green & 15, blue >> 4, blue & 15].map(|digit| digit * 17)),
                _ => None,
            }
        });
        bytes.map(Self).ok_or_else(|| InvalidBrand::Colour {
            what,
            colour: text.to_owned(),
        })
    }

    /// So many hundredths of the way to another colour.
    fn towards(self, other: Self, hundredths: u8) -> Self {
        let [part, whole] = [u16::from(hundredths), 100];
        let mix = |at: usize| {
            let (from, to) = (u16::from(self.0[at]), u16::from(other.0[at]));
            u8::try_from((from * (whole - part) + to * part) / whole).unwrap_or(u8::MAX)
        };
        Self([mix(0), mix(1), mix(2)])
    }

    /// The relative luminance (WCAG 2.2).
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|byte| {
            let part = f64::from(byte) / 255.0;
            if part <= 0.040_45 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// The contrast ratio (WCAG 2.2), in hundredths, rounded down.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it lies between 1 and 21"
    )]
    pub(super) fn contrast(self, other: Self) -> u16 {
        let (one, other) = (self.luminance(), other.luminance());
        let ratio = (one.max(other) + 0.05) / (one.min(other) + 0.05);
        (ratio * 100.0) as u16
    }
}

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}
