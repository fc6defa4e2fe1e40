//! The harness of the tests of the real binary: servers, requests, images.

pub mod picture;
pub mod server;
pub mod wait;

pub use picture::Picture;
pub use server::{Server, Setup};

use ureq::http::Response;
use ureq::{Agent, Body};

/// A response, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn new(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.into_with_config().limit(1 << 30).read_to_vec().expect("a whole body");
        let shown = format!("{:?} {}", parts.headers, String::from_utf8_lossy(&body));
        assert!(!shown.contains(crate::fakes::KEY), "the response contains the planted key: {shown}");
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// The value of a header; empty if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header is text"))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body is text")
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The image in the body.
    #[track_caller]
    pub fn picture(&self) -> image::DynamicImage {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        image::load_from_memory(&self.body).expect("the body is a picture")
    }

    /// Asserts that this is a problem (RFC 9457) with this status, and returns it.
    #[track_caller]
    pub fn problem(&self, status: u16) -> serde_json::Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        for field in ["type", "title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {problem}");
        }
        problem
    }
}

/// A client that returns every status as a response.
pub fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).build().into()
}
