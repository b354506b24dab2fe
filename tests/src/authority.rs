//! A private authority, as an operator has one for servers inside of a network, and certificates that it signs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What an authority signs with.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// What a server proves with that it is who it says.
#[derive(Clone)]
pub struct Identity(Arc<ServerConfig>);

impl Authority {
    /// One whom nobody trusts yet.
    pub fn new() -> Self {
        let (params, key) = (of_an_authority(), KeyPair::generate().expect("randomness"));
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Writes its certificate to a file, for whoever shall trust it.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("authority.pem");
        std::fs::write(&path, self.certificate.pem()).expect("writes");
        path
    }

    /// A certificate for a name or an address.
    pub fn vouch_for(&self, name: &str) -> Identity {
        self.sign(CertificateParams::new([name.to_owned()]).expect("a name"))
    }

    /// One for a name that was valid for the year 2020.
    pub fn vouched_in_2020_for(&self, name: &str) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("randomness");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity::of(&certificate, &key)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Identity {
    /// A server that presents an authority's own certificate, and its file: what `openssl req -x509` makes.
    pub fn of_an_authority_for(name: &str, folder: &Path) -> (Self, PathBuf) {
        let key = KeyPair::generate().expect("randomness");
        let mut params = of_an_authority();
        params.subject_alt_names = CertificateParams::new([name.to_owned()]).expect("a name").subject_alt_names;
        let certificate = params.self_signed(&key).expect("a certificate");
        let path = folder.join("self-signed.pem");
        std::fs::write(&path, certificate.pem()).expect("writes");
        (Self::of(&certificate, &key), path)
    }

    fn of(certificate: &Certificate, key: &KeyPair) -> Self {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate.der().clone()], key).expect("they belong together");
        Self(Arc::new(config))
    }

    /// What greets those who connect.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0))
    }
}

fn of_an_authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}
