//! `If-None-Match` (RFC 9110, section 13.1.2).

use rocket::Request;

/// The entity tags of the copies that the client has.
pub struct EntityTags<'r>(Vec<&'r str>);

impl<'r> EntityTags<'r> {
    pub fn of(request: &'r Request<'_>) -> Self {
        // Our tags contain no comma.
        let tags = request.headers().get("If-None-Match").flat_map(|line| line.split(','));
        Self(tags.map(str::trim).collect())
    }

    /// Whether the tags include this one or `*`. The comparison is weak.
    pub fn include(&self, tag: &str) -> bool {
        self.0.iter().any(|known| *known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
    }
}
