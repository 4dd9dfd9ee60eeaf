//! Is the broker fit? What it says of itself when a connection is opened, one sentence for each that is missing or too small. Pure.

use rumqttc::ConnAck;

/// Under so many messages under way the broker is the bottleneck: a batch could never be full.
pub const WINDOW_WANTED: u16 = crate::pipeline::BATCH_MESSAGES_MAX as u16;
/// The largest packet of the contract: a message and its frame.
const PACKET_BYTES_WANTED: u32 = wire::MESSAGE_BYTES_MAX as u32 + 1024;
/// A session that is kept for less than this is lost over a restart of the service.
const SESSION_SECONDS_WANTED: u32 = 60;

/// What is wrong with the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// The service can't work with it at all.
    pub fatal: bool,
    /// What was found, what is wanted, and what to do.
    pub why: String,
}

/// Does it say that the largest packet it takes is smaller than the contract's? [`examine`] tells so.
#[must_use]
pub fn is_narrow(connack: &ConnAck) -> bool {
    let told = connack.properties.as_ref().and_then(|said| said.max_packet_size);
    told.is_some_and(|packet| packet < PACKET_BYTES_WANTED)
}

/// Looks at what the broker answered to the consuming connection.
#[must_use]
pub fn examine(connack: &ConnAck) -> Vec<Unfit> {
    let Some(said) = &connack.properties else { return Vec::new() };
    let mut found = Vec::new();
    let mut unfit = |wrong: bool, fatal: bool, why: String| {
        if wrong {
            found.push(Unfit { fatal, why });
        }
    };
    let off = |available: Option<u8>| available == Some(0);
    unfit(said.max_qos == Some(0), true, "it takes QoS 0 alone, want QoS 1: else nothing is acknowledged".to_owned());
    unfit(
        off(said.shared_subscription_available),
        true,
        "it has no shared subscriptions, want them: take a broker that does".to_owned(),
    );
    unfit(
        off(said.wildcard_subscription_available),
        true,
        "it has no wildcard subscriptions, want them: take a broker that does".to_owned(),
    );
    unfit(
        off(said.retain_available),
        false,
        "it retains nothing, want it: else nobody knows after a restart which kits are connected".to_owned(),
    );
    let packet = said.max_packet_size.unwrap_or(u32::MAX);
    unfit(
        is_narrow(connack),
        false,
        format!(
            "it takes packets of {packet} bytes, want at least {PACKET_BYTES_WANTED}: in mosquitto.conf, raise `max_packet_size`"
        ),
    );
    let window = said.receive_max.unwrap_or(u16::MAX);
    unfit(
        window < WINDOW_WANTED,
        false,
        format!(
            "it lets {window} messages be under way at a time, want at least {WINDOW_WANTED}: in mosquitto.conf, set `max_inflight_messages 0`"
        ),
    );
    if let Some(kept) = said.session_expiry_interval {
        unfit(
            kept < SESSION_SECONDS_WANTED,
            false,
            format!(
                "it keeps the session for {kept} s, want at least {SESSION_SECONDS_WANTED} s: messages of a restart are sent twice"
            ),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use rumqttc::{ConnAckProperties, ConnectReturnCode};

    use super::*;

    fn said() -> ConnAckProperties {
        ConnAckProperties {
            session_expiry_interval: None,
            receive_max: None,
            max_qos: None,
            retain_available: None,
            max_packet_size: None,
            assigned_client_identifier: None,
            topic_alias_max: None,
            reason_string: None,
            user_properties: Vec::new(),
            wildcard_subscription_available: None,
            subscription_identifiers_available: None,
            shared_subscription_available: None,
            server_keep_alive: None,
            response_information: None,
            server_reference: None,
            authentication_method: None,
            authentication_data: None,
        }
    }

    fn connack(properties: ConnAckProperties) -> ConnAck {
        ConnAck { session_present: false, code: ConnectReturnCode::Success, properties: Some(properties) }
    }

    #[test]
    fn a_broker_that_says_nothing_has_the_protocols_own_bounds() {
        assert_eq!(examine(&connack(said())), []);
    }

    #[test]
    fn a_sentence_for_each_that_is_too_small() {
        let small = ConnAckProperties {
            receive_max: Some(20),
            max_qos: Some(0),
            retain_available: Some(0),
            max_packet_size: Some(10_240),
            wildcard_subscription_available: Some(0),
            shared_subscription_available: Some(0),
            session_expiry_interval: Some(0),
            ..said()
        };
        let found = examine(&connack(small));
        assert_eq!((found.len(), found.iter().filter(|unfit| unfit.fatal).count()), (7, 3));
        let has = |words: &str| found.iter().any(|unfit| unfit.why.contains(words));
        assert!(has("20 messages be under way at a time, want at least 4096"), "{found:?}");
        assert!(has("packets of 10240 bytes, want at least 263168"), "{found:?}");
    }
}
