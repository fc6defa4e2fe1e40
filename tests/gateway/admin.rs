//! Admin routes return 404 if no token is configured, and 401 or 403 without the configured token.

use crate::fakes::KEY as PLANTED_KEY;
use crate::harness::{Server, Setup};

#[test]
fn admin_routes_return_404_without_a_configured_token() {
    let server = Server::start();
    server.get("/v1/admin/config").problem(404);
    server.get_with("/v1/admin/config", &[("Authorization", "Bearer x")]).problem(404);
}

#[test]
fn the_configured_token_opens_the_admin_routes_and_secrets_stay_masked() {
    let server = Setup::new()
        .env("MY_TOKEN", PLANTED_KEY)
        .env("PIXCOLOR_ADMIN__TOKEN", r#"{ env = "MY_TOKEN" }"#)
        .start();
    server.get("/v1/admin/config").problem(401);
    server.get_with("/v1/admin/config", &[("Authorization", "Bearer wrong")]).problem(403);
    for scheme in ["Bearer ", "Simple ", ""] {
        let header = format!("{scheme}{PLANTED_KEY}");
        let answer = server.get_with("/v1/admin/config", &[("Authorization", &header)]);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.text().contains(PLANTED_KEY));
        assert!(answer.text().contains("MY_TOKEN"));
    }
}
