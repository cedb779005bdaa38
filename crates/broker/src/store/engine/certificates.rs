//! Whom a store's address has us trust, and the certificate that we show.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use crate::config::StoreUrl;
use crate::host::http::{certificates, read_certificates, verified};
use crate::printable::visible;

/// TLS as for every other server, with what the address adds. `extra`: the file that
/// `NODE_EXTRA_CA_CERTS` names.
pub(super) fn client_config(
    address: &StoreUrl,
    extra: Option<&Path>,
) -> Result<Arc<ClientConfig>, String> {
    let mut roots = extra.map(certificates).unwrap_or_default();
    if let Some(file) = &address.roots {
        roots.extend(chain(file, "sslrootcert")?);
    }
    let broken = |_| "TLS cannot be used on this machine".to_owned();
    let (config, _) = verified(roots).map_err(broken)?;
    let config = match &address.certificate {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => config
            .with_client_auth_cert(chain(certificate, "sslcert")?, private_key(key)?)
            .map_err(|_| "sslcert and sslkey do not belong together".to_owned())?,
    };
    Ok(Arc::new(config))
}

type Chain = Vec<rustls::pki_types::CertificateDer<'static>>;

fn chain(file: &Path, name: &str) -> Result<Chain, String> {
    match read_certificates(file) {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(format!(
            "the file {} ({name}) has no certificate",
            visible(file)
        )),
        Err(error) => Err(format!(
            "the file {} ({name}) cannot be used: {error}",
            visible(file)
        )),
    }
}

fn private_key(file: &PathBuf) -> Result<PrivateKeyDer<'static>, String> {
    let fault = |why: &str| format!("the file {} (sslkey) {why}", visible(file));
    let found = std::fs::metadata(file);
    let found = found.map_err(|error| fault(&format!("cannot be read: {error}")))?;
    if is_open_to_others(&found) {
        return Err(fault(
            "can be read by others, so it is not used: run `chmod 600` on it",
        ));
    }
    // What is wrong with it may repeat it.
    PrivateKeyDer::from_pem_file(file).map_err(|_| fault("has no private key that can be used"))
}

/// As libpq has it: a key that root keeps for a group may be read by that.
#[cfg(unix)]
fn is_open_to_others(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let others = if found.uid() == 0 { 0o037 } else { 0o077 };
    found.mode() & others != 0
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Metadata) -> bool {
    false
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn address(roots: Option<PathBuf>, certificate: Option<(PathBuf, PathBuf)>) -> StoreUrl {
        StoreUrl {
            url: "".into(),
            shown: String::new(),
            user: String::new(),
            has_password: false,
            servers: Vec::new(),
            database: String::new(),
            roots,
            certificate,
        }
    }

    #[track_caller]
    fn check(address: &StoreUrl, expect: &str) {
        let error = client_config(address, None).expect_err(expect);
        assert!(error.contains(expect), "{error}");
        assert!(!error.contains("S3CRET"), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_and_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (junk, pem, key) = (at("junk.pem"), at("own.pem"), at("own.key"));
        write(&junk, "S3CRET").unwrap();
        write(
            &pem,
            "-----BEGIN CERTIFICATE-----\nAAECAw==\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        write(
            &key,
            "-----BEGIN PRIVATE KEY-----\nAAECAw==\n-----END PRIVATE KEY-----\n",
        )
        .unwrap();
        set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        let own = |certificate: &PathBuf, key: &PathBuf| {
            address(None, Some((certificate.clone(), key.clone())))
        };
        check(
            &address(Some(junk.clone()), None),
            "junk.pem (sslrootcert) has no certificate",
        );
        check(
            &address(Some(at("absent.pem")), None),
            "absent.pem (sslrootcert) cannot be used",
        );
        check(&own(&junk, &key), "junk.pem (sslcert) has no certificate");
        check(
            &own(&pem, &at("absent.key")),
            "absent.key (sslkey) cannot be read",
        );
        check(&own(&pem, &junk), "junk.pem (sslkey)");
        check(
            &own(&pem, &key),
            "sslcert and sslkey do not belong together",
        );
        for mode in [0o640, 0o604, 0o644] {
            set_permissions(&key, Permissions::from_mode(mode)).unwrap();
            let root_may = std::fs::metadata(&key)
                .is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0)
                && mode == 0o640;
            if !root_may {
                check(&own(&pem, &key), "chmod 600");
            }
        }
        client_config(&address(None, None), Some(&at("absent.pem"))).expect("as Node has it");
    }
}
