//! What the edge does with a replay.

use std::time::{Duration, Instant};

use http::HeaderName;
use tokio::time::timeout;

use super::cache::{Cached, Covers};
use super::cache_order::CacheOrder;
use super::connect::{Reached, Unreached, reach};
use super::event::EdgeErrorKind;
use super::headers;
use super::hop::HopKind;
use super::instruction::{Fallback, Instruction, Target};
use super::journey::{Journey, Refusal, Stop};
use super::machine::Slot;
use super::request_id::micros_since_1970;
use super::tape::Unrecorded;

impl Journey {
    /// Carries out a replay that `from` answered with.
    pub(super) async fn follow(
        &mut self,
        instruction: Instruction,
        from: &Slot,
    ) -> Result<Stop, Refusal> {
        self.allowed(&instruction, from)?;
        self.record_body().await?;
        self.tell_cache(&instruction, from);
        self.replays += 1;
        let started = Instant::now();
        match self.reach_target(&instruction, from).await {
            Ok(reached) => Ok(self.replayed(&instruction, from, reached)),
            Err(unreached) => {
                self.fall_back(&instruction, from, unreached, started.elapsed())
                    .await
            }
        }
    }

    /// A request is replayed whole or not at all.
    async fn record_body(&self) -> Result<(), Refusal> {
        let settings = &self.shared.settings;
        let why = match timeout(settings.body_wait, self.upload.tape.finish()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(Unrecorded::TooLarge)) => {
                format!("the body is larger than {} bytes", settings.body_limit)
            }
            Ok(Err(Unrecorded::Broken)) => "the client broke off its body".into(),
            Err(_) => format!("the body did not end within {:?}", settings.body_wait),
        };
        Err(Refusal::new(EdgeErrorKind::BodyTooLarge, why))
    }

    fn tell_cache(&self, instruction: &Instruction, from: &Slot) {
        let session = self.session_key();
        let (covers, ttl, allow_bypass) = match (&instruction.cache, &session) {
            (CacheOrder::Invalidate, _) => {
                let asked = self.asked(session.as_ref());
                return self.shared.cache.invalidate(asked);
            }
            (CacheOrder::Store(pattern), _) => {
                let covers = Covers::Path(pattern.clone());
                (covers, pattern.ttl, pattern.allow_bypass)
            }
            (CacheOrder::None, Some(key)) => {
                let rule = &self.shared.settings.session_caches[key.rule];
                (Covers::Session(key.clone()), rule.ttl, rule.allow_bypass)
            }
            (CacheOrder::None, None) => return,
        };
        let cached = Cached {
            target: instruction.target.clone(),
            allow_bypass,
            app: from.app.clone(),
            emitter: from.id.clone(),
        };
        self.shared.cache.store(&self.host, covers, ttl, cached);
    }

    async fn reach_target(
        &self,
        instruction: &Instruction,
        from: &Slot,
    ) -> Result<Reached, Unreached> {
        let (target, fleet) = (&instruction.target, &self.shared.fleet);
        if let Some(app) = target
            .app
            .as_ref()
            .filter(|app| fleet.of_app(app).is_none())
        {
            return Err(Unreached {
                kind: EdgeErrorKind::AppNotFound,
                detail: format!("no machine of app {app}"),
            });
        }
        let candidates = fleet.candidates(&from.app, target, Some(&from.id));
        if let Some(id) = target.instance.as_ref().filter(|_| candidates.is_empty()) {
            return Err(Unreached {
                kind: EdgeErrorKind::MachineNotFound,
                detail: format!("machine {id} is not registered, or not where it was looked for"),
            });
        }
        let settings = &self.shared.settings;
        let budget = instruction.timeout.unwrap_or(settings.replay_timeout);
        reach(&self.shared.tasks, settings, &candidates, budget).await
    }

    fn replayed(&mut self, instruction: &Instruction, from: &Slot, reached: Reached) -> Stop {
        instruction
            .transform
            .apply(&mut self.path, &mut self.headers);
        let status = if self.cache_bypassed {
            "bypass"
        } else {
            "miss"
        };
        let mut notes = vec![
            (headers::REPLAY_SRC, replay_src(instruction, from)),
            (headers::CACHE_STATUS, status.to_owned()),
        ];
        notes.extend(instruction.target.missed(&reached.slot.id));
        Stop {
            reached,
            kind: HopKind::Replayed,
            reason: None,
            notes,
        }
    }

    /// Gives the request back to the machine that wanted it replayed, if that asked for it.
    async fn fall_back(
        &mut self,
        instruction: &Instruction,
        from: &Slot,
        unreached: Unreached,
        elapsed: Duration,
    ) -> Result<Stop, Refusal> {
        let reason = unreached.reason();
        let Some(fallback) = instruction.fallback else {
            return Err(Refusal::new(unreached.kind, unreached.detail));
        };
        self.event(unreached.kind, unreached.detail);
        let (fleet, settings) = (&self.shared.fleet, &self.shared.settings);
        let target = match fallback {
            Fallback::ForceSelf => Target::instance(&from.id),
            Fallback::PreferSelf => Target {
                prefer_instance: Some(from.id.clone()),
                ..Target::default()
            },
        };
        let candidates = fleet.candidates(&from.app, &target, None);
        let reached = reach(
            &self.shared.tasks,
            settings,
            &candidates,
            settings.replay_timeout,
        )
        .await
        .map_err(|unreached| {
            Refusal::new(unreached.kind, format!("fallback: {}", unreached.detail))
        })?;
        let failed = self.replay_failed(instruction, from, reason, elapsed);
        self.fell_back = true;
        Ok(Stop {
            reached,
            kind: HopKind::FellBack,
            reason: Some(reason.to_owned()),
            notes: vec![(headers::REPLAY_FAILED, failed)],
        })
    }

    /// The header `fly-replay-failed`. Fields that the replay did not say are left out.
    fn replay_failed(
        &self,
        instruction: &Instruction,
        from: &Slot,
        reason: &str,
        elapsed: Duration,
    ) -> String {
        let target = &instruction.target;
        let mut fields = Vec::new();
        let instance = target.instance.as_ref().or(target.prefer_instance.as_ref());
        if let Some(id) = instance {
            fields.push(format!("instance={id}"));
        }
        fields.push(format!("app={}", target.app.as_ref().unwrap_or(&from.app)));
        let known = instance.and_then(|id| self.shared.fleet.get(id));
        match (target.regions.as_slice(), known) {
            ([], None) => {}
            ([], Some(slot)) => fields.push(format!("region={}", slot.region)),
            ([one], _) => fields.push(format!("region={one}")),
            (several, _) => fields.push(format!("region=\"{}\"", several.join(","))),
        }
        fields.push(format!("replay_source={}", from.id));
        fields.push(format!("reason={reason}"));
        fields.push(format!("elapsed_ms={}", elapsed.as_millis()));
        fields.join(";")
    }
}

impl Target {
    pub(super) fn instance(id: &str) -> Self {
        Self {
            instance: Some(id.to_owned()),
            ..Self::default()
        }
    }

    /// What to tell `reached` if another machine was preferred.
    pub(super) fn missed(&self, reached: &str) -> Option<(HeaderName, String)> {
        let preferred = self.prefer_instance.as_ref().filter(|id| *id != reached)?;
        Some((headers::PREFERRED_UNAVAILABLE, preferred.clone()))
    }
}

/// The header `fly-replay-src`: the last emitter only, with the state it gave, if any. What Fly
/// keeps of an earlier replay is not documented.
fn replay_src(instruction: &Instruction, from: &Slot) -> String {
    let mut src = format!(
        "instance={};region={};t={}",
        from.id,
        from.region,
        micros_since_1970()
    );
    if let Some(state) = &instruction.state {
        src.push_str(";state=");
        src.push_str(state);
    }
    src
}
