//! What a machine asks for when it answers with a replay, in either of its two forms.
//!
//! Strict on purpose: whatever the reference does not document is malformed here, so that an
//! application which relies on it is told so at home and not in production.

use std::time::Duration;

use http::HeaderMap;

use super::cache_order::CacheOrder;
use super::region;
use super::transform::Transform;

/// The response header of the short form.
pub(super) const FLY_REPLAY: &str = "fly-replay";

/// The media type of the long form.
pub(super) const REPLAY_JSON: &str = "application/vnd.fly.replay+json";

/// Which machines a request may be delivered to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Target {
    pub(super) instance: Option<String>,
    pub(super) prefer_instance: Option<String>,
    /// In order of preference; empty means that the region does not matter.
    pub(super) regions: Vec<String>,
    pub(super) app: Option<String>,
    /// Leave out the machine that answered.
    pub(super) elsewhere: bool,
}

/// Who gets the request back when the target could not be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fallback {
    ForceSelf,
    PreferSelf,
}

/// One parsed replay.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Instruction {
    pub(super) target: Target,
    pub(super) state: Option<String>,
    pub(super) timeout: Option<Duration>,
    pub(super) fallback: Option<Fallback>,
    pub(super) transform: Transform,
    pub(super) cache: CacheOrder,
}

/// Why an instruction cannot be read: Fly's PA03.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Malformed(pub(super) String);

impl Instruction {
    /// Reads the header form; `None` if the response carries none.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, Malformed> {
        let mut values = headers.get_all(FLY_REPLAY).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(Malformed("more than one fly-replay header".into()));
        }
        let text = value
            .to_str()
            .map_err(|_| Malformed("fly-replay is not visible ASCII".into()))?;
        let mut instruction = Self::from_text(text)?;
        instruction.cache = CacheOrder::from_headers(headers)?;
        Ok(Some(instruction))
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        let mut instruction = Self::default();
        let mut seen = Vec::new();
        for field in split_fields(text)? {
            let Some((name, value)) = field.split_once('=') else {
                return Err(Malformed(format!("`{field}` is not name=value")));
            };
            if seen.contains(&name) {
                return Err(Malformed(format!("`{name}` is given twice")));
            }
            seen.push(name);
            instruction.set(name, value)?;
        }
        instruction.checked()
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Malformed> {
        match name {
            "region" => self.target.regions = quoted_regions(value)?,
            "elsewhere" => {
                self.target.elsewhere = value
                    .parse()
                    .map_err(|_| Malformed(format!("elsewhere=`{value}`")))?;
            }
            _ => self.set_text(name, value)?,
        }
        Ok(())
    }

    /// The fields that are text in both forms.
    pub(super) fn set_text(&mut self, name: &str, value: &str) -> Result<(), Malformed> {
        match name {
            "instance" => self.target.instance = Some(word(name, value)?),
            "prefer_instance" => self.target.prefer_instance = Some(word(name, value)?),
            "app" => self.target.app = Some(word(name, value)?),
            "state" => self.state = Some(state(value)?),
            "timeout" => self.timeout = Some(duration(value)?),
            "fallback" => {
                self.fallback = Some(match value {
                    "force_self" => Fallback::ForceSelf,
                    "prefer_self" => Fallback::PreferSelf,
                    _ => return Err(Malformed(format!("fallback=`{value}`"))),
                });
            }
            _ => return Err(Malformed(format!("unknown field `{name}`"))),
        }
        Ok(())
    }

    /// What is wrong with the fields taken together.
    pub(super) fn checked(self) -> Result<Self, Malformed> {
        let target = &self.target;
        if target.instance.is_some() && target.prefer_instance.is_some() {
            return Err(Malformed("instance and prefer_instance together".into()));
        }
        let aims = target.instance.is_some()
            || target.prefer_instance.is_some()
            || target.app.is_some()
            || !target.regions.is_empty()
            || target.elsewhere;
        if !aims {
            return Err(Malformed("no target".into()));
        }
        Ok(self)
    }
}

/// Splits at `;` outside double quotes. A comma separates nothing here: Fly's own documents
/// disagree about it, and the page that describes the header says `;`.
fn split_fields(text: &str) -> Result<Vec<&str>, Malformed> {
    let mut quoted = false;
    let fields = text
        .split(|c| {
            if c == '"' {
                quoted = !quoted;
            }
            c == ';' && !quoted
        })
        .collect();
    if quoted {
        return Err(Malformed("a quote is not closed".into()));
    }
    Ok(fields)
}

fn quoted_regions(value: &str) -> Result<Vec<String>, Malformed> {
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    if inner.is_none() && value.contains(',') {
        return Err(Malformed(
            "a comma-separated list of regions must be quoted".into(),
        ));
    }
    regions(inner.unwrap_or(value))
}

pub(super) fn regions(text: &str) -> Result<Vec<String>, Malformed> {
    region::parse_list(text).ok_or_else(|| Malformed(format!("region=`{text}`")))
}

/// Ids and app names: what could be a separator or a quote is none of theirs.
fn word(name: &str, value: &str) -> Result<String, Malformed> {
    let plain = !value.is_empty()
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._:/-".contains(&b));
    if plain {
        Ok(value.to_owned())
    } else {
        Err(Malformed(format!("{name}=`{value}`")))
    }
}

/// `state` comes back inside a header whose fields are separated by `;`.
fn state(value: &str) -> Result<String, Malformed> {
    let carried = value.bytes().all(|b| (b' '..=b'~').contains(&b));
    if carried && !value.contains([';', '"']) {
        Ok(value.to_owned())
    } else {
        Err(Malformed(format!("state=`{value}` cannot be carried back")))
    }
}

/// A whole number with one of the two documented units.
fn duration(value: &str) -> Result<Duration, Malformed> {
    let parsed = if let Some(millis) = value.strip_suffix("ms") {
        millis.parse().ok().map(Duration::from_millis)
    } else if let Some(seconds) = value.strip_suffix('s') {
        seconds.parse().ok().map(Duration::from_secs)
    } else {
        None
    };
    // `parse` takes a leading plus sign; the header does not.
    parsed
        .filter(|_| !value.starts_with('+'))
        .ok_or_else(|| Malformed(format!("timeout=`{value}` (write 10s or 800ms)")))
}

#[cfg(test)]
mod tests {
    use super::{Duration, Fallback, Instruction};

    #[test]
    fn every_field_of_the_header_is_read() {
        let text = "prefer_instance=e286;region=\"iad,us,any\";app=previews;state=own.1;\
                    elsewhere=true;timeout=800ms;fallback=prefer_self";
        let read = Instruction::from_text(text).unwrap();
        assert_eq!(read.target.prefer_instance.as_deref(), Some("e286"));
        assert_eq!(read.target.regions, ["iad", "us", "any"]);
        assert_eq!(read.target.app.as_deref(), Some("previews"));
        assert_eq!(read.state.as_deref(), Some("own.1"));
        assert!(read.target.elsewhere);
        assert_eq!(read.timeout, Some(Duration::from_millis(800)));
        assert_eq!(read.fallback, Some(Fallback::PreferSelf));
    }

    #[test]
    fn what_the_reference_does_not_document_is_malformed() {
        for text in [
            "",
            "instance",
            "instance=",
            "instance=a,state=b",
            "instance=a; state=b",
            "instance=a;instance=b",
            "instance=a;prefer_instance=b",
            "state=alone",
            "region=iad,ord",
            "region=\"iad,ord",
            "instance=a;timeout=1500",
            "instance=a;timeout=1.5s",
            "instance=a;timeout=+5s",
            "instance=a;fallback=self",
            "instance=a;elsewhere=yes",
            "instance=a;colour=red",
            "instance=a;",
        ] {
            assert!(Instruction::from_text(text).is_err(), "{text}");
        }
    }
}
