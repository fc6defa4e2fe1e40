//! Listings of accounts and collections: pages of at most a thousand entries, with a marker for the next page.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::datastore::{FileFacts, FileListing, Name, Readers};
use crate::web::problem::Problem;

/// Maximum number of entries per page.
pub const MOST: usize = 1000;

/// The last name of the previous page, decoded from its marker.
pub fn after(marker: Option<&str>) -> Result<Option<Name>, Problem> {
    let wrong = || Problem::bad_request("The marker is invalid: use the `marker` of the previous page.");
    marker
        .filter(|marker| !marker.is_empty())
        .map(|marker| Name::from_disk(marker).ok_or_else(wrong))
        .transpose()
}

/// A page of an account's collections.
pub fn folders(page: &FileListing<Name>) -> Map<String, Value> {
    let folders: Vec<Value> = page.items.iter().map(|name| json!({ "name": name.as_str() })).collect();
    listing("folders", folders, page.items.last().filter(|_| page.more))
}

/// A page of a collection's files.
pub fn files(page: &FileListing<FileFacts>) -> Map<String, Value> {
    let file = |file: &FileFacts| {
        json!({
            "filename": file.name.as_str(),
            "size": file.bytes,
            "last_modified": moment(OffsetDateTime::from(file.modified)),
        })
    };
    let last = page.items.last().map(|file| &file.name).filter(|_| page.more);
    listing("files", page.items.iter().map(file).collect(), last)
}

fn listing(what: &str, items: Vec<Value>, last: Option<&Name>) -> Map<String, Value> {
    let mut listing = Map::from_iter([("folders".to_owned(), json!([])), ("files".to_owned(), json!([]))]);
    listing.insert(what.to_owned(), items.into());
    if let Some(last) = last {
        listing.insert("marker".to_owned(), last.on_disk().into());
    }
    listing
}

/// Formats a time as `2016-01-06T00:52:34.000Z`. Some clients parse exactly this format, with the three zeros.
fn moment(time: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].000Z");
    time.format(&form).unwrap_or_default()
}

/// The `acl` member of a listing.
pub fn acl(readers: Readers) -> Value {
    let read: &[&str] = match readers {
        Readers::Algorithms => &["algo://.my/*"],
        Readers::Nobody => &[],
        Readers::Everybody => &["user://*"],
    };
    json!({ "read": read })
}

/// Parses an `acl`. Members other than `read` are ignored.
pub fn readers(acl: &Value) -> Result<Readers, Problem> {
    let wrong = || {
        let detail = r#"An `acl` is {"read": []}, {"read": ["algo://.my/*"]} or {"read": ["user://*"]}."#;
        Problem::bad_request(detail)
    };
    let read = acl["read"].as_array().ok_or_else(wrong)?;
    let words: Option<Vec<&str>> = read.iter().map(Value::as_str).collect();
    match words.ok_or_else(wrong)?.as_slice() {
        [] => Ok(Readers::Nobody),
        ["algo://.my/*"] => Ok(Readers::Algorithms),
        words if words.contains(&"user://*") => Ok(Readers::Everybody),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn times_have_the_format_that_the_strictest_client_parses() {
        assert_eq!(moment(datetime!(2016-01-06 00:52:34.987 UTC)), "2016-01-06T00:52:34.000Z");
    }

    #[test]
    fn a_marker_names_the_last_entry_and_invalid_markers_are_refused() {
        let name = |text: &str| Name::parse(text).unwrap();
        let page = FileListing { items: vec![name("a"), name("b ä")], more: true };
        let marker = folders(&page)["marker"].as_str().unwrap().to_owned();
        assert_eq!(after(Some(&marker)).unwrap(), Some(name("b ä")));
        assert!(!folders(&FileListing { more: false, ..page }).contains_key("marker"));
        assert_eq!(after(Some("")).unwrap(), None);
        assert!(after(Some("../x")).is_err());
    }

    #[test]
    fn an_acl_is_listed_as_it_was_set() {
        for readers in [Readers::Algorithms, Readers::Nobody, Readers::Everybody] {
            assert_eq!(self::readers(&acl(readers)).unwrap(), readers);
        }
        assert_eq!(readers(&json!({ "read": ["user://*"], "_dummy": null })).unwrap(), Readers::Everybody);
        for wrong in [json!(null), json!({}), json!({ "read": ["user://bob"] }), json!({ "read": [1] })] {
            assert!(readers(&wrong).is_err(), "{wrong}");
        }
    }
}
