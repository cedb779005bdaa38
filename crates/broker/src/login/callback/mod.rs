//! The loopback port that a browser login comes back to (RFC 8252 §7.3).
//!
//! One task serves the port for as long as the [`CallbackServer`] lives, one client beside the
//! other. It decides nothing about the login: a query is put to the login that waits, and a request
//! after the login was answered gets a 409. Other programs of this machine can connect as well:
//! every connection is accepted at once, and when there are too many, those that only stay make
//! room.

mod connections;
mod door;
#[cfg(test)]
mod flood;
#[cfg(test)]
mod fuzz;
mod head;
mod holder;
mod linger;
mod page;
mod port;
#[cfg(test)]
mod port_tests;
#[cfg(test)]
mod tests;

use provider_auth_vault::line;
use std::io::ErrorKind;
use std::sync::Arc;

use provider_auth_oauth::{CallbackError, error_code};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use url::Url;

use self::connections::Connections;
use self::door::{Door, Question, Reply, welcome};
use self::head::Expected;
use self::page::Page;
use self::port::{addresses, listen};
use crate::error::BrokerError;
use crate::host::blocking;
use crate::limits;
use crate::login::deadline::LastAnswer;

/// Listens for the answer to one login. Dropping it closes the port, as [`close`](Self::close) does
/// for a failed login.
pub(crate) struct CallbackServer {
    redirect: Url,
    questions: mpsc::Receiver<Question>,
    outcome: watch::Sender<Option<Page>>,
    task: JoinHandle<()>,
    #[cfg(test)]
    connections: Connections,
}

impl CallbackServer {
    /// Listens where the first of these redirect URIs says whose port is free, exactly; on a free
    /// port where it names none, or where there are no redirect URIs.
    ///
    /// `localhost` means both loopback addresses: a browser may take either, and no other program
    /// may sit on the other.
    pub(crate) async fn bind(redirects: &[Url], last: LastAnswer) -> Result<Self, BrokerError> {
        let anywhere = [Url::parse("http://127.0.0.1/callback").expect("a constant URL")];
        let redirects = if redirects.is_empty() {
            &anywhere
        } else {
            redirects
        };
        let mut busy = None;
        for redirect in redirects {
            let addresses = addresses(redirect)?;
            if let Some(port) = redirect.port() {
                linger::end(port).await;
            }
            match (listen(&addresses, redirect.port()), redirect.port()) {
                (Ok(listeners), _) => return Ok(Self::on(listeners, redirect.clone(), last)),
                (Err(error), Some(port)) if error.kind() == ErrorKind::AddrInUse => {
                    busy.get_or_insert(port);
                }
                (Err(error), _) => {
                    return Err(BrokerError::LoginFailed(format!(
                        "{redirect} cannot be listened on: {error}"
                    )));
                }
            }
        }
        let port = busy.expect("every one of at least one URI had a port that was busy");
        let holder = blocking(move || holder::of_port(port)).await;
        Err(BrokerError::CallbackPortBusy { port, holder })
    }

    fn on(listeners: Vec<TcpListener>, mut redirect: Url, last: LastAnswer) -> Self {
        if redirect.port().is_none() {
            let port = listeners
                .first()
                .and_then(|listener| listener.local_addr().ok())
                .map(|address| address.port());
            redirect
                .set_port(port)
                .expect("a URL with a host takes a port");
        }
        let (ask, questions) = mpsc::channel(1);
        let (outcome, ended) = watch::channel(None);
        let door = Door {
            expected: Expected::of(&redirect),
            connections: Connections::default(),
            ask,
            ended,
            taken: Page::TAKEN,
            last,
        };
        #[cfg(test)]
        let connections = door.connections.clone();
        let task = tokio::spawn(serve(listeners, Arc::new(door)));
        Self {
            redirect,
            questions,
            outcome,
            task,
            #[cfg(test)]
            connections,
        }
    }

    /// Returns the redirect URI to name in the authorization request.
    pub(crate) fn redirect_uri(&self) -> &Url {
        &self.redirect
    }

    /// Waits for an answer that `accept` takes, or that refuses the login
    /// ([`CallbackError::Denied`], the only error).
    ///
    /// Any other answer gets a page that says so, and the login stays open. The browser that
    /// brought the right one waits for [`close`](Self::close). This future may be dropped and
    /// called again; no answer is lost.
    pub(crate) async fn wait<T>(
        &mut self,
        mut accept: impl FnMut(&str) -> Result<T, CallbackError>,
    ) -> Result<T, CallbackError> {
        while let Some(Question { query, reply }) = self.questions.recv().await {
            let (said, answer) = match accept(&query) {
                Ok(answer) => (Reply::Accepted, Ok(answer)),
                Err(denied @ CallbackError::Denied { .. }) => {
                    (Reply::Denied(denied.to_string()), Err(denied))
                }
                Err(error) => {
                    line!(
                        DEBUG,
                        error = error,
                        "a callback was refused; the login stays open"
                    );
                    let _ = reply.send(Reply::Refused(error_code(&query)));
                    continue;
                }
            };
            // The browser may have gone already; its answer counts all the same.
            let _ = reply.send(said);
            // A client that has asked meanwhile, or asks from now on, sees a closed port.
            self.questions.close();
            while self.questions.try_recv().is_ok() {}
            return answer;
        }
        std::future::pending().await
    }

    /// Shows the last page, naming what was connected, or that the login failed and by which code
    /// of the server, and closes the port. After a login that went well it says for a moment that
    /// one is signed in already.
    ///
    /// The task ends within a second; a process that is about to exit awaits it, so that the page
    /// arrives.
    pub(crate) fn close(self, connected: Result<&str, Option<&str>>) -> JoinHandle<()> {
        self.outcome.send_replace(Some(match connected {
            Ok(name) => Page::connected(name),
            Err(code) => Page::failed(code),
        }));
        self.task
    }
}

/// Serves the port until the login has ended or its [`CallbackServer`] is gone, and then until who
/// brought the answer has its page.
async fn serve(listeners: Vec<TcpListener>, door: Arc<Door>) {
    let mut clients = JoinSet::new();
    welcome(&listeners, &door, &mut clients).await;
    let went_well = door.ended.borrow().as_ref().is_some_and(Page::is_success);
    match went_well {
        true => linger::begin(listeners, &door),
        false => drop(listeners),
    }
    let _ = timeout(limits::CALLBACK_CLOSING, async {
        while clients.join_next().await.is_some() {}
    })
    .await;
}
