//! The layer, and what goes along with it, as the settings say.

use std::error::Error;

use tower_ownership::{
    Header, OnLostOwner, OnUnassigned, OwnershipLayer, OwnershipLayerBuilder, PostgresLookup,
    health::{HealthBuilder, HealthService},
    ownership::Feed,
    postgres::PostgresIdType,
};

use crate::{
    audit,
    layer::Layer,
    life::Life,
    probing,
    readiness::{Readiness, verify_in_the_background},
    sessions::Ids,
    settings::{Settings, directory_in_memory},
    state::States,
};

pub struct Ownership {
    pub layer: Layer,
    /// A second layer, which asks the same directory as the same machine.
    pub by_header: Option<Layer>,
    pub states: Option<States>,
    pub life: Option<Life>,
    pub health: HealthService,
    /// Held for its drop, which ends it.
    pub _feed: Option<Feed>,
}

impl Ownership {
    pub fn build(settings: &Settings, readiness: &Readiness) -> Result<Self, Box<dyn Error>> {
        let Some(url) = &settings.database else {
            let directory = directory_in_memory(settings.ids)?;
            let builder = OwnershipLayer::builder(directory.clone()).directory(directory);
            let builder = builder.session(settings.place.extractor()?);
            let layer = Layer::build(configured(builder, settings), &settings.handover)?;
            return Ok(Self {
                health: health(&layer, settings)?.build(),
                layer,
                by_header: None,
                states: None,
                life: None,
                _feed: None,
            });
        };
        let lookup = PostgresLookup::builder(url.as_str()).id_type(match settings.ids {
            Ids::Uuid => PostgresIdType::Uuid,
            Ids::Text => PostgresIdType::Text,
        });
        let lookup = match &settings.life {
            Some(life) => lookup.ownership().lost_after(life.lost_after).build()?,
            None => lookup.build()?,
        };
        let builder = || OwnershipLayer::builder(lookup.clone());
        let by_path = builder().session(settings.place.extractor()?);
        let by_path = living(configured(by_path, settings), &lookup, settings)?;
        let layer = Layer::build(by_path, &settings.handover)?;
        let by_header = match &settings.header {
            Some(header) => {
                let by_header = builder().session(Header::named(header)?);
                let by_header = living(configured(by_header, settings), &lookup, settings)?;
                Some(Layer::build(by_header, &settings.handover)?)
            }
            None => None,
        };
        // Without the triggers in the database it hears of nothing, and does no harm.
        let mut changes = lookup.change_feed();
        if let Some(direct) = &settings.watch {
            changes = changes.direct(direct.as_str());
        }
        let mut feed = Feed::builder(changes.build()?);
        if let Some(by_header) = &by_header {
            feed = feed.add_cache(by_header.cache());
        }
        let feed = feed.start(layer.cache())?;
        let life = match &settings.life {
            Some(life) => {
                let (directory, node) = (lookup.directory()?, layer.node().clone());
                if let Some(every) = life.audit {
                    audit::begin(directory.clone(), every);
                }
                Some(Life::begin(
                    life.clone(),
                    directory,
                    node,
                    readiness.clone(),
                ))
            }
            None => None,
        };
        verify_in_the_background(lookup, settings.machine.clone(), readiness.clone());
        let ready = readiness.clone();
        let mut health = health(&layer, settings)?
            // Without it, changes are seen when the freshness runs out, which is no reason to stop.
            .optional_check("changes", feed.health_check())
            .check("start", move || ready.check());
        if let Some(life) = &life {
            health = health.check("presence", life.health_check());
        }
        Ok(Self {
            layer,
            by_header,
            states: Some(States::connect(url, settings.ids)?),
            life,
            health: health.build(),
            _feed: Some(feed),
        })
    }
}

fn health(layer: &Layer, settings: &Settings) -> Result<HealthBuilder, Box<dyn Error>> {
    let mut health = layer.health();
    if let Some(probing) = &settings.probing
        && let Some(check) = probing::begin(probing, layer)?
    {
        // The way to other machines is no reason to give this one nothing to do.
        health = health.optional_check("probe", check);
    }
    Ok(health)
}

/// Lets the layer change owners, as far as the settings say.
fn living(
    builder: OwnershipLayerBuilder,
    lookup: &PostgresLookup,
    settings: &Settings,
) -> Result<OwnershipLayerBuilder, Box<dyn Error>> {
    let Some(life) = &settings.life else {
        return Ok(builder);
    };
    let builder = builder.directory(lookup.directory()?).require_membership();
    if !life.claims {
        return Ok(builder);
    }
    Ok(builder
        .on_unassigned(OnUnassigned::Claim)
        .on_lost_owner(OnLostOwner::TakeOver))
}

fn configured(builder: OwnershipLayerBuilder, settings: &Settings) -> OwnershipLayerBuilder {
    builder
        .machine(settings.machine.clone())
        .cache_policy(settings.freshness)
        .expose_internals(settings.expose_internals)
}
