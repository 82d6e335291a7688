//! Whether a replay may be carried out.

use super::cache_order::CacheOrder;
use super::event::EdgeErrorKind;
use super::instruction::Instruction;
use super::journey::{Journey, Refusal};
use super::machine::Slot;

/// A machine may answer with a replay ten times per request; one more is PA02 (Fly docs: Error
/// codes and troubleshooting).
const MAX_REPLAYS: u32 = 10;

impl Journey {
    /// What forbids the replay that `from` answered with.
    pub(super) fn allowed(&self, instruction: &Instruction, from: &Slot) -> Result<(), Refusal> {
        if self.fell_back {
            return Err(Refusal::new(
                EdgeErrorKind::ReplayAfterFallback,
                format!("{} replayed a request that had fallen back", from.id),
            ));
        }
        if self.replays == MAX_REPLAYS {
            return Err(Refusal::new(
                EdgeErrorKind::TooManyReplays,
                format!("{} asked for replay number {}", from.id, self.replays + 1),
            ));
        }
        self.allowed_app(instruction, from)?;
        if !self.is_cached(instruction) {
            return Ok(());
        }
        let conflict = instruction.state.is_some()
            || instruction.timeout.is_some()
            || instruction.fallback.is_some()
            || !instruction.transform.is_empty();
        if conflict {
            return Err(Refusal::new(
                EdgeErrorKind::CacheConflict,
                "a cached replay cannot carry state, timeout, fallback or a transformation",
            ));
        }
        match &instruction.cache {
            CacheOrder::Store(pattern) if !pattern.matches(&self.host, self.path.path()) => {
                Err(Refusal::new(
                    EdgeErrorKind::MalformedReplay,
                    "the pattern to be cached does not match this request",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Whether this replay is remembered, because it asks for that or its session has a cache.
    fn is_cached(&self, instruction: &Instruction) -> bool {
        match instruction.cache {
            CacheOrder::Store(_) => true,
            CacheOrder::Invalidate => false,
            CacheOrder::None => self.session_key().is_some(),
        }
    }

    /// Whether a replay may go to the app that it names.
    fn allowed_app(&self, instruction: &Instruction, from: &Slot) -> Result<(), Refusal> {
        let (fleet, settings) = (&self.shared.fleet, &self.shared.settings);
        let Some(there) = (instruction.target.app.as_deref()).and_then(|app| fleet.of_app(app))
        else {
            return Ok(());
        };
        let (source, target) = (&from.organization, &there.organization);
        let allows = |(of, allowed): &(String, String)| of == target && allowed == source;
        if source != target && !settings.replay_sources.iter().any(allows) {
            return Err(Refusal::new(
                EdgeErrorKind::OtherOrganization,
                format!(
                    "{target} does not allow replays from {source} (`fly orgs replay-sources add`)"
                ),
            ));
        }
        let crosses = from.network != there.network;
        if crosses && !settings.cross_network_replays.contains(target) {
            return Err(Refusal::new(
                EdgeErrorKind::CrossNetwork,
                format!(
                    "cross-network replays are not allowed in {target} \
                     (`fly orgs cross-network-replays enable`)"
                ),
            ));
        }
        Ok(())
    }
}
