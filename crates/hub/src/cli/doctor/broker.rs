//! The broker, if readings come from one: can it be reached, is it large enough, and who may do what there?

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressStyle};

use super::check::Check;
use crate::{
    config::{Broker, Config},
    source::broker::{
        self,
        away::{self, MESSAGES_WANTED},
        fit::Unfit,
    },
};

/// Asks the broker, and tries what it allows. `quick`: not how much it keeps, which takes seconds and tens of thousands of messages.
pub async fn checks(config: &Config, quick: bool) -> Vec<Check> {
    let Some(wanted) = &config.broker else { return Vec::new() };
    let at = format!("{}:{}", wanted.host, wanted.port);
    match look(wanted, quick).await {
        Ok(unfit) if unfit.is_empty() => {
            let found = "answers, the bounds that it tells are wide enough, it takes the largest message, and it lets the service do what it must";
            let kept = match quick {
                true => "how much it keeps for a service that is away was not tried (`--quick`)".to_owned(),
                false => format!("it kept all of {MESSAGES_WANTED} messages for a service that was away"),
            };
            vec![Check::ok("broker", format!("{at} {found}; {kept}"))]
        }
        Ok(unfit) => unfit.iter().map(|unfit| told(&at, unfit)).collect(),
        Err(why) => {
            let todo = "is it running, and are address, user, password and certificate in [broker] right?";
            vec![Check::fail("broker", format!("{at}: {why}"), todo)]
        }
    }
}

/// What can't work at all is not tried.
async fn look(wanted: &Broker, quick: bool) -> Result<Vec<Unfit>, String> {
    let untried = |what: &str, why: String| Unfit { fatal: false, why: format!("{what} can't be tried: {why}") };
    let fatal = |unfit: &[Unfit]| unfit.iter().any(|unfit| unfit.fatal);
    let mut unfit = broker::ask(wanted).await?;
    if !fatal(&unfit) {
        let allowed = broker::trial::attempt(wanted).await;
        unfit.extend(allowed.unwrap_or_else(|why| vec![untried("what it allows", why)]));
    }
    if !quick && !fatal(&unfit) {
        let kept = keeps(wanted).await;
        unfit.extend(kept.unwrap_or_else(|why| Some(untried("how much it keeps for a service that is away", why))));
    }
    Ok(unfit)
}

/// What speaks against how much it keeps, with a bar while it is tried.
async fn keeps(wanted: &Broker) -> Result<Option<Unfit>, String> {
    let bar = bar();
    let found = away::attempt(wanted, |messages| bar.set_position(messages.into())).await;
    bar.finish_and_clear();
    found
}

/// A bar on standard error, if that is a terminal: every message is sent, and comes back.
fn bar() -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::from(MESSAGES_WANTED) * 2);
    let style = ProgressStyle::with_template("{bar:40} {percent} % of trying what the broker keeps");
    bar.set_style(style.expect("the template is a constant"));
    bar
}

fn told(at: &str, unfit: &Unfit) -> Check {
    let (found, todo) =
        (format!("{at}: {}", unfit.why), "see config/mosquitto/mosquitto.conf and config/mosquitto/acl");
    if unfit.fatal { Check::fail("broker", found, todo) } else { Check::warn("broker", found, todo) }
}
