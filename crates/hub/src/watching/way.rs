//! How a synthetic reading gets to where kits send theirs: a client of the front door, with its TLS; or, where kits talk to a broker, of that.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use async_trait::async_trait;
use desk::Door;
use rumqttc::{AsyncClient, Broker, MqttOptions, PublishOptions, PublishResult, TlsConfiguration, Transport};
use tokio::time::timeout;
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use wire::{Topic, TopicKind};

use super::heartbeat;

/// From dialling to the broker's answer.
const CONNECT_SECONDS_MAX: u64 = 5;
/// How long the goodbye may take.
const GOODBYE_MAX: Duration = Duration::from_millis(500);

/// Brings a synthetic reading to where kits send.
#[async_trait]
pub trait Way: Send + Sync + 'static {
    /// What it is called in a log.
    fn name(&self) -> &'static str;

    /// Does an acknowledgement mean that the message is stored? (A broker's own does not.)
    fn acknowledged_means_stored(&self) -> bool;

    /// Sends a message as the heartbeat's kit, and waits until it is acknowledged.
    ///
    /// # Errors
    /// A sentence: why it was not.
    async fn send(&mut self, payload: Vec<u8>) -> Result<(), String>;
}

/// Over HTTP, past its server: where there is no front door, this is the door that is always there.
pub struct ByDoor(pub Arc<dyn Door>);

#[async_trait]
impl Way for ByDoor {
    fn name(&self) -> &'static str {
        "HTTP"
    }

    fn acknowledged_means_stored(&self) -> bool {
        true
    }

    async fn send(&mut self, payload: Vec<u8>) -> Result<(), String> {
        let taken = self.0.take(heartbeat::NAME, heartbeat::secret().as_bytes(), payload.into()).await;
        taken.map(drop).map_err(|refused| format!("refused: {refused:?}"))
    }
}

/// By MQTT, as kits do: with a connection of its own for every message, so that coming in is tried too.
pub struct ByMqtt {
    name: &'static str,
    options: MqttOptions,
    acknowledged_means_stored: bool,
}

impl ByMqtt {
    /// To the front door at `addr`, which shows this certificate, if it speaks TLS.
    ///
    /// # Errors
    /// The certificate can't be read.
    pub fn front_door(addr: SocketAddr, certificate: Option<&Path>) -> anyhow::Result<Self> {
        let host = match addr.ip() {
            ip if ip.is_unspecified() && ip.is_ipv4() => "127.0.0.1".to_owned(),
            ip if ip.is_unspecified() => "::1".to_owned(),
            ip => ip.to_string(),
        };
        let mut options = MqttOptions::new(heartbeat::NAME, Broker::tcp(host, addr.port()));
        options.set_credentials(heartbeat::NAME, heartbeat::secret().as_bytes().to_vec());
        if let Some(certificate) = certificate {
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(only(certificate)?))));
        }
        Ok(Self { acknowledged_means_stored: true, ..Self::with("front door", options) })
    }

    /// As these options say, e.g. to a broker beside the service.
    #[must_use]
    pub fn with(name: &'static str, mut options: MqttOptions) -> Self {
        let mut network = rumqttc::NetworkOptions::new();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(CONNECT_SECONDS_MAX);
        options.set_network_options(network);
        options.set_clean_start(true);
        Self { name, options, acknowledged_means_stored: false }
    }
}

#[async_trait]
impl Way for ByMqtt {
    fn name(&self) -> &'static str {
        self.name
    }

    fn acknowledged_means_stored(&self) -> bool {
        self.acknowledged_means_stored
    }

    async fn send(&mut self, payload: Vec<u8>) -> Result<(), String> {
        let builder = AsyncClient::builder(self.options.clone()).capacity(4);
        let (client, mut connection) = builder.try_build().map_err(|error| error.to_string())?;
        let topic = Topic::new(&heartbeat::kit(), TopicKind::Readings).to_string();
        let notice = client
            .try_publish_tracked(topic, payload, PublishOptions::at_least_once())
            .map_err(|error| error.to_string())?;
        let mut acknowledged = std::pin::pin!(notice.wait_async());
        let answer = loop {
            tokio::select! {
                answer = &mut acknowledged => break answer,
                event = connection.poll() => { event.map_err(|error| error.to_string())?; }
            }
        };
        // Politely, if it goes quickly; dropping the connection would do.
        if client.disconnect().await.is_ok() {
            let _ended = timeout(GOODBYE_MAX, async { while connection.poll().await.is_ok() {} }).await;
        }
        match answer {
            Ok(PublishResult::Qos1(ack)) if ack.reason == rumqttc::PubAckReason::Success => Ok(()),
            Ok(other) => Err(format!("refused: {other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Trusts the one certificate that the service itself shows, whatever names stand in it: the heartbeat calls by the address. Shows the heartbeat's
/// own where kits have to show one.
fn only(certificate: &Path) -> anyhow::Result<ClientConfig> {
    let file = || certificate.display().to_string();
    let own = CertificateDer::from_pem_file(certificate).with_context(file)?;
    let provider = Arc::new(ring::default_provider());
    let only = Arc::new(Only { own, provider: Arc::clone(&provider) });
    let (ours, key) = heartbeat::certificate();
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(only)
        .with_client_auth_cert(vec![ours.clone()], key.clone_key())
        .context("the heartbeat's own certificate")
}

#[derive(Debug)]
struct Only {
    own: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Only {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *shown == self.own {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::General("another certificate than the service's own is shown".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
