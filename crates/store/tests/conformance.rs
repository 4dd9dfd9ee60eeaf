//! Every backend keeps every promise of the conformance suite.

mod servers;

use std::{path::Path, sync::Arc};

use servers::{Cluster, Timescale};
use store::{
    Postgres, Sqlite, Store, conformance,
    postgres::{Layout, Server},
};

async fn on_sqlite(folder: &Path) -> Vec<String> {
    conformance::run(|case| {
        let path = Arc::new(folder.join(format!("{}.db", case.name)));
        Box::new(move || {
            let path = path.clone();
            Box::pin(async move { Ok(Box::new(Sqlite::open(&path).await?) as Box<dyn Store>) })
        })
    })
    .await
}

/// `fresh` gives an empty database for each case.
async fn on_postgres(fresh: impl Fn(&str) -> String, layout: Layout) -> Vec<String> {
    conformance::run(|case| {
        let server = Server::new(&fresh(case.name)).expect("the URL of a test's own server");
        Box::new(move || {
            let server = server.clone();
            Box::pin(async move {
                let store = Postgres::open(&server).await?;
                assert_eq!(store.layout(), layout);
                Ok(Box::new(store) as Box<dyn Store>)
            })
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let failed = on_sqlite(folder.path()).await;
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    let cluster = Cluster::quick();
    let failed = on_postgres(|name| cluster.database(name), Layout::Native).await;
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timescale() {
    let server = Timescale::start();
    let emptied = |_: &str| {
        server.psql("DROP SCHEMA IF EXISTS vagt CASCADE");
        server.url()
    };
    let failed = on_postgres(emptied, Layout::Timescale).await;
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = conformance::CASES.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), conformance::CASES.len());
    assert!(names.len() >= 50);
}
