//! Micro benches of the pure crates live in `benches/`; the whole pipeline is measured by `vagt bench ingest`.
