//! Uploads through a real nginx that land on the wrong machine, which answers before it has read them.

use reqwest::Method;
use tower_ownership::OwnershipLayerBuilder;

use crate::application::sha256;
use crate::fleet::OWNER;
use crate::nginx::{LOOPBACK, Scene};
use crate::support::client::{request, send};
use crate::support::nginx::replace;
use crate::uploads::{noise, unknown_length};

/// So often that an answer which is lost now and then is noticed.
const TIMES: usize = 20;

async fn each_upload_is_intact(length: usize, chunked: bool) {
    let Some(scene) = Scene::start().await else {
        return;
    };
    let bytes = noise(length);
    let hash = sha256(&bytes);
    for _ in 0..TIMES {
        let upload = request(Method::POST, scene.url("/upload"));
        let upload = if chunked {
            upload.body(unknown_length(&bytes))
        } else {
            upload.body(bytes.clone())
        };
        let answer = send(upload).await;
        answer.is_served_by(OWNER);
        assert_eq!(answer.json()["bytes"], length);
        assert_eq!(answer.json()["sha256"], hash);
    }
    assert_eq!(scene.wrong.served(&scene.session), 0);
}

#[tokio::test]
async fn of_900_kb() {
    each_upload_is_intact(900_000, false).await;
}

#[tokio::test]
async fn of_5_mb() {
    each_upload_is_intact(5_000_000, false).await;
}

#[tokio::test]
async fn of_5_mb_and_unknown_length() {
    each_upload_is_intact(5_000_000, true).await;
}

#[tokio::test]
async fn over_the_limit_is_413_by_nginx() {
    let Some(scene) = Scene::start().await else {
        return;
    };
    let upload = request(Method::POST, scene.url("/upload")).body(noise(17_000_000));
    assert_eq!(send(upload).await.status, 413);
}

#[tokio::test]
async fn of_60_mb_where_both_limits_allow_it() {
    let more = |shipped: String| {
        replace(
            &shipped,
            "client_max_body_size 16m",
            "client_max_body_size 64m",
        )
    };
    let reads_more = |layer: OwnershipLayerBuilder| layer.refused_body_limit(64 << 20);
    let Some(scene) = Scene::with(LOOPBACK, more, reads_more).await else {
        return;
    };
    let bytes = noise(60_000_000);
    for _ in 0..3 {
        let upload = request(Method::POST, scene.url("/upload")).body(bytes.clone());
        let answer = send(upload).await;
        answer.is_served_by(OWNER);
        assert_eq!(answer.json()["bytes"], bytes.len());
    }
}
