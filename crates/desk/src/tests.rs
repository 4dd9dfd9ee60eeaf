//! Whole requests through the router, over a real SQLite store and a pipeline that decides with `triage`.

use triage::{Alert, Mark};
