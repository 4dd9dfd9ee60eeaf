//! One request to the clinic: TLS to the authority that the code names, one POST, one answer, everything bounded. So small an exchange is
//! written out here: the connection is closed after it, and nothing is chunked.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
        client::{
            WebPkiServerVerifier,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};
use wire::Code;

use super::{Answer, ENROL_PORT};
use crate::clock::CLOCK_EARLIEST;

/// How long the whole exchange may take.
const ASK_MAX: Duration = Duration::from_secs(30);
/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Where a code is exchanged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Clinic {
    pub host: String,
    port: u16,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("the clinic's address is {0:?}, want https://host or https://host:port")]
    Address(String),
    #[error("{host}:{port}: {why}; check the address, then try the same line again")]
    Unreachable { host: String, port: u16, why: String },
    #[error("{host}:{port} is not the clinic that gave out this code: its certificate is signed by another authority")]
    Stranger { host: String, port: u16 },
    /// The code was used already, with another secret.
    #[error("the clinic says: {0}")]
    Used(String),
    #[error("the clinic says: {0}")]
    Said(String),
}

/// What the clinic says when it refuses.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

impl Clinic {
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let wrong = || Refused::Address(text.to_owned());
        let rest = text.strip_prefix("https://").ok_or_else(wrong)?.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(']') || rest.starts_with('[') => {
                match (port.parse(), rest.ends_with(']')) {
                    (Ok(port), _) => (host, port),
                    (Err(_), true) => (rest, ENROL_PORT),
                    (Err(_), false) => return Err(wrong()),
                }
            }
            _ => (rest, ENROL_PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let fits = !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
        if fits { Ok(Self { host: host.to_owned(), port }) } else { Err(wrong()) }
    }

    /// Asks for the kit's place at the clinic; with the certificate of its authority (DER).
    pub async fn ask(&self, code: &Code, secret_sha256: &str) -> Result<(Answer, Vec<u8>), Refused> {
        let seen =
            Arc::new(Seen { code: *code, provider: Arc::new(ring::default_provider()), authority: Mutex::default() });
        let body = serde_json::json!({ "code": code.to_string(), "secret_sha256": secret_sha256 }).to_string();
        let exchanged = timeout(ASK_MAX, self.exchange(Arc::clone(&seen), &body)).await;
        let (status, body) = exchanged.map_err(|_| self.unreachable("no answer in time"))??;
        let authority = seen.authority.lock().unwrap_or_else(PoisonError::into_inner).take();
        let detail =
            || serde_json::from_slice::<Problem>(&body).map_or_else(|_| format!("status {status}"), |said| said.detail);
        match status {
            200 => {
                let answer =
                    serde_json::from_slice(&body).map_err(|e| self.unreachable(&format!("its answer: {e}")))?;
                let authority = authority.ok_or_else(|| self.unreachable("showed no certificate"))?;
                Ok((answer, authority))
            }
            409 => Err(Refused::Used(detail())),
            _ => Err(Refused::Said(detail())),
        }
    }

    fn unreachable(&self, why: &str) -> Refused {
        Refused::Unreachable { host: self.host.clone(), port: self.port, why: why.to_owned() }
    }

    async fn exchange(&self, seen: Arc<Seen>, body: &str) -> Result<(u16, Vec<u8>), Refused> {
        let broken = |error: std::io::Error| self.unreachable(&error.to_string());
        let config = ClientConfig::builder_with_provider(Arc::clone(&seen.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| self.unreachable(&error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(seen)
            .with_no_client_auth();
        let name = ServerName::try_from(self.host.clone()).map_err(|error| self.unreachable(&error.to_string()))?;
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(broken)?;
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let mut stream = connected.map_err(|error| self.no_handshake(&error))?;
        let head = format!(
            "POST /enrol HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.host,
            body.len()
        );
        stream.write_all(head.as_bytes()).await.map_err(broken)?;
        stream.write_all(body.as_bytes()).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        let mut bytes = Vec::new();
        match stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await {
            // The length in the head says whether everything is there.
            Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => return Err(broken(error)),
            _ => {}
        }
        read(&bytes).ok_or_else(|| self.unreachable("its answer is cut off, or it is not where kits enrol"))
    }

    fn no_handshake(&self, error: &std::io::Error) -> Refused {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
        match tls {
            Some(TlsError::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                Refused::Stranger { host: self.host.clone(), port: self.port }
            }
            Some(TlsError::InvalidMessage(_)) => self.unreachable("what answers there does not speak TLS"),
            _ => self.unreachable(&error.to_string()),
        }
    }
}

/// Status and body of an answer that is all there.
pub(super) fn read(bytes: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let field = |name: &str| {
        let mut fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let length: usize = field("content-length")?.parse().ok()?;
    let body = bytes[end + 4..].get(..length)?;
    Some((status, body.to_vec()))
}

/// Trusts the authority that the code names, and what it has signed for this host; nobody else.
#[derive(Debug)]
struct Seen {
    code: Code,
    provider: Arc<CryptoProvider>,
    authority: Mutex<Option<Vec<u8>>>,
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let ours = chain.iter().find(|one| self.code.is_of(&Sha256::digest(one).into()));
        let authority = ours.ok_or(TlsError::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider));
        let webpki = webpki.build().map_err(|error| TlsError::General(error.to_string()))?;
        // A kit that has not been told the time yet is not before the certificates; that they have ended it sees when it is.
        let earliest = CLOCK_EARLIEST.as_second().unsigned_abs();
        let now =
            if now.as_secs() < earliest { UnixTime::since_unix_epoch(Duration::from_secs(earliest)) } else { now };
        let verified = webpki.verify_server_cert(server, chain, name, ocsp, now)?;
        *self.authority.lock().unwrap_or_else(PoisonError::into_inner) = Some(authority.to_vec());
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
