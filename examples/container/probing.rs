//! Whether requests get to a session's owner, asked where clients ask: the feature `probe`.

use std::{error::Error, sync::Arc};

use axum::Router;
use tower_ownership::health::HealthCheck;

use crate::{
    layer::Layer,
    settings::{Probing, Settings},
};

/// Puts the layer around the router; it answers the fleet's probes if the settings say so.
pub fn layered(
    router: Router,
    layer: &Layer,
    settings: &Settings,
) -> Result<Router, Box<dyn Error>> {
    match &settings.probing {
        Some(probing) => answering(router, layer, probing),
        None => Ok(layer.around(router)),
    }
}

#[cfg(feature = "probe")]
fn answering(router: Router, layer: &Layer, probing: &Probing) -> Result<Router, Box<dyn Error>> {
    let secret = tower_ownership::probe::ProbeSecret::new(&probing.secret)?;
    Ok(layer.answering(router, secret))
}

/// Probes again and again, if there is an address; returns what became of the last probe.
#[cfg(feature = "probe")]
pub fn begin(
    probing: &Probing,
    layer: &Layer,
) -> Result<Option<Arc<dyn HealthCheck>>, Box<dyn Error>> {
    use http::{HeaderName, HeaderValue};
    use tokio::{sync::watch, time::Instant};
    use tower_ownership::{
        health::Check,
        probe::{Probe, ProbeSecret},
    };

    let Some(target) = &probing.target else {
        return Ok(None);
    };
    // Fly's proxy then brings it here first, so that it has to be replayed. Others do not read it.
    let here = HeaderValue::from_str(layer.node().machine().as_str())?;
    let prefers = HeaderName::from_static("fly-prefer-instance-id");
    let secret = ProbeSecret::new(&probing.secret)?;
    let mut probe = Probe::new(&target.url, target.session.clone(), secret)?.header(prefers, here);
    if let Some((name, value)) = &target.header {
        probe = probe.header(name.clone(), value.clone());
    }
    let (layer, every) = (layer.clone(), probing.every);
    let nothing = (Check::ok("nothing was probed yet"), Instant::now());
    let (told, latest) = watch::channel(nothing);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(every).await;
            let outcome = layer.probe(&probe).await;
            let check = Check::from(&outcome);
            if !check.is_ok() {
                tracing::warn!(%outcome, "a probe did not get to the session's owner");
            }
            if told.send((check, Instant::now())).is_err() {
                // The health pages are gone.
                return;
            }
        }
    });
    let check = move || {
        let (check, at) = latest.borrow().clone();
        check.with_age(at.elapsed())
    };
    Ok(Some(Arc::new(check)))
}

#[cfg(not(feature = "probe"))]
const NOT_BUILT: &str =
    "OWNERSHIP_PROBE_SECRET: this container was built without the feature probe";

#[cfg(not(feature = "probe"))]
fn answering(_: Router, _: &Layer, _: &Probing) -> Result<Router, Box<dyn Error>> {
    Err(NOT_BUILT.into())
}

#[cfg(not(feature = "probe"))]
pub fn begin(_: &Probing, _: &Layer) -> Result<Option<Arc<dyn HealthCheck>>, Box<dyn Error>> {
    Err(NOT_BUILT.into())
}
