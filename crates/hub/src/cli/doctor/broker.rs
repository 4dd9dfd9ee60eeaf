//! The broker, if readings come from one: can it be reached, is it large enough, and who may do what there?

use super::check::Check;
use crate::{
    config::{Broker, Config},
    source::broker::{self, fit::Unfit},
};

/// Asks the broker, and tries what it allows.
pub async fn checks(config: &Config) -> Vec<Check> {
    let Some(wanted) = &config.broker else { return Vec::new() };
    let at = format!("{}:{}", wanted.host, wanted.port);
    match look(wanted).await {
        Ok(unfit) if unfit.is_empty() => {
            let found = "answers, the bounds that it tells are wide enough, it takes the largest message, and it lets the service do what it \
                         must. How much it keeps for a service that is away it does not tell (`max_queued_messages`)";
            vec![Check::ok("broker", format!("{at} {found}"))]
        }
        Ok(unfit) => unfit.iter().map(|unfit| told(&at, unfit)).collect(),
        Err(why) => {
            let todo = "is it running, and are address, user, password and certificate in [broker] right?";
            vec![Check::fail("broker", format!("{at}: {why}"), todo)]
        }
    }
}

/// What can't work at all is not tried.
async fn look(wanted: &Broker) -> Result<Vec<Unfit>, String> {
    let mut unfit = broker::ask(wanted).await?;
    if !unfit.iter().any(|unfit| unfit.fatal) {
        let untried = |why| vec![Unfit { fatal: false, why: format!("what it allows can't be tried: {why}") }];
        unfit.extend(broker::trial::attempt(wanted).await.unwrap_or_else(untried));
    }
    Ok(unfit)
}

fn told(at: &str, unfit: &Unfit) -> Check {
    let (found, todo) =
        (format!("{at}: {}", unfit.why), "see config/mosquitto/mosquitto.conf and config/mosquitto/acl");
    if unfit.fatal { Check::fail("broker", found, todo) } else { Check::warn("broker", found, todo) }
}
