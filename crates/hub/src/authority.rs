//! The clinic's own authority: one key that signs the certificate of the front door and of the enrolment. Small on purpose: it issues, and
//! that is all; what a kit may do is said by the roster, and a kit is shut out there at once.
//!
//! Its files lie in `authority/` in the data folder, readable by the service alone: `authority.crt` (what kits trust), `authority.key`,
//! `server.crt` (with its chain) and `server.key`.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use jiff::{Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use vitals::KitId;
use wire::Code;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::tls::pem_in_words;

/// The authority lasts this long, in years: the kits of a clinic are tied to it.
const AUTHORITY_YEARS: i16 = 20;
/// A server's certificate lasts this long, in years; `vagt ca issue` makes the next.
const SERVER_YEARS: i16 = 2;
/// A client's certificate, of a kit or of the service, lasts this long, in years.
const CLIENT_YEARS: i16 = 5;
/// Certificates hold from here on, so that a kit whose clock has not been told the time yet can enrol.
const FROM_YEAR: i32 = 2000;

/// The authority of a data folder.
#[derive(Clone, Debug)]
pub struct Authority {
    folder: PathBuf,
    certificate: CertificateDer<'static>,
    pem: String,
}

/// What a certificate is to say.
struct Wanted<'a> {
    names: &'a [String],
    name: &'a str,
    usage: ExtendedKeyUsagePurpose,
    years: i16,
}

/// A client's certificate and its key, for a broker that asks for them.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The certificate, followed by the authority's.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// When the first certificate of a PEM file ends, as it says itself.
///
/// # Errors
/// The file can't be read, or holds no certificate.
pub fn ends(path: &Path) -> Result<Timestamp, AuthorityError> {
    let wrong = |what: String| AuthorityError::Certificate { path: path.to_owned(), what };
    let pem = fs::read(path).map_err(|source| AuthorityError::File { path: path.to_owned(), source })?;
    let first = CertificateDer::from_pem_slice(&pem).map_err(|error| wrong(pem_in_words(&error, "certificate")))?;
    let (_, certificate) = X509Certificate::from_der(&first).map_err(|error| wrong(error.to_string()))?;
    let seconds = certificate.validity().not_after.timestamp();
    Timestamp::from_second(seconds).map_err(|error| wrong(error.to_string()))
}

/// A client's certificate that no authority has signed, and its key, for a client that is this process: neither is written anywhere.
///
/// # Errors
/// It can't be made: there are no random numbers, or the name can't stand in a certificate.
pub fn signed_by_itself(
    name: &str,
    now: Timestamp,
) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    named(&mut params, name, now, CLIENT_YEARS);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.der().clone(), key.into()))
}

/// What goes wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// There is none yet.
    #[error("{} is not there: `vagt ca init` makes the clinic's own authority", .0.display())]
    None(PathBuf),
    /// There is one already: kits trust it, and would have to enrol anew.
    #[error("{} is there already: kits trust it, so it is never replaced", .0.display())]
    Exists(PathBuf),
    /// Half of it is lost: a new one would be another authority.
    #[error(
        "{} is there and {lost} beside it is not: bring that back from the backup (or, if no kit has enrolled yet, remove what is there)",
        .there.display()
    )]
    HalfLost {
        /// What is there.
        there: PathBuf,
        /// What is not.
        lost: &'static str,
    },
    /// What the server is to be called can't be called.
    #[error("name {0:?}: want a host name or an address, such as vagt.clinic.example or 192.0.2.7")]
    Name(String),
    /// A file can't be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A certificate or key can't be used or made.
    #[error("{}: {what}", .path.display())]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
}

impl Authority {
    /// Where the authority of a data folder is.
    #[must_use]
    pub fn folder(data: &Path) -> PathBuf {
        data.join("authority")
    }

    /// Makes one for a clinic.
    ///
    /// # Errors
    /// [`AuthorityError::Exists`], or its files can't be written.
    pub fn init(data: &Path, clinic: &str, now: Timestamp) -> Result<Self, AuthorityError> {
        let folder = Self::folder(data);
        let path = folder.join("authority.crt");
        let key_path = folder.join("authority.key");
        match (path.exists(), key_path.exists()) {
            (true, true) => return Err(AuthorityError::Exists(path)),
            (true, false) => return Err(AuthorityError::HalfLost { there: path, lost: "authority.key" }),
            (false, true) => return Err(AuthorityError::HalfLost { there: key_path, lost: "authority.crt" }),
            (false, false) => {}
        }
        let failed = |error: rcgen::Error| AuthorityError::Certificate { path: path.clone(), what: error.to_string() };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|source| AuthorityError::File { path: folder.clone(), source })?;
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        named(&mut params, &format!("{clinic}: authority of kits"), now, AUTHORITY_YEARS);
        let certificate = params.self_signed(&key).map_err(failed)?;
        write_private(&key_path, key.serialize_pem().as_bytes())?;
        write_private(&path, certificate.pem().as_bytes())?;
        Self::open(data)
    }

    /// The one of a data folder.
    ///
    /// # Errors
    /// [`AuthorityError::None`], or its certificate can't be read.
    pub fn open(data: &Path) -> Result<Self, AuthorityError> {
        let folder = Self::folder(data);
        let path = folder.join("authority.crt");
        if !path.exists() {
            return Err(AuthorityError::None(path));
        }
        let pem = fs::read_to_string(&path).map_err(|source| AuthorityError::File { path: path.clone(), source })?;
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| AuthorityError::Certificate { path, what: pem_in_words(&error, "certificate") })?;
        Ok(Self { folder, certificate, pem })
    }

    /// Can a certificate be issued for these names and addresses?
    ///
    /// # Errors
    /// [`AuthorityError::Name`], the first that is none.
    pub fn check_names(names: &[String]) -> Result<(), AuthorityError> {
        let wrong = names.iter().find(|name| ServerName::try_from(name.as_str()).is_err());
        wrong.map_or(Ok(()), |name| Err(AuthorityError::Name(name.clone())))
    }

    /// Issues the server's certificate for these names and addresses, with a key of its own.
    ///
    /// # Errors
    /// A name is none, or the files can't be read or written.
    pub fn issue_server(&self, names: &[String], now: Timestamp) -> Result<(), AuthorityError> {
        Self::check_names(names)?;
        let (key, path) = (self.server_key(), self.server_certificate());
        let name = names.first().map_or("vagt", String::as_str);
        let usage = ExtendedKeyUsagePurpose::ServerAuth;
        self.issue(&Wanted { names, name, usage, years: SERVER_YEARS }, (&key, &path), now)
    }

    /// Issues a certificate by which the front door or a broker knows this kit, with a key of its own: its common name is the kit's id. Into the
    /// authority's folder, as `kit-ID.crt` and `kit-ID.key`; those that were there are replaced, and the old certificate stays good until it ends.
    ///
    /// # Errors
    /// The files can't be read or written.
    pub fn issue_kit(&self, kit: &KitId, now: Timestamp) -> Result<ClientCertificate, AuthorityError> {
        self.issue_client(&format!("kit-{kit}"), kit.as_str(), now)
    }

    /// Issues a certificate by which a broker knows this service, with a key of its own: its common name is the user. As `service.crt` and
    /// `service.key`.
    ///
    /// # Errors
    /// The files can't be read or written.
    pub fn issue_service(&self, user: &str, now: Timestamp) -> Result<ClientCertificate, AuthorityError> {
        self.issue_client("service", user, now)
    }

    fn issue_client(&self, file: &str, name: &str, now: Timestamp) -> Result<ClientCertificate, AuthorityError> {
        let file = |extension: &str| self.folder.join(format!("{file}.{extension}"));
        let made = ClientCertificate { certificate: file("crt"), key: file("key") };
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        let wanted = Wanted { names: &[], name, usage, years: CLIENT_YEARS };
        self.issue(&wanted, (&made.key, &made.certificate), now)?;
        Ok(made)
    }

    fn issue(&self, wanted: &Wanted, (own_key, path): (&Path, &Path), now: Timestamp) -> Result<(), AuthorityError> {
        let key_path = self.folder.join("authority.key");
        let failed = |error: rcgen::Error| AuthorityError::Certificate { path: path.into(), what: error.to_string() };
        let key =
            fs::read_to_string(&key_path).map_err(|source| AuthorityError::File { path: key_path.clone(), source })?;
        let key = KeyPair::from_pem(&key).map_err(failed)?;
        let issuer = Issuer::from_ca_cert_der(&self.certificate, key).map_err(failed)?;
        let mut params = CertificateParams::new(wanted.names.to_vec()).map_err(failed)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![wanted.usage.clone()];
        params.use_authority_key_identifier_extension = true;
        named(&mut params, wanted.name, now, wanted.years);
        let own = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&own, &issuer).map_err(failed)?;
        write_private(own_key, own.serialize_pem().as_bytes())?;
        write_private(path, format!("{}{}", certificate.pem(), self.pem).as_bytes())
    }

    /// What kits trust, as PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The server's certificate, followed by the authority's.
    #[must_use]
    pub fn server_certificate(&self) -> PathBuf {
        self.folder.join("server.crt")
    }

    /// The server's key.
    #[must_use]
    pub fn server_key(&self) -> PathBuf {
        self.folder.join("server.key")
    }

    /// SHA-256 of its certificate.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.certificate).into()
    }

    /// A new one-time code, by which a kit knows this authority.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::new(rand::random(), &self.fingerprint())
    }
}

fn named(params: &mut CertificateParams, name: &str, now: Timestamp, years: i16) {
    let mut names = DistinguishedName::new();
    names.push(DnType::OrganizationName, "Vagt");
    names.push(DnType::CommonName, name);
    params.distinguished_name = names;
    params.serial_number = Some(SerialNumber::from(rand::random::<u64>() >> 1));
    let until = TimeZone::UTC.to_datetime(now).date();
    let (month, day) = (until.month().unsigned_abs(), until.day().unsigned_abs().min(28));
    params.not_before = date_time_ymd(FROM_YEAR, 1, 1);
    params.not_after = date_time_ymd(i32::from(until.year() + years), month, day);
}

/// Writes a file that the service alone can read, whole or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), AuthorityError> {
    let new = path.with_extension("new");
    let write = || {
        if new.exists() {
            fs::remove_file(&new)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(|source| AuthorityError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn half_of_it_is_not_made_whole_by_another() {
        let data = tempfile::tempdir().unwrap();
        let now = "2026-02-28T08:00:00Z".parse().unwrap();
        let authority = Authority::init(data.path(), "Test", now).unwrap();
        let crt = Authority::folder(data.path()).join("authority.crt");
        fs::remove_file(&crt).unwrap();
        let refused = Authority::init(data.path(), "Test", now).unwrap_err().to_string();
        assert!(refused.contains("authority.crt beside it is not: bring that back"), "{refused}");
        fs::write(&crt, authority.pem()).unwrap();
        Authority::open(data.path()).unwrap().issue_server(&["localhost".into()], now).unwrap();
        for wrong in ["https://vagt.example:8443", "vagt.example:8443", "not a name", ""] {
            let refused = authority.issue_server(&[wrong.into()], now).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("name {wrong:?}: want a host name")), "{refused}");
        }
    }

    #[test]
    fn a_certificate_says_itself_when_it_ends() {
        let data = tempfile::tempdir().unwrap();
        let now = "2026-02-28T08:00:00Z".parse().unwrap();
        let authority = Authority::init(data.path(), "Test", now).unwrap();
        authority.issue_server(&["localhost".into()], now).unwrap();
        let ended = ends(&authority.server_certificate()).unwrap();
        assert_eq!(ended.to_string(), "2028-02-28T00:00:00Z");
        let kit = authority.issue_kit(&"kit-1".parse().unwrap(), now).unwrap();
        assert_eq!(ends(&kit.certificate).unwrap().to_string(), "2031-02-28T00:00:00Z");
        let wrong = ends(&authority.server_key()).unwrap_err().to_string();
        assert!(wrong.contains("server.key: "), "{wrong}");
    }

    #[test]
    fn is_made_once_and_its_files_are_its_own() {
        let data = tempfile::tempdir().unwrap();
        let now = "2026-02-28T08:00:00Z".parse().unwrap();
        let none = Authority::open(data.path()).unwrap_err().to_string();
        assert!(none.ends_with("`vagt ca init` makes the clinic's own authority"), "{none}");
        let authority = Authority::init(data.path(), "Klinik Ø", now).unwrap();
        authority.issue_server(&["localhost".into(), "127.0.0.1".into()], now).unwrap();
        authority.issue_server(&["localhost".into()], now).unwrap();
        for file in fs::read_dir(Authority::folder(data.path())).unwrap().map(Result::unwrap) {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
        }
        assert!(authority.code().is_of(&authority.fingerprint()));
        assert!(matches!(Authority::init(data.path(), "again", now), Err(AuthorityError::Exists(_))));
        assert_eq!(Authority::open(data.path()).unwrap().fingerprint(), authority.fingerprint());
    }
}
