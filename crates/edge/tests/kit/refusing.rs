//! A broker, played here, that refuses some messages for what they are: the rest must not wait for them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bytes::BytesMut;
use rumqttc::{
    ConnAck, ConnAckProperties, ConnectReturnCode, Packet, PubAck, PubAckReason, Publish, QoS, SubAck,
    SubscribeReasonCode,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What it does with a message of this number.
pub type Verdict = fn(u64) -> PubAckReason;

/// Broker and core in one: what it takes is stored, and told in `acks` as far as nothing is missing before it.
pub struct Refusing {
    pub port: u16,
    /// How often each number came.
    pub came: Arc<Mutex<BTreeMap<u64, u32>>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Clone, Copy)]
struct Rules {
    verdict: Verdict,
    packet_bytes_max: Option<u32>,
}

impl Refusing {
    pub async fn start(verdict: Verdict, packet_bytes_max: Option<u32>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (came, rules) = (Arc::default(), Rules { verdict, packet_bytes_max });
        let heard = Arc::clone(&came);
        let task = tokio::spawn(async move {
            let mut through = None;
            while let Ok((socket, _)) = listener.accept().await {
                // One kit, one connection at a time: an error is its end.
                _ = converse(socket, rules, &heard, &mut through).await;
            }
        });
        Self { port, came, task }
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(
    mut socket: TcpStream,
    rules: Rules,
    came: &Mutex<BTreeMap<u64, u32>>,
    through: &mut Option<u64>,
) -> std::io::Result<()> {
    let (mut bytes, mut taken) = (BytesMut::new(), Vec::new());
    loop {
        while let Ok(packet) = Packet::read(&mut bytes, None) {
            let answers = match packet {
                Packet::Connect(..) => vec![welcome(rules.packet_bytes_max)],
                Packet::Subscribe(asked) => {
                    let return_codes = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce); asked.filters.len()];
                    vec![Packet::SubAck(SubAck { pkid: asked.pkid, return_codes, properties: None })]
                }
                Packet::Publish(publish) => published(&publish, rules, came, &mut taken, through),
                Packet::PingReq => vec![Packet::PingResp],
                _ => Vec::new(),
            };
            let mut out = BytesMut::new();
            answers.iter().for_each(|answer| _ = answer.write(&mut out, None));
            socket.write_all(&out).await?;
        }
        if socket.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
}

fn welcome(max_packet_size: Option<u32>) -> Packet {
    let properties = ConnAckProperties {
        session_expiry_interval: None,
        receive_max: None,
        max_qos: None,
        retain_available: None,
        max_packet_size,
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
    };
    Packet::ConnAck(ConnAck { session_present: false, code: ConnectReturnCode::Success, properties: Some(properties) })
}

fn published(
    publish: &Publish,
    rules: Rules,
    came: &Mutex<BTreeMap<u64, u32>>,
    taken: &mut Vec<u64>,
    through: &mut Option<u64>,
) -> Vec<Packet> {
    let mut puback = PubAck::new(publish.pkid, None);
    let Ok(arrived) = wire::decode(&publish.payload) else { return vec![Packet::PubAck(puback)] };
    let (seq, oldest) = (arrived.message.seq, arrived.message.oldest.unwrap());
    *came.lock().unwrap().entry(seq).or_default() += 1;
    puback.reason = (rules.verdict)(seq);
    if puback.reason != PubAckReason::Success {
        return vec![Packet::PubAck(puback)];
    }
    // As the hub's watermark: from just below what the kit still keeps, and never over a hole.
    taken.push(seq);
    let mut to = through.unwrap_or(0).max(oldest - 1);
    while taken.contains(&(to + 1)) {
        to += 1;
    }
    *through = Some(to);
    let acks = String::from_utf8_lossy(&publish.topic).replace("/readings", "/acks");
    let acks = Publish::new(acks, QoS::AtMostOnce, format!(r#"{{"through":{to}}}"#), None);
    vec![Packet::PubAck(puback), Packet::Publish(acks)]
}
