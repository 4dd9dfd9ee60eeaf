//! Says what to do when the pages' npm assets have not been made, instead of failing later with a missing folder.

use std::path::Path;

const NEEDED: &[&str] = &["htmx.min.js", "uPlot.iife.min.js", "uPlot.min.css"];

fn main() {
    let dist = Path::new("assets/dist");
    for folder in ["assets/dist", "assets/own", "locales", "templates"] {
        println!("cargo:rerun-if-changed={folder}");
    }
    if let Some(missing) = NEEDED.iter().find(|name| !dist.join(name).is_file()) {
        println!(
            "cargo::error=crates/desk/assets/dist/{missing} is missing: run `make assets` once (it needs Node.js and npm)"
        );
    }
}
