//! Whose files a caller may read and change, and how many it may keep.

use rocket::http::Status;

use super::place::DataAccount;
use crate::datastore::{Bounds, Name, Owner, Readers};
use crate::quota::ClientBucket;
use crate::web::guards::Context;
use crate::web::problem::Problem;

/// What clients without a key are called.
const ANONYMOUS: &str = "anonymous";

/// The files of one caller, where there are any.
pub struct CallerFiles<'c> {
    context: &'c Context,
    own: Owner,
}

/// What a caller's account is called.
pub fn account(context: &Context) -> String {
    match bucket(context) {
        Some(ClientBucket::Key(name)) => name,
        _ => ANONYMOUS.to_owned(),
    }
}

fn bucket(context: &Context) -> Option<ClientBucket> {
    context.client.bucket(context.snapshot.config.clients.ipv6_prefix)
}

/// That nothing is there, or nothing that concerns the caller.
pub fn missing(what: &str) -> Problem {
    Problem::new(Status::NotFound, format!("There is no {what} here."))
}

impl<'c> CallerFiles<'c> {
    /// The caller's, if files are kept here.
    pub fn of(context: &'c Context) -> Result<Self, Problem> {
        let off = || {
            let detail = "Clients' files are not kept here: whoever runs this gateway can turn on \
                          `facades.algorithmia.storage`.";
            Problem::new(Status::Forbidden, detail)
        };
        let storage = context.snapshot.config.facades.algorithmia.storage;
        let client = bucket(context).filter(|_| storage).ok_or_else(off)?;
        Ok(Self { context, own: Owner::new(&client.to_string()) })
    }

    /// Most that may be kept.
    pub fn bounds(&self) -> Bounds {
        let facade = &self.context.snapshot.config.facades.algorithmia;
        Bounds { all: facade.max_bytes, each: facade.client_max_bytes }
    }

    /// The owner of an account that the caller may change: its own.
    pub fn own(&self, whose: &DataAccount) -> Result<Owner, Problem> {
        if self.is_own(whose) { Ok(self.own.clone()) } else { Err(missing("such account")) }
    }

    fn is_own(&self, whose: &DataAccount) -> bool {
        match whose {
            DataAccount::My => true,
            DataAccount::Named(name) => name.as_str() == account(self.context),
        }
    }

    /// The owner of a collection that the caller may read: its own, or one that is for everybody.
    pub async fn readable(&self, whose: &DataAccount, collection: &Name) -> Result<Owner, Problem> {
        let owner = match whose {
            whose if self.is_own(whose) => return Ok(self.own.clone()),
            DataAccount::My => self.own.clone(),
            DataAccount::Named(name) => Owner::new(&ClientBucket::Key(name.to_string()).to_string()),
        };
        match self.context.gateway.files().readers(&owner, collection).await? {
            Some(Readers::Everybody) => Ok(owner),
            _ => Err(missing("such file or collection")),
        }
    }
}
