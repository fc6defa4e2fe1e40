//! Other web sites, in a real browser: their requests to the gateway change nothing and spend no credit.

use crate::driver::Browser;
use crate::fakes::http::{Reply, Server as Site};
use crate::harness::{Picture, Server, Setup};

/// A gateway that stores clients' files, with one collection.
fn gateway() -> Server {
    let server = Setup::new()
        .env("PIXCOLOR_FACADES__ALGORITHMIA__STORAGE", "true")
        .env("PIXCOLOR_HOSTS", r#"["127.0.0.1", "photos.example"]"#)
        .start();
    let made = server.post("/v1/data/.my", &[("Content-Type", "application/json")], br#"{"name":"a"}"#);
    assert_eq!(made.status, 200, "{made:?}");
    server
}

/// Requests that browsers send for a hostile page without asking the gateway for permission (CORS).
fn attacks(gateway: &str) -> [(&'static str, String); 5] {
    let picture = Picture::png(16, 16, 1).data_url();
    [
        (
            "a form that asks to delete a file",
            format!(
                "<form action='{gateway}/v1/data/.my/a?force=true' method='post'><input name='_method' \
                 value='DELETE'></form><script>document.forms[0].submit()</script>"
            ),
        ),
        (
            "a multipart form with a picture",
            format!(
                "<form action='{gateway}/' method='post' enctype='multipart/form-data'><input type='file' \
                 name='image'></form><script type='module'>\
                 const blob = await (await fetch('{picture}')).blob(); const files = new DataTransfer();\
                 files.items.add(new File([blob], 'a.png', {{ type: 'image/png' }}));\
                 document.querySelector('input').files = files.files; document.forms[0].submit();</script>"
            ),
        ),
        (
            "a fetch of text/plain",
            format!(
                "<script>fetch('{gateway}/image', {{ method: 'POST', mode: 'no-cors', body: '{picture}' }})</script>"
            ),
        ),
        (
            "a fetch of a picture that is declared to be a form",
            format!(
                "<script type='module'>const bytes = await (await fetch('{picture}')).arrayBuffer();\
                 const body = new Blob([bytes], {{ type: 'application/x-www-form-urlencoded' }});\
                 fetch('{gateway}/v1/colorize', {{ method: 'POST', mode: 'no-cors', body }})</script>"
            ),
        ),
        (
            "a fetch of an algorithm",
            format!(
                "<script>fetch('{gateway}/v1/algo/deeplearning/ColorfulImageColorization/1.1.13', \
                 {{ method: 'POST', mode: 'no-cors', body: '{picture}' }})</script>"
            ),
        ),
    ]
}

/// Opens a hostile page of `site` and waits until the gateway has refused the page's request.
#[track_caller]
fn attack(browser: &Browser, gateway: &Server, site: &str, what: &str) {
    let denied = || gateway.metric("pixcolor_denied_requests_total{reason=\"site\"}");
    let before = denied();
    browser.open(site);
    gateway.until(&format!("{what} from {site} is refused"), |_| denied() > before + 0.5);
    assert_eq!(gateway.get("/v1/data/.my/a").status, 200, "{what} has deleted something");
}

#[test]
fn other_sites_cannot_delete_files_or_spend_credit() {
    let server = gateway();
    let browser = Browser::start();
    let port = server.address.port();
    // Browsers send Sec-Fetch-Site to the loopback address, which they trust. To a name over plain HTTP they send only
    // Origin.
    for name in ["127.0.0.1", "photos.example"] {
        for (what, page) in attacks(&format!("http://{name}:{port}")) {
            let file = browser.folder.path().join("evil.html");
            std::fs::write(&file, &page).unwrap();
            let site = Site::start(move |_| Reply::new(200, "text/html", page.clone()));
            let other = site.url().replace("127.0.0.1", "evil.example");
            // The hostile pages are at another port of the same site, on another site, and in a file, whose origin is
            // `null`.
            for from in [site.url(), other, format!("file://{}", file.display())] {
                attack(&browser, &server, &from, what);
            }
        }
    }
    let usage = server.get("/v1/usage").json();
    assert_eq!(usage["total"]["calls"], 0, "{usage}");
}

#[test]
fn a_foreign_host_name_that_resolves_to_the_gateway_is_refused() {
    let server = Server::start();
    let browser = Browser::start();
    browser.open(&format!("http://evil.example:{}/", server.address.port()));
    let said = browser.value("document.body.innerText");
    assert!(said.as_str().unwrap().contains("evil.example"), "{said}");
    assert!(said.as_str().unwrap().contains("misdirected"), "{said}");
}

#[test]
fn the_form_works_without_javascript_under_a_name_over_plain_http() {
    let server = Setup::new().env("PIXCOLOR_HOSTS", r#"["photos.example"]"#).start();
    let browser = Browser::start();
    browser.cdp("Emulation.setScriptExecutionDisabled", serde_json::json!({"value": true}));
    browser.open(&format!("http://photos.example:{}/", server.address.port()));
    let file = browser.folder.path().join("photo.png");
    std::fs::write(&file, Picture::png(64, 48, 1).bytes).unwrap();
    browser.type_into("#file", file.to_str().unwrap());
    browser.click("#submit");
    server.until_said("POST / 200");
}
