//! Where a fresh request goes first.

use http::StatusCode;

use super::cache::{Asked, Cached};
use super::connect::{Unreached, reach};
use super::headers;
use super::hop::HopKind;
use super::instruction::Target;
use super::journey::{Journey, Refusal, Stop};
use super::region;
use super::session_cache::{self, SessionKey};

impl Journey {
    /// The first delivery. A forced machine comes first, then the replay cache, then what the
    /// client prefers, then the edge's own choice.
    pub(super) async fn land(&mut self) -> Result<Stop, Refusal> {
        let forced = self.forced();
        if forced.is_none()
            && let Some(stop) = self.land_by_cache().await
        {
            return Ok(stop);
        }
        let target = forced.unwrap_or_else(|| self.chosen());
        let app = self.shared.settings.app.clone();
        self.land_at(&app, &target, None, HopKind::Landed)
            .await
            .map_err(|unreached| Refusal {
                status: StatusCode::SERVICE_UNAVAILABLE,
                kind: unreached.kind,
                detail: unreached.detail,
            })
    }

    /// What the client insists on (Fly docs: Dynamic Request Routing, "Alternative Routing
    /// Headers").
    fn forced(&self) -> Option<Target> {
        if let Some(id) = headers::text(&self.headers, "fly-force-instance-id") {
            return Some(Target::instance(id));
        }
        let regions = self.regions("fly-force-region")?;
        Some(Target {
            regions,
            ..Target::default()
        })
    }

    /// What the client prefers, or the edge's choice.
    fn chosen(&self) -> Target {
        if let Some(id) = headers::text(&self.headers, "fly-prefer-instance-id") {
            return Target {
                prefer_instance: Some(id.to_owned()),
                ..Target::default()
            };
        }
        if let Some(mut regions) = self.regions("fly-prefer-region") {
            regions.push("any".into());
            return Target {
                regions,
                ..Target::default()
            };
        }
        match self.shared.pinned() {
            Some(id) => Target::instance(&id),
            None => Target::default(),
        }
    }

    fn regions(&self, name: &str) -> Option<Vec<String>> {
        region::parse_list(headers::text(&self.headers, name)?)
    }

    /// The session that the request is of, for the replay cache.
    pub(super) fn session_key(&self) -> Option<SessionKey> {
        let rules = &self.shared.settings.session_caches;
        session_cache::key(rules, self.path.path(), &self.headers)
    }

    pub(super) fn asked<'a>(&'a self, session: Option<&'a SessionKey>) -> Asked<'a> {
        Asked {
            host: &self.host,
            path: self.path.path(),
            session,
        }
    }

    async fn land_by_cache(&mut self) -> Option<Stop> {
        let cache = &self.shared.cache;
        let session = self.session_key();
        let asked = self.asked(session.as_ref());
        let entry = cache.find(asked)?;
        let skip = headers::text(&self.headers, "fly-replay-cache-control") == Some("skip");
        if skip && entry.allow_bypass {
            self.cache_bypassed = true;
            return None;
        }
        let Cached {
            target,
            app,
            emitter,
            ..
        } = &entry;
        match self
            .land_at(app, target, Some(emitter), HopKind::CacheHit)
            .await
        {
            Ok(mut stop) => {
                stop.notes.push((headers::CACHE_STATUS, "hit".into()));
                Some(stop)
            }
            // The cache is an optimisation: when it leads nowhere, the app is asked again.
            Err(unreached) => {
                self.shared.cache.invalidate(self.asked(session.as_ref()));
                self.event(
                    unreached.kind,
                    format!("cached replay: {}", unreached.detail),
                );
                None
            }
        }
    }

    async fn land_at(
        &self,
        app: &str,
        target: &Target,
        emitter: Option<&str>,
        kind: HopKind,
    ) -> Result<Stop, Unreached> {
        let candidates = self.shared.fleet.candidates(app, target, emitter);
        let settings = &self.shared.settings;
        let reached = reach(
            &self.shared.tasks,
            settings,
            &candidates,
            settings.replay_timeout,
        )
        .await?;
        let notes = target.missed(&reached.slot.id).into_iter().collect();
        Ok(Stop {
            reached,
            kind,
            reason: None,
            notes,
        })
    }
}
