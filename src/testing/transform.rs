//! How a replayed request is rewritten on its way (`transform` of the JSON form).

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::instruction::Malformed;

/// Headers that say where a message ends or what the connection is. Rewriting them would not
/// rewrite the request but break it.
const FRAMING: [HeaderName; 4] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The rewriting of one replayed request. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Transform {
    path: Option<PathAndQuery>,
    delete_headers: Vec<HeaderName>,
    set_headers: Vec<(HeaderName, HeaderValue)>,
}

impl Transform {
    pub(super) fn new(
        path: Option<&str>,
        delete_headers: &[String],
        set_headers: &[(String, String)],
    ) -> Result<Self, Malformed> {
        let path = path.map(path_and_query).transpose()?;
        let delete_headers = delete_headers
            .iter()
            .map(|name| header_name(name))
            .collect::<Result<_, _>>()?;
        let set_headers = set_headers
            .iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_str(value)
                    .map_err(|_| Malformed(format!("transform: value of header `{name}`")))?;
                Ok((header_name(name)?, value))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            path,
            delete_headers,
            set_headers,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn apply(&self, path: &mut PathAndQuery, headers: &mut HeaderMap) {
        if let Some(new) = &self.path {
            *path = new.clone();
        }
        for name in &self.delete_headers {
            headers.remove(name);
        }
        for (name, value) in &self.set_headers {
            headers.insert(name.clone(), value.clone());
        }
    }
}

fn path_and_query(text: &str) -> Result<PathAndQuery, Malformed> {
    if !text.starts_with('/') {
        return Err(Malformed(format!("transform.path=`{text}`")));
    }
    text.parse()
        .map_err(|_| Malformed(format!("transform.path=`{text}`")))
}

fn header_name(text: &str) -> Result<HeaderName, Malformed> {
    let name: HeaderName = text
        .parse()
        .map_err(|_| Malformed(format!("transform: header name `{text}`")))?;
    if FRAMING.contains(&name) {
        return Err(Malformed(format!("transform: `{name}` frames the message")));
    }
    Ok(name)
}
