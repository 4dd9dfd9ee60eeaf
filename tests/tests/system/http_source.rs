//! Readings over HTTP: the same message, the same promise, and a status for everything that can happen.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tests::{
    clinic::{Clinic, KitLogin},
    program,
};

struct Kit<'a> {
    clinic: &'a Clinic,
    login: &'a KitLogin,
    client: Client,
}

impl Kit<'_> {
    async fn posts(&self, secret: &str, body: String) -> Result<Response> {
        let url = format!("{}/api/v1/readings", self.clinic.http);
        let request = self.client.post(url).basic_auth(self.login.kit.as_str(), Some(secret)).body(body);
        Ok(request.timeout(Duration::from_secs(30)).send().await?)
    }

    /// Posts with its own secret: the status and what is said.
    async fn sends(&self, body: String) -> Result<(StatusCode, Value)> {
        let answer = self.posts(&self.login.secret, body).await?;
        Ok((answer.status(), answer.json().await?))
    }
}

fn message(seq: u64, spo2: u32, minutes_ago: i64) -> String {
    let now = program::now();
    let measured_at = now - jiff::SignedDuration::from_mins(minutes_ago);
    json!({
        "seq": seq, "sent_at": now.to_string(), "session": "0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f",
        "readings": [{
            "vital": "spo2", "value": spo2, "unit": "%", "measured_at": measured_at.to_string(), "clock": "device",
            "device": "nonin-3230:501234567"
        }]
    })
    .to_string()
}

#[tokio::test]
async fn a_message_over_http_is_stored_when_it_is_answered_and_everything_else_says_why_not() -> Result<()> {
    let login = KitLogin::simulated(1);
    let clinic = Clinic::start(std::slice::from_ref(&login)).await?;
    let kit = Kit { clinic: &clinic, login: &login, client: Client::new() };

    let red = message(1, 84, 0);
    let (status, said) = kit.sends(red.clone()).await?;
    ensure!(status == StatusCode::OK && said == json!({"stored": true}), "{status} {said}");
    let stored = clinic.stored_where(|_| true).await?;
    ensure!((stored.messages, stored.alerts) == (1, 1), "answered before it was stored: {stored:?}");
    let (status, said) = kit.sends(red).await?;
    ensure!(status == StatusCode::OK && said["stored"] == true, "again: {status} {said}");

    for (what, body, wanted, words) in [
        ("nonsense", "this is not JSON".to_owned(), StatusCode::UNPROCESSABLE_ENTITY, "message: expected"),
        ("reused", message(1, 95, 0), StatusCode::UNPROCESSABLE_ENTITY, "was used before with other content"),
        ("impossible", message(2, 300, 0), StatusCode::UNPROCESSABLE_ENTITY, "is impossible"),
        (
            "too large",
            " ".repeat(300 * 1024),
            StatusCode::PAYLOAD_TOO_LARGE,
            "message has 307200 bytes, at most 262144 are taken",
        ),
        (
            "far too large",
            " ".repeat(1100 * 1024),
            StatusCode::PAYLOAD_TOO_LARGE,
            "message has more than 1048576 bytes",
        ),
    ] {
        let (status, said) = kit.sends(body).await?;
        let told = said["detail"].as_str().unwrap_or_default();
        ensure!(status == wanted && told.contains(words), "{what}: {status} {said}");
    }
    let stored = clinic.stored_where(|stored| stored.quarantined == 4).await?;
    ensure!(stored.messages == 1, "{stored:?}");

    let refused = kit.posts("guessed", message(3, 95, 0)).await?;
    ensure!(refused.status() == StatusCode::UNAUTHORIZED, "{}", refused.status());
    ensure!(
        refused
            .headers()
            .get("www-authenticate")
            .is_some_and(|how| how.to_str().is_ok_and(|how| how.starts_with("Basic")))
    );
    ensure!(refused.headers()["content-type"] == "application/problem+json");
    Ok(())
}

#[tokio::test]
async fn a_kit_that_floods_is_told_to_wait_and_another_is_not() -> Result<()> {
    let (flood, quiet) = (KitLogin::simulated(1), KitLogin::simulated(2));
    let mut clinic = Clinic::stopped(&[flood.clone(), quiet.clone()]).await?;
    clinic.configure("[limits]\nmessages_per_second = 2\nmessages_burst = 5\n")?;
    clinic.restart().await?;
    let client = Client::new();
    let kit = Kit { clinic: &clinic, login: &flood, client: client.clone() };
    let mut taken = Vec::new();
    let refused = loop {
        let seq = taken.len() as u64 + 1;
        ensure!(seq < 200, "never slowed");
        let answer = kit.posts(&flood.secret, message(seq, 95, 0)).await?;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        ensure!(answer.status() == StatusCode::OK, "{}", answer.status());
        taken.push(seq);
    };
    let wait: u64 = refused.headers().get("retry-after").context("when to come again")?.to_str()?.parse()?;
    ensure!((1..=2).contains(&wait) && taken.len() >= 5, "{wait} s after {} messages", taken.len());
    let other = Kit { clinic: &clinic, login: &quiet, client };
    ensure!(other.sends(message(1, 95, 0)).await?.0 == StatusCode::OK, "another kit's message waits for nobody");
    tokio::time::sleep(Duration::from_secs(wait)).await;
    ensure!(kit.sends(message(taken.len() as u64 + 1, 95, 0)).await?.0 == StatusCode::OK);
    let stored = clinic.stored_where(|_| true).await?;
    ensure!(stored.messages == taken.len() as u64 + 2, "{stored:?}");
    Ok(())
}
