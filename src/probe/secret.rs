//! Authenticates probes and their answers.

use std::{fmt, sync::Arc};

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::Sha256;
use uuid::Uuid;

use super::InvalidProbe;
use crate::{MachineId, SessionId, claim::PROBE};

/// A secret of the fleet's machines, by which they authenticate probes and their answers.
///
/// It is never sent: headers carry keyed digests (HMAC-SHA-256) made with it.
#[derive(Clone)]
pub struct ProbeSecret(Arc<Hmac<Sha256>>);

impl ProbeSecret {
    /// The fewest bytes that a secret may have.
    pub const SHORTEST: usize = 16;

    /// Takes bytes that are hard to guess, the same on every machine, and used for nothing else:
    /// 32 random ones, for example. Fewer than [16](Self::SHORTEST) are an error.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, InvalidProbe> {
        let secret = secret.as_ref();
        if secret.len() < Self::SHORTEST {
            return Err(InvalidProbe::ShortSecret);
        }
        // HMAC takes keys of every length; should that ever change, there is no secret.
        let keyed = Hmac::new_from_slice(secret).map_err(|_| InvalidProbe::ShortSecret)?;
        Ok(Self(Arc::new(keyed)))
    }

    /// The value of a probe's header: a number that is used once, and its proof.
    pub(super) fn ask(&self, nonce: Nonce, session: &SessionId) -> String {
        let proof = self.proof(&["ask", &nonce.text(), &session.to_string()]);
        format!("{} {proof}", nonce.text())
    }

    /// The number of an authentic probe of this session.
    pub(super) fn asked(&self, headers: &HeaderMap, session: &SessionId) -> Option<Nonce> {
        let (nonce, proof) = headers.get(PROBE)?.to_str().ok()?.split_once(' ')?;
        let nonce = Nonce(Uuid::try_parse(nonce).ok()?);
        self.verify(&["ask", &nonce.text(), &session.to_string()], proof)
            .then_some(nonce)
    }

    /// The header of the answer of `machine`.
    pub(super) fn answer(
        &self,
        nonce: Nonce,
        session: &SessionId,
        what: &str,
        machine: &MachineId,
    ) -> String {
        let parts = answer(&nonce.text(), &session.to_string(), what, machine);
        format!(
            "{what} {}",
            self.proof(&parts.each_ref().map(String::as_str))
        )
    }

    /// Whether `machine` signed this answer.
    pub(super) fn is_by(
        &self,
        nonce: Nonce,
        session: &SessionId,
        what: &str,
        proof: &str,
        machine: &MachineId,
    ) -> bool {
        let parts = answer(&nonce.text(), &session.to_string(), what, machine);
        self.verify(&parts.each_ref().map(String::as_str), proof)
    }

    fn proof(&self, parts: &[&str]) -> String {
        let digest = self.mac(parts).finalize().into_bytes();
        let halves = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        halves
            .filter_map(|half| char::from_digit(half.into(), 16))
            .collect()
    }

    /// In constant time, once the text is one of hexadecimal digits.
    fn verify(&self, parts: &[&str], proof: &str) -> bool {
        from_hex(proof).is_some_and(|proof| self.mac(parts).verify_slice(&proof).is_ok())
    }

    fn mac(&self, parts: &[&str]) -> Hmac<Sha256> {
        let mut mac = Hmac::clone(&self.0);
        mac.update(b"tower-ownership probe 1");
        for part in parts {
            // No part holds a line break.
            mac.update(b"\n");
            mac.update(part.as_bytes());
        }
        mac
    }
}

fn answer(nonce: &str, session: &str, what: &str, machine: &MachineId) -> [String; 5] {
    ["answer", nonce, session, what, machine.as_str()].map(str::to_owned)
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

impl fmt::Debug for ProbeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProbeSecret(…)")
    }
}

/// A number that is used once, so that an answer to another probe is not taken for one to this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nonce(Uuid);

impl Nonce {
    pub(super) fn new() -> Self {
        Self(Uuid::new_v4())
    }

    fn text(self) -> String {
        self.0.simple().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> ProbeSecret {
        ProbeSecret::new(text).unwrap()
    }

    fn id(number: u128) -> SessionId {
        SessionId::new(Uuid::from_u128(number))
    }

    #[test]
    fn a_proof_holds_for_one_secret_and_one_session() {
        let ours = secret("a secret of the fleet");
        let nonce = Nonce::new();
        let header = ours.ask(nonce, &id(1));
        let asked = |secret: &ProbeSecret, header: &str, session: &SessionId| {
            let value = http::HeaderValue::from_bytes(header.as_bytes()).unwrap();
            secret.asked(&HeaderMap::from_iter([(PROBE, value)]), session)
        };
        assert_eq!(asked(&ours, &header, &id(1)), Some(nonce));
        assert_eq!(asked(&ours, &header, &id(2)), None);
        let others = secret("a secret of others");
        assert_eq!(asked(&others, &header, &id(1)), None);
        let (nonce, proof) = header.split_once(' ').unwrap();
        for forged in [
            String::new(),
            nonce.to_owned(),
            format!("{nonce} "),
            format!("{nonce} {}", "0".repeat(64)),
            format!("{nonce} {}", "é".repeat(32)),
            format!("{nonce} {proof}0"),
            format!("{} {proof}", Nonce::new().text()),
        ] {
            assert_eq!(asked(&ours, &forged, &id(1)), None, "{forged}");
        }
    }

    #[test]
    fn an_answer_is_of_one_machine_and_one_probe() {
        let ours = secret("a secret of the fleet");
        let (nonce, session) = (Nonce::new(), id(1));
        let (one, other) = ("one".parse().unwrap(), "other".parse().unwrap());
        let header = ours.answer(nonce, &session, "arrived", &one);
        let (what, proof) = header.split_once(' ').unwrap();
        assert!(ours.is_by(nonce, &session, what, proof, &one));
        assert!(!ours.is_by(nonce, &session, what, proof, &other));
        assert!(!ours.is_by(nonce, &session, "replayed", proof, &one));
        assert!(!ours.is_by(Nonce::new(), &session, what, proof, &one));
        assert!(!ours.is_by(nonce, &id(2), what, proof, &one));
        assert!(!header.contains("one"), "no machine is named: {header}");
    }

    #[test]
    fn the_digest_is_the_one_of_rfc_2104() {
        // HMAC-SHA-256 of the text that `mac` makes, from another implementation.
        let proof = secret("0123456789abcdef").proof(&["ask"]);
        assert_eq!(
            proof,
            "faec5c41a69d6904db8698b393ca964b40b1ccd66b6ad0ad56c1550d2b9d939c"
        );
    }

    #[test]
    fn a_secret_is_not_short_and_not_shown() {
        assert_eq!(
            ProbeSecret::new("0123456789abcde").unwrap_err(),
            InvalidProbe::ShortSecret
        );
        let secret = secret("0123456789abcdef");
        assert_eq!(format!("{secret:?}"), "ProbeSecret(…)");
    }
}
