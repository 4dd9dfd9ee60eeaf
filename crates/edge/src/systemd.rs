//! What the kit tells the system that runs it (sd_notify): that it is ready, that it is alive, that it stops. Without systemd it tells nobody.
//!
//! Alive means that the spool has been tended: a kit whose disk hangs or whose tasks are stuck misses its time and is started again.

use sd_notify::NotifyState;

/// The spool is open and the links have been started.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The spool has just been tended.
pub fn alive(spooled: u64) {
    let status = format!("{spooled} messages wait for the clinic");
    tell(&[NotifyState::Watchdog, NotifyState::Status(&status)]);
}

/// Stopping in order.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd does not listen");
    }
}
