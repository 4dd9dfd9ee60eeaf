//! Style sheet, script and icon of the page, embedded. Named with a hash of their content, so that a browser never uses an old one.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::LazyLock,
};

use axum::{
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const ASSETS: &[Asset] = &[
    Asset {
        name: "kiosk.css",
        content_type: "text/css; charset=utf-8",
        bytes: include_bytes!("../../assets/kiosk.css"),
    },
    Asset {
        name: "kiosk.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../../assets/kiosk.js"),
    },
    Asset { name: "icon.svg", content_type: "image/svg+xml", bytes: include_bytes!("../../assets/icon.svg") },
];

static TAGS: LazyLock<BTreeMap<&'static str, String>> =
    LazyLock::new(|| ASSETS.iter().map(|asset| (asset.name, tag(asset.bytes))).collect());

fn tag(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// The address of an asset.
#[must_use]
pub fn url(name: &str) -> String {
    format!("/assets/{name}?v={}", TAGS.get(name).map_or("", String::as_str))
}

/// `/assets/{name}`.
pub async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{}\"", TAGS[asset.name]);
    let head = [(header::CACHE_CONTROL, "no-cache".to_owned()), (header::ETAG, tag.clone())];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, [(header::CONTENT_TYPE, asset.content_type)], asset.bytes).into_response()
}
