//! Access rights and storage limits of a caller's files.

use rocket::http::Status;

use super::data_path::DataAccount;
use crate::datastore::{Bounds, Name, Owner, Readers};
use crate::quota::ClientBucket;
use crate::web::guards::Context;
use crate::web::problem::Problem;

/// The account name of clients without a key.
const ANONYMOUS: &str = "anonymous";

/// The files that one caller may access.
pub struct CallerFiles<'c> {
    context: &'c Context,
    own: Owner,
}

/// The name of the caller's account.
pub fn account_name(context: &Context) -> String {
    match bucket(context) {
        Some(ClientBucket::Key(name)) => name,
        _ => ANONYMOUS.to_owned(),
    }
}

fn bucket(context: &Context) -> Option<ClientBucket> {
    context.client.bucket(context.snapshot.config.clients.ipv6_prefix)
}

/// 404 for something that does not exist or that the caller is not allowed to see.
pub fn missing(what: &str) -> Problem {
    Problem::new(Status::NotFound, format!("There is no {what} here."))
}

impl<'c> CallerFiles<'c> {
    /// The caller's files. Fails if the configuration does not allow storing files.
    pub fn of(context: &'c Context) -> Result<Self, Problem> {
        let off = || {
            let detail = "This gateway does not store clients' files. Its operator can turn on \
                          `facades.algorithmia.storage`.";
            Problem::new(Status::Forbidden, detail)
        };
        let storage = context.snapshot.config.facades.algorithmia.storage;
        let client = bucket(context).filter(|_| storage).ok_or_else(off)?;
        Ok(Self { context, own: Owner::new(&client.to_string()) })
    }

    /// The storage limits.
    pub fn bounds(&self) -> Bounds {
        let facade = &self.context.snapshot.config.facades.algorithmia;
        Bounds { all: facade.max_bytes, each: facade.client_max_bytes }
    }

    /// The owner of an account. Fails unless it is the caller's own account.
    pub fn own(&self, account: &DataAccount) -> Result<Owner, Problem> {
        if self.is_own(account) { Ok(self.own.clone()) } else { Err(missing("such account")) }
    }

    fn is_own(&self, account: &DataAccount) -> bool {
        match account {
            DataAccount::My => true,
            DataAccount::Named(name) => name.as_str() == account_name(self.context),
        }
    }

    /// The owner of a collection. Fails unless the collection is the caller's own or all clients may read it.
    pub async fn readable(&self, account: &DataAccount, collection: &Name) -> Result<Owner, Problem> {
        let owner = match account {
            account if self.is_own(account) => return Ok(self.own.clone()),
            DataAccount::My => self.own.clone(),
            DataAccount::Named(name) => Owner::new(&ClientBucket::Key(name.to_string()).to_string()),
        };
        match self.context.gateway.files().readers(&owner, collection).await? {
            Some(Readers::Everybody) => Ok(owner),
            _ => Err(missing("such file or collection")),
        }
    }
}
