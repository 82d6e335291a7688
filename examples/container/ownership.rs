//! The layer, and what goes along with it, as the settings say.

use std::error::Error;

use tower_ownership::{
    OnLostOwner, OnUnassigned, OwnershipLayer, OwnershipLayerBuilder, PathSegment, PostgresLookup,
    PostgresWatch,
    health::{HealthBuilder, HealthService},
};

use crate::{
    audit,
    life::Life,
    probing,
    readiness::{Readiness, verify_in_the_background},
    settings::{Settings, directory_in_memory},
    state::States,
};

pub struct Ownership {
    pub layer: OwnershipLayer,
    pub states: Option<States>,
    pub life: Option<Life>,
    pub health: HealthService,
    /// Held for its drop, which ends it.
    pub _watch: Option<PostgresWatch>,
}

impl Ownership {
    pub fn build(settings: &Settings, readiness: &Readiness) -> Result<Self, Box<dyn Error>> {
        let Some(url) = &settings.database else {
            let layer = configured(OwnershipLayer::builder(directory_in_memory()?), settings)?;
            let layer = layer.build()?;
            return Ok(Self {
                health: health(&layer, settings)?.build(),
                layer,
                states: None,
                life: None,
                _watch: None,
            });
        };
        let lookup = PostgresLookup::builder(url.as_str());
        let lookup = match settings.life {
            Some(life) => lookup.ownership().lost_after(life.lost_after).build()?,
            None => lookup.build()?,
        };
        let mut builder = configured(OwnershipLayer::builder(lookup.clone()), settings)?;
        if let Some(life) = settings.life {
            builder = builder.directory(lookup.directory()?).awaits_presence();
            if life.claims {
                builder = builder
                    .on_unassigned(OnUnassigned::Claim)
                    .on_lost_owner(OnLostOwner::TakeOver);
            }
        }
        let layer = builder.build()?;
        // Without the triggers in the database it hears of nothing, and does no harm.
        let mut watch = lookup.watch();
        if let Some(direct) = &settings.watch {
            watch = watch.direct(direct.as_str());
        }
        let watch = watch.start(layer.cache())?;
        let life = match settings.life {
            Some(life) => {
                let (directory, cache) = (lookup.directory()?, layer.cache());
                if let Some(every) = life.audit {
                    audit::begin(directory.clone(), every);
                }
                Some(Life::begin(life, directory, cache, readiness.clone()))
            }
            None => None,
        };
        verify_in_the_background(lookup, settings.machine.clone(), readiness.clone());
        let ready = readiness.clone();
        let mut health = health(&layer, settings)?
            // Without it, changes are seen when the freshness runs out, which is no reason to stop.
            .report("watch", watch.health_check())
            .check("start", move || ready.check());
        if let Some(life) = &life {
            health = health.check("presence", life.health_check());
        }
        Ok(Self {
            layer,
            states: Some(States::connect(url)?),
            life,
            health: health.build(),
            _watch: Some(watch),
        })
    }
}

fn health(layer: &OwnershipLayer, settings: &Settings) -> Result<HealthBuilder, Box<dyn Error>> {
    let mut health = layer.health();
    if let Some(probing) = &settings.probing
        && let Some(check) = probing::begin(probing, layer)?
    {
        // The way to other machines is no reason to give this one nothing to do.
        health = health.report("probe", check);
    }
    Ok(health)
}

fn configured(
    builder: OwnershipLayerBuilder,
    settings: &Settings,
) -> Result<OwnershipLayerBuilder, Box<dyn Error>> {
    let builder = match &settings.probing {
        Some(probing) => probing::answering(builder, probing)?,
        None => builder,
    };
    Ok(builder
        .session(PathSegment::after("/session")?)
        .machine(settings.machine.clone())
        .freshness(settings.freshness)
        .show_internals(settings.show_internals)
        .replay(settings.replay.clone()))
}
