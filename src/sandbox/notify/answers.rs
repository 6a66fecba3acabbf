//! What is answered for one step, by how it is kept in and who it may be.
//!
//! In: a request. Out: the filter for its first process, and handlers for its worker. Both know
//! the same rules, so that nothing is asked that nobody answers.

use std::os::fd::BorrowedFd;

use super::attribute::Attributes;
use super::bpf::{Error, Word};
use super::call::Call;
use super::filter::{self, Action, Programs};
use super::owner::record::{Inode, Owner, Table};
use super::owner::{Devices, Ownership};
use super::restart::Restarts;
use super::rights::Users;
use super::{Answering, Handler as _, deny, turns};
use crate::sandbox::clock::{self, Clock, ClockWay, FileTimes, Files, Hidden};
use crate::sandbox::error::Error as SandboxError;
use crate::sandbox::facts::{Directories, Facts, Processes, refused};
use crate::sandbox::network::{Ports, connect::Connects};
use crate::sandbox::random::Random;
use crate::sandbox::request::Network;
use crate::sandbox::trace::{Trace, Tracer};
use crate::sandbox::{Identity, Request, Security};

/// The calls that ask a file system what it is.
const FILE_SYSTEMS: [Call; 4] = [Call::Fstatfs, Call::Fstatfs64, Call::Statfs, Call::Statfs64];

/// Owners of files that can't have the attribute.
pub(in crate::sandbox) type Links = Vec<(Inode, Owner)>;

/// The filter of a step's processes; who installs it sends what answers it by `report`.
pub(in crate::sandbox) fn filter_for(
    request: &Request,
    identity: Identity,
    report: BorrowedFd<'_>,
) -> Result<Vec<Word>, Error> {
    let mut rules = deny::rules(request.security == Security::Insecure);
    let (owners, programs) = match identity {
        // What programs of 32 bits ask for by other numbers nobody answers.
        Identity::Single => (Ownership::rules(), Programs::Own),
        _ => (Devices::rules(), Programs::Of32Bits),
    };
    if Tracer::of(request).is_some() {
        rules.extend(Tracer::rules());
    }
    rules.extend(owners.into_iter().chain(Attributes::rules()));
    rules.extend(Restarts::rules());
    if request.network == Network::Forwarded {
        rules.extend(Connects::rules());
    }
    rules.extend(Facts::rules());
    if request.security == Security::Sandbox {
        rules.extend(refused::rules());
    }
    if sorts(request) {
        rules.extend(Directories::rules());
    }
    if request.security == Security::Insecure {
        // Such a step may serve a file system itself, and wait for an answer meanwhile.
        rules.retain(|rule| !FILE_SYSTEMS.contains(&rule.call));
    }
    if request.constants.is_some() {
        rules.extend(Files::rules());
        rules.extend(clock::Links::rules());
        rules.extend(Processes::rules());
        rules.extend(Random::rules());
        rules.extend(Clock::rules());
    } else if hides(request) {
        rules.extend(Hidden::rules());
    }
    let mut otherwise = Action::Allow;
    if request.takes_turns {
        rules.extend(turns::rules(report));
        otherwise = Action::Notify;
    }
    filter::program(&rules, programs, otherwise)
}

/// Whether who has the machine's clock has to ask for it, so that it is seen.
fn hides(request: &Request) -> bool {
    Tracer::of(request).is_some()
        && request.constants.is_none()
        && request.ways.clock == ClockWay::Hidden
}

/// Whether directories are read in order.
fn sorts(request: &Request) -> bool {
    request.security == Security::Sandbox && !request.ways.reads_as_stored
}

/// The handlers of one step.
#[derive(Debug)]
pub(in crate::sandbox) struct Answers {
    tracer: Option<Tracer>,
    hidden: Option<Hidden>,
    owners: Owners,
    attributes: Attributes,
    connects: Option<Connects>,
    facts: Facts,
    directories: Option<Directories>,
    files: Option<Files>,
    links: Option<clock::Links>,
    processes: Option<Processes>,
    random: Option<Random>,
    clock: Option<Clock>,
    has_namespaces: bool,
}

#[derive(Debug)]
enum Owners {
    /// The kernel knows all users, but makes no devices.
    Real(Devices),
    Emulated(Box<Ownership>),
}

impl Answers {
    /// `links` are the owners that the layers below can't say.
    pub(in crate::sandbox) fn new(request: &Request, identity: Identity, links: Table) -> Answers {
        let (owners, users) = match identity {
            Identity::Single => {
                let groups = request.groups.clone();
                let ownership = Ownership::new(request.uid, request.gid, groups, links);
                (Owners::Emulated(Box::new(ownership)), Users::One)
            }
            _ => (Owners::Real(Devices), Users::Many),
        };
        Answers {
            tracer: Tracer::of(request),
            hidden: hides(request).then(Hidden::default),
            owners,
            attributes: Attributes::new(users),
            connects: None,
            facts: Facts::new(request, users),
            directories: sorts(request).then(Directories::default),
            files: None,
            links: None,
            processes: None,
            random: None,
            clock: None,
            has_namespaces: request.security == Security::Insecure,
        }
    }

    /// Lets the step's programs read such a clock and such chance, and see file times by the clock.
    pub(in crate::sandbox) fn tell_by(&mut self, constants: Option<(Clock, Random, FileTimes)>) {
        let Some((clock, random, times)) = constants else {
            return;
        };
        (self.clock, self.random) = (Some(clock), Some(random));
        self.processes = Some(Processes::new(times.given()));
        match &mut self.owners {
            Owners::Real(_) => {
                self.links = Some(times.links(Users::Many));
                self.files = Some(Files::new(times, self.has_namespaces));
            }
            Owners::Emulated(ownership) => {
                self.links = Some(times.links(Users::One));
                ownership.show_times(times);
            }
        }
    }

    /// Lets the step's connections be made through `ports`.
    pub(in crate::sandbox) fn connect_by(&mut self, ports: Ports) {
        self.connects = Some(Connects::by(ports));
    }

    /// What answers, in the order in which it is asked.
    pub(in crate::sandbox) fn handlers(&mut self) -> Vec<Answering<'_>> {
        let mut handlers = Vec::new();
        // Before all others, as it sees what they answer.
        handlers.extend(self.tracer.as_mut().map(Answering::by));
        // First of those who answer, as who makes a file in the caller's stead reads its name.
        handlers.extend(self.random.as_mut().map(Answering::by));
        handlers.extend([
            match &mut self.owners {
                Owners::Real(devices) => Answering::by(devices),
                Owners::Emulated(ownership) => Answering::by(&mut **ownership),
            },
            Answering::by(&mut self.attributes),
        ]);
        handlers.push(Answering::by(Restarts));
        handlers.extend(self.connects.as_mut().map(Answering::by));
        let kernels: &[Call] = match self.has_namespaces {
            true => &FILE_SYSTEMS,
            false => &[],
        };
        handlers.push(Answering::by(&mut self.facts).without(kernels));
        handlers.extend(self.directories.as_mut().map(Answering::by));
        handlers.extend(self.files.as_mut().map(Answering::by));
        handlers.extend(self.links.as_mut().map(Answering::by));
        handlers.extend(self.processes.as_mut().map(Answering::by));
        // Last, as it must see every exec that the kernel carries out.
        handlers.extend(self.clock.as_mut().map(Answering::by));
        handlers.extend(self.hidden.as_mut().map(Answering::by));
        handlers
    }

    /// What the step gave away of what can't say so itself; what its programs did, if that was asked
    /// for; and why it had to end, if it had to.
    pub(in crate::sandbox) fn into_kept(self) -> (Links, Option<Trace>, Option<SandboxError>) {
        let links = match self.owners {
            Owners::Real(_) => Links::new(),
            Owners::Emulated(ownership) => ownership.into_table().into_iter().collect(),
        };
        let unset = self.clock.and_then(Clock::into_failure);
        let short = self.random.map_or(Ok(()), Random::finish);
        let trace = self.tracer.map(Tracer::into_trace);
        (links, trace, unset.or(short.err()))
    }
}
