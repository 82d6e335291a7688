//! An error in one line.

use std::{error::Error, fmt};

/// An error with everything that caused it.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&causes(self.0).join(": "))
    }
}

/// Lets errors print in Debug what they print in Display, and then what caused them: that is how
/// `fn main() -> Result<(), Box<dyn Error>>` shows an error. A derived Debug would show the variant.
macro_rules! debug_as_chain {
    ($($error:ty),+) => {
        $(
            impl std::fmt::Debug for $error {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    std::fmt::Display::fmt(&$crate::observe::Chain(self), f)
                }
            }
        )+
    };
}

pub(crate) use debug_as_chain;

/// The error, then what caused it. A cause that was said already is not said again: many errors
/// repeat theirs.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut causes = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !causes.iter().any(|said| said.contains(&text)) {
            causes.push(text);
        }
        source = cause.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LookupError;

    #[test]
    fn a_cause_that_was_said_already_is_not_said_again() {
        let refused = || std::io::Error::other("refused");
        let told = LookupError::unavailable("no connection").with_source(refused());
        assert_eq!(Chain(&told).to_string(), "no connection: refused");
        let repeats = LookupError::unavailable("no connection: refused").with_source(refused());
        assert_eq!(Chain(&repeats).to_string(), "no connection: refused");
    }

    #[test]
    fn main_shows_an_error_with_what_caused_it() {
        let error: Box<dyn Error> = Box::new(crate::BuildError::NoReplay);
        assert_eq!(
            format!("{error:?}"),
            "no replay: call `replay(…)` with `FlyReplay` or `Redirect`"
        );
        let refused =
            LookupError::unavailable("no connection").with_source(std::io::Error::other("refused"));
        assert_eq!(format!("{refused:?}"), "no connection: refused");
    }
}
