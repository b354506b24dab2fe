//! Whom a depot is believed by its certificate, and what somebody can do when it is not: a TLS library says what is wrong in words
//! that help whoever knows TLS.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, InvalidMessage, RootCertStore};
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use super::depot::{DepotError, read};

/// Who may vouch for a depot: the certificates in a file.
pub(super) fn authorities(path: &Path) -> Result<RootCerts, DepotError> {
    let error = |why: String| DepotError::Authorities { path: path.to_owned(), why };
    let mut found: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(&read(path).map_err(error)?) {
        if let PemItem::Certificate(certificate) = item.map_err(|it| error(it.to_string()))? {
            // One that cannot vouch for anybody would be left out without a word, and the depot refused.
            let vouches = RootCertStore::empty().add(CertificateDer::from(certificate.der()));
            vouches.map_err(|it| error(format!("certificate {}: {it}", found.len() + 1)))?;
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(error("it has no certificate".to_owned()));
    }
    Ok(RootCerts::new_with_certs(&found))
}

/// Why a call came to nothing, and of TLS what to do about it.
pub(super) fn why(error: &ureq::Error) -> String {
    let of_tls = match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    };
    match of_tls {
        Some(rustls::Error::InvalidCertificate(wrong)) => {
            format!("its certificate is not trusted: {}", certificate(wrong))
        }
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "it does not speak TLS; does its address begin with http://?".to_owned()
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            format!(
                "it refused TLS: {alert:?}; it must speak TLS 1.2 or 1.3, and ask for no certificate of this server"
            )
        }
        Some(other) => format!("TLS: {other}"),
        None => error.to_string(),
    }
}

fn certificate(wrong: &CertificateError) -> String {
    match wrong {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "nobody vouches for it whom this server knows; name a file with the certificate of whoever signed it (--ship-ca)"
                .to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "it is not for {}, but for {}; use such a name in the address, or get a certificate for this one",
            expected.to_str(),
            if presented.is_empty() { "no name at all".to_owned() } else { presented.join(", ") }
        ),
        CertificateError::ExpiredContext { time, not_after } => format!(
            "it expired {} ago; renew it there, or set this machine's clock",
            age(time.as_secs().saturating_sub(not_after.as_secs()))
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "it is valid in {} only; set this machine's clock, or that of whoever made it",
            age(not_before.as_secs().saturating_sub(time.as_secs()))
        ),
        // What openssl makes unless it is told otherwise.
        CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
            "it is an authority's own; let that authority sign a certificate for the place (docs/operations.md says how)"
                .to_owned()
        }
        other => other.to_string(),
    }
}

fn age(seconds: u64) -> String {
    match seconds {
        0..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
