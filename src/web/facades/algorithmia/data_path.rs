//! Parses `data://` URIs and paths below `/v1/data`. Collections are one level deep.

use std::borrow::Cow;

use rocket::http::{RawStr, Status};
use rocket::request::{FromRequest, Outcome, Request};

use crate::datastore::{Name, NameError};
use crate::web::problem::Problem;

/// A location in the data API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataPath {
    /// `data://`: the accounts that the caller can see.
    Accounts,
    /// `data://.my`: an account's collections.
    Account(DataAccount),
    /// `data://.my/photos`.
    Collection(DataAccount, Name),
    /// `data://.my/photos/a.png`.
    File(DataAccount, Name, Name),
    /// `data://.algo/OWNER/NAME/temp/x.png`: a result of an algorithm.
    Result(Name),
}

/// The account in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataAccount {
    /// `.my`: the caller's account.
    My,
    /// The account with this name, which may be the caller's.
    Named(Name),
}

/// Why a path is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// The path names another storage service.
    OtherService,
    /// The path names a part of Algorithmia's data API that PixColor does not support.
    Unsupported,
    /// The path has too many segments.
    TooDeep,
    /// A segment is not a valid name.
    Name(NameError),
    /// The path is not UTF-8.
    NotUtf8,
}

impl From<NoPlace> for Problem {
    fn from(wrong: NoPlace) -> Self {
        match wrong {
            NoPlace::OtherService => Self::bad_request("Only files at data:// are supported."),
            NoPlace::Unsupported => Self::new(
                Status::NotFound,
                "Only data://.my/..., data://ACCOUNT/... and, for results, data://.algo/.../temp/... are supported.",
            ),
            NoPlace::TooDeep => {
                Self::bad_request("Collections are one level deep: a file is at data://.my/COLLECTION/FILE.")
            }
            NoPlace::Name(error) => error.into(),
            NoPlace::NotUtf8 => Self::bad_request("The path is not UTF-8."),
        }
    }
}

impl DataPath {
    /// Parses a `data://` URI.
    pub fn of_uri(uri: &str) -> Result<Self, NoPlace> {
        let path = uri.strip_prefix("data://").ok_or(NoPlace::OtherService)?;
        Self::of_segments(&path.split('/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>())
    }

    /// Parses the raw path of a request. Some clients also encode the slashes of a path; these clients write a space as
    /// `+`, as in forms.
    pub fn of_path(raw: &str) -> Result<Self, NoPlace> {
        let mut segments = raw.split('/').filter(|segment| !segment.is_empty());
        let family = segments.nth(1);
        if family == Some("connector") && segments.next() != Some("data") {
            return Err(NoPlace::OtherService);
        }
        let segments: Vec<&str> = segments.collect();
        let form = segments.iter().any(|segment| segment.contains("%2F") || segment.contains("%2f"));
        let decode = |segment: &str| -> Result<String, NoPlace> {
            let plain = if form { Cow::Owned(segment.replace('+', " ")) } else { Cow::Borrowed(segment) };
            let decoded = RawStr::new(&*plain).percent_decode().map_err(|_| NoPlace::NotUtf8)?;
            Ok(decoded.into_owned())
        };
        let decoded = segments.into_iter().map(decode).collect::<Result<Vec<_>, _>>()?.join("/");
        // Python's `client.file("s3://x/y")` requests `/v1/data/s3://x/y`.
        let scheme = decoded.split_once(":/").map(|(scheme, _)| scheme);
        if scheme.is_some_and(|scheme| !scheme.is_empty() && !scheme.contains('/')) {
            return Err(NoPlace::OtherService);
        }
        Self::of_segments(&decoded.split('/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>())
    }

    fn of_segments(segments: &[&str]) -> Result<Self, NoPlace> {
        let name = |text: &str| Name::parse(text).map_err(NoPlace::Name);
        let parse_account = |text: &str| match text {
            ".my" => Ok(DataAccount::My),
            text if text.starts_with('.') && text != "." && text != ".." => Err(NoPlace::Unsupported),
            text => name(text).map(DataAccount::Named),
        };
        match segments {
            [] => Ok(Self::Accounts),
            // The second pattern is a short form that algorithms may use. Result names are unique across algorithms.
            [".algo", _, _, "temp", file] | [".algo", "temp", file] => name(file).map(Self::Result),
            [account] => parse_account(account).map(Self::Account),
            [account, collection] => Ok(Self::Collection(parse_account(account)?, name(collection)?)),
            [account, collection, file] => {
                Ok(Self::File(parse_account(account)?, name(collection)?, name(file)?))
            }
            [account, ..] => parse_account(account).and(Err(NoPlace::TooDeep)),
        }
    }
}

/// The parsed path of a request.
pub struct Target(pub Result<DataPath, Problem>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Target {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        Outcome::Success(Self(DataPath::of_path(request.uri().path().raw().as_str()).map_err(Problem::from)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn every_client_encoding_of_a_path_is_parsed() {
        let file = || DataPath::File(DataAccount::My, name("robots"), name("T 800.txt"));
        let result = || DataPath::Result(name("x.png"));
        for (path, location) in [
            ("/v1/data", DataPath::Accounts),
            ("/v1/data/", DataPath::Accounts),
            ("/v1/data/.my", DataPath::Account(DataAccount::My)),
            ("//v1//data/.my/robots/", DataPath::Collection(DataAccount::My, name("robots"))),
            ("/v1/data/.my/robots/T%20800.txt", file()),
            ("/v1/connector/data/.my/robots/T%20800.txt", file()),
            ("/v1/data/.my%2Frobots%2FT+800.txt", file()),
            ("/v1/data/.my/robots/a+b", DataPath::File(DataAccount::My, name("robots"), name("a+b"))),
            ("/v1/data/bob/robots", DataPath::Collection(DataAccount::Named(name("bob")), name("robots"))),
            ("/v1/data/.algo/o/n/temp/x.png", result()),
            ("/v1/connector/data/.algo%2Fo%2Fn%2Ftemp%2Fx.png", result()),
            ("/v1/data/.algo/temp/x.png", result()),
        ] {
            assert_eq!(DataPath::of_path(path), Ok(location), "{path}");
        }
        assert_eq!(DataPath::of_uri("data://.my/robots/T 800.txt"), Ok(file()));
        assert_eq!(DataPath::of_uri("data://.algo/o/n/temp/x.png"), Ok(result()));
        for (path, wrong) in [
            ("/v1/connector/s3/.my/a/b", NoPlace::OtherService),
            ("/v1/data/dropbox://x/y.png", NoPlace::OtherService),
            ("/v1/data/s3+label%3A%2F%2Fx/y.png", NoPlace::OtherService),
            ("/v1/data/.session/x", NoPlace::Unsupported),
            ("/v1/data/.algo/o/n/perm/x", NoPlace::Unsupported),
            ("/v1/data/.algo/o/n/temp", NoPlace::Unsupported),
            ("/v1/data/.my/a/b/c", NoPlace::TooDeep),
            ("/v1/data/../../etc/passwd", NoPlace::Name(NameError::Reserved)),
            ("/v1/data/.my/../x", NoPlace::Name(NameError::Reserved)),
            ("/v1/data/.my/%2e%2e/x", NoPlace::Name(NameError::Reserved)),
            ("/v1/data/.my/a/%2E", NoPlace::Name(NameError::Reserved)),
            ("/v1/data/.my/a%00/x", NoPlace::Name(NameError::Characters)),
            ("/v1/data/.my/a/..%5Cx", NoPlace::Name(NameError::Characters)),
            ("/v1/data/.my/a/%ff", NoPlace::NotUtf8),
        ] {
            assert_eq!(DataPath::of_path(path), Err(wrong), "{path}");
        }
        for uri in ["s3://a/b", "file:///etc/passwd", "DATA://a/b", ".my/a/b", ""] {
            assert_eq!(DataPath::of_uri(uri), Err(NoPlace::OtherService), "{uri}");
        }
    }

    proptest! {
        #[test]
        fn no_path_leads_out_of_a_collection(path in "(/?(v1|data|connector|\\.\\.|\\.my|%2e|%2f|%5c|%00|[a-z.:+]{0,4}|\\PC)){0,8}") {
            let Ok(location) = DataPath::of_path(&path) else { return Ok(()) };
            let names = match location {
                DataPath::File(_, collection, file) => vec![collection, file],
                DataPath::Collection(_, collection) => vec![collection],
                DataPath::Result(file) => vec![file],
                DataPath::Account(_) | DataPath::Accounts => Vec::new(),
            };
            for name in names {
                let disk = name.on_disk();
                prop_assert!(disk != ".." && disk != "." && !disk.contains(['/', '\\', '\0']));
            }
        }

        #[test]
        fn a_uri_and_its_encoded_path_are_the_same_location(collection in "[^/\\\\\\x00-\\x1f:]{1,12}", file in "[^/\\\\\\x00-\\x1f:]{1,12}") {
            let uri = format!("data://.my/{collection}/{file}");
            let mut url = url::Url::parse("http://h/").unwrap();
            url.path_segments_mut().unwrap().extend(["v1", "data", ".my", &collection, &file]);
            prop_assume!(![".", ".."].contains(&collection.as_str()) && ![".", ".."].contains(&file.as_str()));
            prop_assert_eq!(DataPath::of_uri(&uri), DataPath::of_path(url.path()));
        }
    }
}
