//! The HTTP client for authorization servers and lists of models: `reqwest` with rustls.
//!
//! It follows no redirect, keeps no connection, tries nothing twice: a refresh token may be good
//! for one use only. Proxies are those of the system (`HTTPS_PROXY`, `NO_PROXY`, …); what goes to
//! this machine takes none. A request that may not reach this machine or its network gets a client
//! of its own, which judges the addresses that it connects to.

mod encoding;
mod late_body;
mod proxy;
#[cfg(test)]
mod tests;

use provider_auth_vault::line;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use provider_auth_oauth::{
    FromLocalNetwork, Http, HttpError, LastLook, Reach, Sending, is_https_or_loopback, is_loopback,
};
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use rustls::client::WantsClientCert;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ConfigBuilder, RootCertStore};
use rustls_platform_verifier::Verifier;
use url::{Host, Url};

use self::late_body::{LateBody, was_too_late};
use self::proxy::{Proxies, Proxy};
use crate::host::resolver::{self, LeadsHome, LookUp, Resolver};
use crate::limits;

/// Sends requests. Costs nothing until the first one.
pub(crate) struct HttpClient {
    extra_roots: Option<PathBuf>,
    /// Bytes of an answer.
    limit: usize,
    look_up: LookUp,
    clients: OnceLock<Option<Clients>>,
}

struct Clients {
    tls: ClientConfig,
    /// Whether there is any certificate to know a server by.
    has_roots: bool,
    proxies: Proxies,
    remote: reqwest::Client,
    loopback: reqwest::Client,
}

impl HttpClient {
    /// Returns a client that trusts what the system trusts and the certificates of a PEM file
    /// (`NODE_EXTRA_CA_CERTS`).
    ///
    /// A file that cannot be read is logged and left out, as Node does. An answer of more than
    /// `limit` bytes is refused.
    pub(crate) fn new(extra_roots: Option<PathBuf>, limit: usize) -> Self {
        Self {
            extra_roots,
            limit,
            look_up: resolver::system(),
            clients: OnceLock::new(),
        }
    }

    async fn exchange(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>, HttpError> {
        let url = Url::parse(&request.uri().to_string()).map_err(|_| HttpError::Other)?;
        if !is_https_or_loopback(&url) {
            return Err(HttpError::Insecure(url.origin().ascii_serialization()));
        }
        let clients = self
            .clients
            .get_or_init(|| Clients::build(self.extra_roots.as_deref()).ok());
        let clients = clients.as_ref().ok_or(HttpError::Tls)?;
        let reach = request.extensions().get::<Reach>().copied();
        let is_local = || HttpError::Local(url.origin().ascii_serialization());
        if reach == Some(Reach::PublicOnly) && provider_auth_oauth::is_local(&url) {
            return Err(is_local());
        }
        let proxy = match is_loopback(&url) {
            true => None,
            false => clients.proxies.of(&url),
        };
        proxy.as_ref().map_or(Ok(()), Proxy::check)?;
        let own;
        let mut is_nearby = None;
        let client = match (reach, url.host()) {
            _ if is_loopback(&url) => &clients.loopback,
            (Some(reach), Some(Host::Domain(host))) => {
                let resolver = Resolver::new(self.look_up.clone(), host, reach);
                is_nearby = Some(resolver.is_nearby());
                let builder = builder(&clients.tls).dns_resolver(resolver);
                own = builder.build().map_err(|_| HttpError::Tls)?;
                &own
            }
            _ => &clients.remote,
        };
        let look = request.extensions().get::<LastLook>().cloned();
        if look.as_ref().is_some_and(|look| !(look.0)()) {
            return Err(HttpError::TooLate);
        }
        let request = request.map(|body| match look {
            Some(look) => reqwest::Body::wrap(LateBody::new(body, look)),
            None => body.into(),
        });
        let request = reqwest::Request::try_from(request).map_err(|_| HttpError::Other)?;
        let response = client.execute(request).await;
        let mut response = match response {
            Ok(response) => response,
            Err(error) if leads_home(&error) => return Err(is_local()),
            Err(error) if was_too_late(&error) => return Err(HttpError::TooLate),
            Err(error) => {
                let reason = match is_untrusted(&error) && !clients.has_roots {
                    true => HttpError::NoRoots,
                    false => reason(error),
                };
                let trouble = match (&proxy, &reason) {
                    (Some(proxy), HttpError::Connect) => proxy.trouble(&url).await,
                    _ => None,
                };
                return Err(trouble.unwrap_or(reason));
            }
        };

        let limit = self.limit;
        if response
            .content_length()
            .is_some_and(|length| length > limit as u64)
        {
            return Err(HttpError::TooLarge);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(reason)? {
            if body.len() + chunk.len() > limit {
                return Err(HttpError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let mut headers = std::mem::take(response.headers_mut());
        let mut answer = http::Response::new(encoding::undo(body, &mut headers, limit)?);
        *answer.status_mut() = response.status();
        *answer.headers_mut() = headers;
        if is_nearby.is_some_and(|it| it.load(Ordering::Relaxed)) {
            answer.extensions_mut().insert(FromLocalNetwork);
        }
        Ok(answer)
    }
}

impl Http for HttpClient {
    fn send(&self, request: http::Request<Vec<u8>>) -> Sending<'_> {
        Box::pin(self.exchange(request))
    }
}

impl Clients {
    fn build(extra_roots: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        let (tls, has_roots) = tls(extra_roots)?;
        Ok(Self {
            has_roots,
            proxies: Proxies::system(),
            remote: builder(&tls).build()?,
            loopback: builder(&tls).no_proxy().build()?,
            tls,
        })
    }
}

fn builder(tls: &ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .user_agent(concat!("provider-auth/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .pool_max_idle_per_host(0)
        .connect_timeout(limits::CONNECT_TIMEOUT)
        .timeout(limits::REQUEST_TIMEOUT)
}

/// And whether there is any certificate to know a server by.
fn tls(extra_roots: Option<&Path>) -> Result<(ClientConfig, bool), rustls::Error> {
    let roots = extra_roots.map(certificates).unwrap_or_default();
    let (config, has_roots) = verified(roots)?;
    Ok((config.with_no_client_auth(), has_roots))
}

/// TLS that trusts what the system trusts and these; and whether there is any certificate to know a
/// server by.
pub(crate) fn verified(
    roots: Vec<CertificateDer<'static>>,
) -> Result<(ConfigBuilder<ClientConfig, WantsClientCert>, bool), rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let mut has_roots = true;
    let config = match Verifier::new_with_extra_roots(roots, provider) {
        Ok(verifier) => config
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier)),
        // A machine without certificates, as a bare container, still logs in at a server on this
        // machine.
        Err(error) => {
            has_roots = false;
            line!(
                WARN,
                error = error,
                "the system's certificates cannot be used: no https server is trusted"
            );
            config.with_root_certificates(RootCertStore::empty())
        }
    };
    Ok((config, has_roots))
}

/// How many certificates a PEM file holds, or why it cannot be used.
pub(crate) fn certificates_in(file: &Path) -> Result<usize, String> {
    let found = read_certificates(file).map_err(|error| error.to_string())?;
    Ok(found.len())
}

/// Whether the system has certificates to know servers by.
pub(crate) fn has_system_roots() -> bool {
    tls(None).is_ok_and(|(_, has_roots)| has_roots)
}

/// The certificates of a PEM file, without an error where there is none.
pub(crate) fn read_certificates(
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_file_iter(file).and_then(Iterator::collect)
}

/// The same of a file that may be unusable: it is logged and left out.
pub(crate) fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    read_certificates(file).unwrap_or_else(|error| {
        line!(
            WARN,
            file = file,
            error = error,
            "the extra certificates cannot be used"
        );
        Vec::new()
    })
}

/// Says why no answer came, without the URL, which may hold a secret.
fn reason(error: reqwest::Error) -> HttpError {
    if is_tls(&error) {
        HttpError::Tls
    } else if error.is_connect() {
        HttpError::Connect
    } else if error.is_timeout() {
        HttpError::Timeout
    } else {
        HttpError::Other
    }
}

fn leads_home(error: &(dyn Error + 'static)) -> bool {
    error.is::<LeadsHome>() || error.source().is_some_and(leads_home)
}

fn is_tls(error: &(dyn Error + 'static)) -> bool {
    find_tls(error, &|_| true)
}

/// Whether a server's certificate is not trusted.
fn is_untrusted(error: &(dyn Error + 'static)) -> bool {
    find_tls(error, &|error| {
        matches!(error, rustls::Error::InvalidCertificate(_))
    })
}

fn find_tls(error: &(dyn Error + 'static), fits: &dyn Fn(&rustls::Error) -> bool) -> bool {
    // An I/O error does not name as its source what it wraps, and may wrap another one.
    let wrapped = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    error.downcast_ref::<rustls::Error>().is_some_and(fits)
        || wrapped.is_some_and(|inner| find_tls(inner, fits))
        || error.source().is_some_and(|inner| find_tls(inner, fits))
}
