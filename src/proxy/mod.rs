//! The recording proxy: everything that a step says to the network ends here.
//!
//! In: a step's connections and questions ([`Interceptor`]); a record to replay, or the world to
//! record. Out: a [`Record`] and the bodies of its answers in the store; or the same answers again,
//! without any network. What proves who asked (fields, cookies, signatures in URLs) gets to the
//! servers and nowhere else.
//!
//! ```text
//! step ─▶ Forwarder ─▶ names (DNS)     record: upstream ─▶ dial ─▶ the world
//!                  └─▶ connection ─▶ serve ─▶ recorder ─┘  └─▶ store, Record
//!                      (TLS, CONNECT)      └▶ replayer ◀─ store, Record
//! ```
//!
//! HTTP/1.1 and HTTP/2, in clear and by TLS, for programs that know of no proxy, and for those that
//! insist on one. Another protocol ends the step, as does a request that the record doesn't have.
//! Bodies flow through: none is held in memory.

mod authority;
mod body;
mod canonical;
mod conditional;
mod connection;
mod credentials;
mod dial;
mod error;
mod hashing;
mod names;
mod nearest;
mod recorded;
mod recorder;
mod replayer;
mod runtime;
mod secrets;
mod serve;
mod spool;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{PipeReader, PipeWriter};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use error::Error;
pub use serve::judge;

use crate::lock::Record;
use crate::policy::Policy;
use crate::sandbox::network::destination::{Reach, Route};
use crate::sandbox::network::forwarder::MOST_CONNECTIONS;
use crate::sandbox::network::interceptor::{Answer, Interceptor};
use crate::sandbox::network::{self, HOST_GATEWAY, address};
use crate::store::Store;
use authority::Authority;
use names::Verdict;
use recorder::Recorder;
use replayer::Replayer;

/// Gives a text with `***` in place of what the caller's secrets hold.
pub type Mask = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// Where the answers come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// From the servers that the step means; they are recorded.
    World {
        /// The instant of the record, in seconds since 1970.
        instant: i64,
        /// The caller's proxies, as variables (`HTTP_PROXY`, …, `NO_PROXY`).
        proxies: Vec<(String, String)>,
    },
    /// From a record and the store.
    Record(Record),
}

/// The network of one step. When it is dropped, all that it carries is.
pub struct Proxy {
    shared: Arc<Shared>,
}

/// What came of a step's network.
#[derive(Debug, Default)]
pub struct Finished {
    /// What was recorded, if it was.
    pub record: Option<Record>,
    /// Whether the step got just what a replay of that gives it: tokens, cookies and what broke off
    /// before it came are not in records.
    pub is_as_recorded: bool,
}

/// What the tasks of one proxy share.
struct Shared {
    authority: Authority,
    /// What answers say of when they were given.
    date: http::HeaderValue,
    /// Addresses of the step's `/etc/hosts`, by name.
    hosts: BTreeMap<String, IpAddr>,
    mask: Mask,
    policy: Arc<Policy>,
    reach: Reach,
    store: Store,
    answers: Answers,
    trouble: Mutex<Trouble>,
    /// Hung up when the step is to be ended.
    stop: PipeReader,
    /// Names that were asked for, by the address that they have inside.
    asked: Mutex<BTreeMap<Ipv4Addr, BTreeSet<String>>>,
    over: CancellationToken,
    places: Arc<Semaphore>,
}

enum Answers {
    World(Arc<Recorder>),
    Record(Replayer),
}

/// What went wrong.
struct Trouble {
    failure: Option<Error>,
    stop: Option<PipeWriter>,
    notes: Vec<String>,
}

/// Notes that are kept.
const MOST_NOTES: usize = 20;

impl Proxy {
    /// Starts it; `hosts` are the names of the step's `/etc/hosts` ([`crate::sandbox::Request`]),
    /// and `mask` hides secrets that stand in URLs.
    ///
    /// # Errors
    /// Where the machine gives no randomness, pipe or temporary folder.
    pub fn start(
        source: Source,
        hosts: &[(String, String)],
        mask: Mask,
        policy: Arc<Policy>,
        store: &Store,
    ) -> Result<Proxy, Error> {
        let reach = Reach {
            host_gateway: hosts.iter().any(|(_, address)| address == HOST_GATEWAY),
            ..Reach::default()
        };
        let address = |address: &str| match address {
            HOST_GATEWAY => Some(IpAddr::V4(address::GATE_V4)),
            address => address.parse().ok(),
        };
        let hosts = hosts.iter().filter_map(|(name, at)| {
            let name = names::host(name)?;
            Some((name, address(at)?))
        });
        let (instant, answers) = match source {
            Source::World { instant, proxies } => {
                let recorder = Recorder::new(instant, reach.clone(), &proxies, store)?;
                (instant, Answers::World(Arc::new(recorder)))
            }
            Source::Record(record) => (record.instant, Answers::Record(Replayer::new(record))),
        };
        let (stop, writer) = std::io::pipe().map_err(Error::Start)?;
        runtime::get().map_err(Error::Start)?;
        Ok(Proxy {
            shared: Arc::new(Shared {
                authority: Authority::new(instant)?,
                date: serve::date(instant),
                hosts: hosts.collect(),
                mask,
                policy,
                reach,
                store: store.clone(),
                answers,
                trouble: Mutex::new(Trouble {
                    failure: None,
                    stop: Some(writer),
                    notes: Vec::new(),
                }),
                stop,
                asked: Mutex::default(),
                over: CancellationToken::new(),
                places: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
            }),
        })
    }

    /// The certificate of the step's own authority, in DER: the step has to trust it.
    pub fn certificate(&self) -> &[u8] {
        self.shared.authority.der()
    }

    /// What the sandbox hands the step's connections to.
    pub fn interceptor(&self) -> Arc<dyn Interceptor> {
        Arc::new(Inside(Arc::clone(&self.shared)))
    }

    /// What ended the step, if that was the proxy.
    pub fn failure(&self) -> Option<Error> {
        self.shared.trouble().failure.take()
    }

    /// What may explain why the step failed, for people: servers that couldn't be reached, names
    /// that the record doesn't have.
    pub fn notes(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.trouble().notes)
    }

    /// After the step has ended well: waits for what is still on its way to the store.
    pub fn finish(self) -> Result<Finished, Error> {
        let finished = match &self.shared.answers {
            Answers::World(recorder) => recorder.finish(),
            Answers::Record(_) => Ok(Finished::default()),
        };
        self.failure().map_or(finished, Err)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.cancel();
    }
}

impl Shared {
    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the step.
    fn fail(&self, error: Error) {
        let mut trouble = self.trouble();
        trouble.failure.get_or_insert(error);
        trouble.stop = None;
    }

    /// Keeps what may explain a failure.
    fn note(&self, note: String) {
        let mut trouble = self.trouble();
        if trouble.notes.len() < MOST_NOTES && !trouble.notes.contains(&note) {
            trouble.notes.push(note);
        }
    }

    /// The names that lead to an address inside, or the address.
    fn called(&self, destination: SocketAddr) -> String {
        let names = match destination.ip() {
            IpAddr::V4(ip) => self.names(ip),
            IpAddr::V6(_) => BTreeSet::new(),
        };
        let of_hosts = self.hosts.iter();
        let of_hosts = of_hosts.filter(|(_, ip)| **ip == destination.ip());
        let names = of_hosts.map(|(name, _)| name.clone()).chain(names);
        let names: Vec<_> = names.collect();
        match names.is_empty() {
            true => destination.to_string(),
            false => format!("{}:{}", names.join("` or `"), destination.port()),
        }
    }

    fn names(&self, ip: Ipv4Addr) -> BTreeSet<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(&ip).cloned().unwrap_or_default()
    }

    /// Answers a DNS message.
    async fn resolve(&self, question: &[u8]) -> Vec<u8> {
        let Some(name) = names::asked(question) else {
            return names::answer(question, Verdict::Exists);
        };
        let verdict = match &self.answers {
            Answers::World(recorder) => recorder.resolve(&name).await,
            Answers::Record(replayer) => {
                let verdict = replayer.resolve(&name);
                if verdict == Verdict::Missing {
                    self.note(format!("the lock has no name `{name}`"));
                }
                verdict
            }
        };
        if verdict == Verdict::Exists {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let names = asked.entry(names::address(&name)).or_default();
            names.insert(name);
        }
        names::answer(question, verdict)
    }
}

/// The proxy as the sandbox has it.
struct Inside(Arc<Shared>);

impl Interceptor for Inside {
    fn admits(&self, destination: SocketAddr) -> std::io::Result<()> {
        let shared = &self.0;
        if let Some(what) = connection::other_protocol(destination.port()) {
            let to = shared.called(destination);
            shared.fail(Error::NotHttp { to, what });
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        // A replay must not follow from the machine's own addresses.
        let is_own = |ip| match shared.answers {
            Answers::World(_) => network::is_own(ip),
            Answers::Record(_) => false,
        };
        match shared.reach.route(destination, is_own) {
            Route::Refused(refusal) => {
                let kind = std::io::ErrorKind::ConnectionRefused;
                Err(std::io::Error::new(kind, refusal))
            }
            Route::To(_) | Route::Resolver => Ok(()),
        }
    }

    fn connection(&self, stream: TcpStream, destination: SocketAddr) {
        // A program may have connected without asking.
        match self.admits(destination) {
            Ok(()) => connection::begin(Arc::clone(&self.0), stream, destination),
            Err(_) => connection::reset(stream),
        }
    }

    fn question(&self, question: Vec<u8>, answer: Answer) {
        let shared = Arc::clone(&self.0);
        runtime::spawn(async move { answer(shared.resolve(&question).await) });
    }

    fn ended(&self) -> BorrowedFd<'_> {
        self.0.stop.as_fd()
    }
}
