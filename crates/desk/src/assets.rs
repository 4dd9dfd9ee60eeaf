//! Style sheet, scripts and licences, embedded: our own from `assets/own`, htmx and uPlot from `assets/dist`, which `make assets` fills.
//!
//! A page names an asset with a hash of its content, so that a browser may keep it for ever and never uses an old one.

use std::{collections::HashMap, sync::LazyLock};

use axum::{
    extract::{Path, Query},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};
use serde::Deserialize;

#[derive(RustEmbed)]
#[folder = "assets/own/"]
struct Own;

#[derive(RustEmbed)]
#[folder = "assets/dist/"]
struct Npm;

static HASHES: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let names = Own::iter().chain(Npm::iter());
    names.filter_map(|name| Some((name.to_string(), hash(&find(&name)?)))).collect()
});

/// The address of an asset, with the hash of its content.
pub fn url(name: &str) -> String {
    let hash = HASHES.get(name).map_or("", String::as_str);
    format!("/assets/{name}?v={hash}")
}

#[derive(Deserialize)]
pub struct Version {
    v: Option<String>,
}

/// `/assets/{name}`.
pub async fn asset(Path(name): Path<String>, Query(asked): Query<Version>, headers: HeaderMap) -> Response {
    let Some(file) = find(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let hash = hash(&file);
    let tag = format!("\"{hash}\"");
    let keep = if asked.v.as_deref() == Some(&hash) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let head = [(header::CACHE_CONTROL, keep.to_owned()), (header::ETAG, tag.clone())];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, [(header::CONTENT_TYPE, content_type(&name))], file.data).into_response()
}

fn find(name: &str) -> Option<EmbeddedFile> {
    Own::get(name).or_else(|| Npm::get(name))
}

fn hash(file: &EmbeddedFile) -> String {
    file.metadata.sha256_hash()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_asset_that_a_template_names_is_there_and_has_its_type() {
        for name in [
            "desk.css",
            "live.js",
            "queue.js",
            "curves.js",
            "htmx.min.js",
            "uPlot.iife.min.js",
            "uPlot.min.css",
            "icon.svg",
        ] {
            assert!(find(name).is_some(), "{name}");
            assert!(url(name).contains("?v=") && !url(name).ends_with('='), "{name}");
            assert_ne!(content_type(name), "text/plain; charset=utf-8", "{name}");
        }
    }
}
