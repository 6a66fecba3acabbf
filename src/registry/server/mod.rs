//! The embedded registry: the store, served by the OCI distribution spec 1.1 over HTTP/1.1.
//!
//! In: a store, an address, a sign to stop. Out: images to whoever pulls, and pushed ones in the
//! store, each blob and manifest checked against its digest on the way in. Never: a file outside
//! the store, a blob in memory, a request to anybody else.
//!
//! # Names
//! A reference in the store is complete (`docker.io/library/app:1`, `localhost:5000/app:1`), and a
//! URL has only the NAME behind the server's own address. NAME means, the first that has the tag:
//!
//! 1. `localhost/NAME`: what was pushed here, to whatever port;
//! 2. `localhost:PORT/NAME`, and `127.0.0.1:PORT`, `[::1]:PORT`, the address of the server;
//! 3. the image that NAME means wherever images are named: `app` and `library/app` are
//!    `docker.io/library/app`, `team/app` is `docker.io/team/app`, and `ghcr.io/a/b` is just that.
//!
//! What is pushed is stored as `localhost/NAME:TAG`, without the port, so that it is found again
//! on another one. So `cairn build -t app` can be pulled as `localhost:5000/app` and as
//! `localhost:5000/library/app`, until something else is pushed to that very name: a push wins.
//! Tag lists hold the tags of all three, and deleting a tag deletes it in all three.
//!
//! A NAME sorts, and hides nothing: every blob of the store can be had under every NAME
//! (`blobs.rs`), manifests by tag and digest only under theirs (`members.rs`).
//!
//! # What it does not do
//! No TLS and no users: whoever reaches the address may read, push and delete names. It is meant
//! for the loopback; there it also refuses browsers, which carry other people's pages
//! (`routes.rs`). Blobs are not deleted (405): they are the store's. Each request and each upload
//! under way holds the store's lock, and no longer: in between, whoever removes images has the
//! store to himself. A push whose blobs went with such an image is told so by its manifest, and is
//! to be repeated. Digests are sha256 alone.
//! Documents other than manifests and indexes of image-spec and Docker's schema 2 are refused.
//! Only monotonic time is read, for time-outs.

mod blobs;
mod connections;
mod error;
mod listings;
mod manifests;
mod members;
mod names;
mod routes;
mod uploads;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, response};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::canon::event::Events;
use crate::store::Store;
use error::Failure;
use routes::{Query, Route};

/// What a server takes before it says no.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; others wait. Each takes a file descriptor, as does each upload.
    pub connections: usize,
    /// Uploads under way at once.
    pub uploads: usize,
    /// After this time without a request an upload is dropped.
    pub idle: Duration,
    /// After this time without a byte a body counts as broken off.
    pub silence: Duration,
    /// How long requests may go on once the server was told to stop.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 512,
            uploads: 256,
            idle: Duration::from_secs(3600),
            silence: Duration::from_secs(60),
            grace: Duration::from_secs(3),
        }
    }
}

/// What keeps a server from serving.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken, not this machine's, or not allowed.
    #[error(
        "can't listen on {address}: {source}\nhint: choose another port; port 0 takes a free one"
    )]
    Bind {
        /// As it was asked for.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The system gave no threads or sockets.
    #[error("can't serve: {0}")]
    Run(#[from] io::Error),
}

/// A registry over a store: bound to its address, not yet answering.
pub struct Server {
    listener: std::net::TcpListener,
    shared: Shared,
    stop: Stop,
}

/// Ends a [`Server`] from elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Notify>);

impl Stop {
    /// Tells the server to end; it finishes what it is at, within [`Limits::grace`].
    pub fn stop(&self) {
        self.0.notify_one();
    }
}

/// What every request may use.
struct Shared {
    /// Without its lock: see [`Shared::with_store`].
    store: Store,
    address: SocketAddr,
    limits: Limits,
    events: Events,
    uploads: uploads::Uploads,
}

impl Shared {
    /// Works with the store, which nobody tidies up meanwhile, on a thread that may wait.
    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let store = self.store.clone();
        error::blocking(move || work(&store.held()?)).await
    }
}

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

impl Server {
    /// Takes the address; port 0 is a free one, which [`Server::address`] tells. From now on
    /// clients can connect, and wait until it runs.
    pub fn bind(store: Store, address: SocketAddr, events: Events) -> Result<Server, Error> {
        let refuse = |source| Error::Bind { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(refuse)?;
        listener.set_nonblocking(true).map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;
        if !address.ip().is_loopback() {
            events.warn(format!(
                "whoever reaches {address} can read, push and delete the store's images: this \
                 registry knows no users"
            ));
        }
        let shared = Shared {
            store: store.released(),
            address,
            limits: Limits::default(),
            events,
            uploads: uploads::Uploads::default(),
        };
        Ok(Server {
            listener,
            shared,
            stop: Stop::default(),
        })
    }

    /// The same server with other limits.
    pub fn with_limits(mut self, limits: Limits) -> Server {
        self.shared.limits = limits;
        self
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Ends it from another thread.
    pub fn stop_handle(&self) -> Stop {
        self.stop.clone()
    }

    /// Serves until its [`Stop`] is used. Not to be called from asynchronous code.
    pub fn run(self) -> Result<(), Error> {
        self.run_until(std::future::pending())
    }

    /// Serves until `stop` is ready (it may use tokio) or its [`Stop`] is used. Uploads that are
    /// unfinished then are gone. Not to be called from asynchronous code.
    pub fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let Limits {
            grace, connections, ..
        } = self.shared.limits;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            // Each upload keeps one while its body comes, and the rest must not wait for those.
            .max_blocking_threads(connections + 64)
            .thread_name("cairn-serve")
            .enable_all()
            .build()?;
        let result = runtime.block_on(self.serve(stop));
        // A thread that still waits for the disk is left behind rather than waited for.
        runtime.shutdown_timeout(grace);
        result
    }

    async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let limits = self.shared.limits;
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let stopping = tokio_util::sync::CancellationToken::new();
        let listener = connections::Limited::new(listener, limits.connections, stopping.clone());
        let shared = Arc::new(self.shared);
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let serving = axum::serve(listener, router)
            .with_graceful_shutdown(stopping.clone().cancelled_owned());
        let mut serving = std::pin::pin!(serving.into_future());
        tokio::select! {
            result = &mut serving => return Ok(result?),
            () = expire_uploads(&shared) => {}
            () = stop => {}
            () = self.stop.0.notified() => {}
        }
        stopping.cancel();
        match tokio::time::timeout(limits.grace, serving).await {
            Ok(result) => Ok(result?),
            // Whoever is still at it was given its time.
            Err(_) => Ok(()),
        }
    }
}

/// Drops idle uploads, for ever.
async fn expire_uploads(shared: &Shared) {
    let idle = shared.limits.idle;
    let period = (idle / 4).clamp(Duration::from_millis(10), Duration::from_secs(60));
    let mut ticks = tokio::time::interval(period);
    loop {
        ticks.tick().await;
        shared.uploads.expire(Instant::now(), idle);
    }
}

/// Answers one request.
async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(300).collect();
    let result = handle(&shared, request).await;
    let mut response = result.unwrap_or_else(|failure| {
        if let Some(cause) = &failure.cause {
            shared.events.warn(format!("{method} {path}: {cause}"));
        }
        failure.into_response()
    });
    let version = HeaderValue::from_static("registry/2.0");
    response.headers_mut().insert(API_VERSION, version);
    let status = response.status().as_u16();
    shared.events.debug(format!("{status} {method} {path}"));
    response
}

async fn handle(shared: &Shared, request: Request) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    refuse_browsers(shared, &parts.headers)?;
    let route = Route::parse(parts.uri.path(), shared.address)?;
    let wants_body = parts.method != Method::HEAD;
    let query = || Query::parse(parts.uri.query());
    match (&parts.method, route) {
        (&Method::GET | &Method::HEAD, Route::Version) => respond(StatusCode::OK)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from("{}"))
            .map_err(Failure::internal),
        (&Method::GET, Route::Catalog) => listings::catalog(shared, &query()).await,
        (&Method::GET | &Method::HEAD, Route::Blob(_, digest)) => {
            blobs::get(shared, digest, &parts.headers, wants_body).await
        }
        (&Method::POST, Route::Uploads(name)) => uploads::start(shared, &name, &parts, body).await,
        (&Method::GET, Route::Upload(name, id)) => uploads::status(shared, &name, &id).await,
        (&Method::PATCH, Route::Upload(name, id)) => {
            uploads::append(shared, &name, &id, &parts.headers, body).await
        }
        (&Method::PUT, Route::Upload(name, id)) => {
            uploads::complete(shared, &name, &id, &parts, body).await
        }
        (&Method::DELETE, Route::Upload(name, id)) => uploads::cancel(shared, &name, &id),
        (&Method::GET | &Method::HEAD, Route::Manifest(name, reference)) => {
            manifests::get(shared, name, reference, wants_body).await
        }
        (&Method::PUT, Route::Manifest(name, reference)) => {
            manifests::put(shared, name, reference, &parts.headers, body).await
        }
        (&Method::DELETE, Route::Manifest(name, reference)) => {
            manifests::delete(shared, name, reference).await
        }
        (&Method::GET, Route::Tags(name)) => listings::tags(shared, name, &query()).await,
        (&Method::GET, Route::Referrers(name, digest)) => {
            listings::referrers(shared, name, digest, &query()).await
        }
        (_, route) => {
            let message = format!("`{}` can't be done here", parts.method);
            Err(Failure::unsupported(message).with(ALLOW, allowed(&route)))
        }
    }
}

fn allowed(route: &Route) -> &'static str {
    match route {
        Route::Version | Route::Blob(..) => "GET, HEAD",
        Route::Catalog | Route::Tags(_) | Route::Referrers(..) => "GET",
        Route::Uploads(_) => "POST",
        Route::Upload(..) => "GET, PATCH, PUT, DELETE",
        Route::Manifest(..) => "GET, HEAD, PUT, DELETE",
    }
}

/// No client of a registry says which page it acts for; a browser does, and where it does not, the
/// page's server goes by a name that is not local.
fn refuse_browsers(shared: &Shared, headers: &HeaderMap) -> Result<(), Failure> {
    let host = headers
        .get(HOST)
        .map(|host| host.to_str().unwrap_or("not.ascii"));
    let is_local = host.is_none_or(routes::is_local_host);
    if headers.contains_key(ORIGIN) || (shared.address.ip().is_loopback() && !is_local) {
        let message = "pages in a browser, and names that are not this machine's, have no access \
                       to a registry on the loopback: use `localhost`";
        return Err(Failure::denied(message));
    }
    Ok(())
}

fn respond(status: StatusCode) -> response::Builder {
    Response::builder().status(status)
}
