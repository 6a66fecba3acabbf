//! What is answered for one step, by how it is kept in and who it may be.
//!
//! In: a request. Out: the filter for its first process, and handlers for its worker; both are
//! made of the same, so that nothing is asked that nobody answers.

use super::attribute::Attributes;
use super::bpf::{Error, Word};
use super::filter::Programs;
use super::owner::record::{Inode, Owner, Table};
use super::owner::{Devices, Ownership};
use super::rights::Users;
use super::{Handler, program};
use crate::sandbox::network::{Ports, connect::Connects};
use crate::sandbox::request::Network;
use crate::sandbox::{Identity, Request, Security};

/// Owners of files that can't have the attribute.
pub(in crate::sandbox) type Links = Vec<(Inode, Owner)>;

/// The handlers of one step.
#[derive(Debug)]
pub(in crate::sandbox) struct Answers {
    insecure: bool,
    owners: Owners,
    attributes: Attributes,
    connects: Option<Connects>,
}

#[derive(Debug)]
enum Owners {
    /// The kernel knows all users, but makes no devices.
    Real(Devices),
    Emulated(Box<Ownership>),
}

impl Answers {
    /// `links` are the owners that the layers below can't say; the filter needs none.
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
            insecure: request.security == Security::Insecure,
            owners,
            attributes: Attributes::new(users),
            connects: (request.network == Network::Forwarded).then(Connects::default),
        }
    }

    /// Lets the step's connections be made through `ports`.
    pub(in crate::sandbox) fn connect_by(&mut self, ports: Ports) {
        self.connects = Some(Connects { ports: Some(ports) });
    }

    /// The filter.
    pub(in crate::sandbox) fn program(&mut self) -> Result<Vec<Word>, Error> {
        let programs = match self.owners {
            Owners::Real(_) => Programs::Of32Bits,
            // What they ask for by other numbers nobody answers.
            Owners::Emulated(_) => Programs::Own,
        };
        program(self.insecure, programs, &self.handlers())
    }

    /// What answers.
    pub(in crate::sandbox) fn handlers(&mut self) -> Vec<Box<dyn Handler + '_>> {
        let owners: Box<dyn Handler + '_> = match &mut self.owners {
            Owners::Real(devices) => Box::new(devices),
            Owners::Emulated(ownership) => Box::new(&mut **ownership),
        };
        let mut handlers = vec![owners, Box::new(&mut self.attributes)];
        if let Some(connects) = &mut self.connects {
            handlers.push(Box::new(connects));
        }
        handlers
    }

    /// What the step gave away of what can't say so itself.
    pub(in crate::sandbox) fn into_links(self) -> Links {
        match self.owners {
            Owners::Real(_) => Links::new(),
            Owners::Emulated(ownership) => ownership.into_table().into_iter().collect(),
        }
    }
}
