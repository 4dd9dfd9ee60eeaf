//! The broker, if readings come from one: can it be reached, and is it large enough?

use super::check::Check;
use crate::{config::Config, source::broker};

/// Asks the broker.
pub async fn checks(config: &Config) -> Vec<Check> {
    let Some(wanted) = &config.broker else { return Vec::new() };
    let at = format!("{}:{}", wanted.host, wanted.port);
    let unfit = match broker::ask(wanted).await {
        Ok(unfit) => unfit,
        Err(why) => {
            let todo = "is it running, and are address, user, password and certificate in [broker] right?";
            return vec![Check::fail("broker", format!("{at}: {why}"), todo)];
        }
    };
    if unfit.is_empty() {
        return vec![Check::ok("broker", format!("{at} answers, and its bounds are wide enough"))];
    }
    let told = |unfit: &broker::fit::Unfit| {
        let (found, todo) = (format!("{at}: {}", unfit.why), "see config/mosquitto/mosquitto.conf");
        if unfit.fatal { Check::fail("broker", found, todo) } else { Check::warn("broker", found, todo) }
    };
    unfit.iter().map(told).collect()
}
