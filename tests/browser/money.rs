//! The page shows the estimated cost before it sends a photograph, and the actual cost afterwards.

use image::ImageFormat;

use crate::fakes::KEY;
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::{Picture, Setup};
use crate::looks::{contrast, fits};
use crate::page::Page;

/// A gateway whose route is Algorithmia, then the built-in model. A call costs at most 5 credits.
pub fn paid(fake: &Algorithmia) -> Setup {
    let url = fake.url();
    Setup::new()
        .file("config/pixcolor.toml", "route = [\"algorithmia\", \"local\"]\n")
        .file(
            "config/providers/algorithmia.toml",
            format!("kind = \"algorithmia\"\nbase_url = \"{url}\"\ntimeout = 5\n"),
        )
        .env("ALGORITHMIA_API_KEY", KEY)
}

fn photo(page: &Page, name: &str, seed: u32) {
    page.choose_picture(name, &Picture::jpeg(600, 400, seed));
}

#[test]
fn a_paid_request_shows_the_price_before_anything_is_sent() {
    let fake = Algorithmia::start();
    let page = Page::of(paid(&fake));
    assert!(!page.is_seen("#spent"), "nothing has cost anything yet");
    photo(&page, "first.jpg", 1);
    let said = page.until_offered();
    assert!(said.contains("1 to 5 credits") && said.contains("0.0001 to 0.0005 USD"), "{said}");
    assert!(said.contains("local: nothing") && said.contains("Nothing has been sent yet"), "{said}");
    assert!(page.text("#status").contains("1 to 5 credits"), "{}", page.text("#status"));
    assert!(page.requests().iter().all(|path| !path.contains("colorize")));
    page.shot("price");
    page.browser.click("#decline");
    page.until("lab.dataset.phase === 'idle'");
    assert_eq!(fake.calls(), 0);

    photo(&page, "second.jpg", 1);
    page.until_offered();
    page.browser.click("#accept");
    page.until_done();
    let facts = page.text("#facts");
    assert!(facts.contains("2 credits") && facts.contains("estimated: 1 to 5 credits"), "{facts}");
    assert_eq!(fake.calls(), 1);
    page.until("spent.checkVisibility()");
    let spent = page.text("#spent");
    for said in ["algorithmia", "up to 0.5 MP", "1 call", "8.333334 credits", "0.000833 USD", " s"] {
        assert!(spent.contains(said), "no {said:?} in {spent}");
    }
    page.browser.value("spent.scrollIntoView()");
    page.shot("spent");

    // The measured call improves the next estimate.
    photo(&page, "third.jpg", 2);
    let said = page.until_offered();
    assert!(said.contains("2 credits, 0.0002 USD") && said.contains("never more than 5"), "{said}");
    // A photo that is cached costs nothing and is shown at once.
    photo(&page, "fourth.jpg", 1);
    page.until_done();
    assert!(page.text("#facts").contains("The same picture as second.jpg"), "{}", page.text("#facts"));
    assert_eq!(fake.calls(), 1);
    page.finish(&[]);
}

#[test]
fn another_provider_can_be_chosen_by_its_price() {
    let fake = Algorithmia::start();
    let page = Page::of(paid(&fake));
    photo(&page, "photo.jpg", 3);
    page.until_offered();
    page.browser.type_into("#provider", "local");
    page.until("price.textContent.includes('nothing')");
    assert_eq!(page.phase(), "offered", "choosing a provider must not start colouring");
    assert_eq!(page.text("#accept"), "Colour it with local");
    page.browser.click("#accept");
    page.until_done();
    assert!(page.text("#facts").contains("local"), "{}", page.text("#facts"));
    page.browser.type_into("#provider", "algorithmia");
    page.until("again.checkVisibility()");
    page.browser.click("#again");
    page.until_offered();
    page.browser.click("#accept");
    page.until_done();
    assert!(page.text("#facts").contains("algorithmia"), "{}", page.text("#facts"));
    assert_eq!(fake.calls(), 1);
    page.finish(&[]);
}

#[test]
fn a_spent_budget_is_named_and_the_built_in_model_colors_at_once() {
    let fake = Algorithmia::start();
    let main = "route = [\"algorithmia\", \"local\"]\n[budgets.small]\nscope = \"all\"\ncredits = 4\n";
    let page = Page::of(paid(&fake).file("config/pixcolor.toml", main));
    photo(&page, "photo.jpg", 4);
    page.until_done();
    let facts = page.text("#facts");
    assert!(facts.contains("local") && facts.contains("algorithmia: budget"), "{facts}");
    page.browser.type_into("#provider", "algorithmia");
    page.until("again.checkVisibility()");
    page.browser.click("#again");
    let said = page.until_failed();
    assert!(said.contains("The budget is spent") && said.contains("`small`"), "{said}");
    assert_eq!(fake.calls(), 0);
    page.finish(&["status of 402"]);
}

#[test]
fn the_price_is_usable_on_a_phone_in_dark_mode() {
    let fake = Algorithmia::start();
    let page = Page::prepared(paid(&fake), |page| {
        page.window(360, 740);
        page.prefers("prefers-color-scheme", "dark");
    });
    page.browser.click("#sample");
    page.until_offered();
    fits(&page);
    page.browser.value("offer.scrollIntoView({ block: 'end' })");
    page.shot("phone-price");
    for selector in ["#price", "#offers li", "#offers li[aria-current]", "#accept"] {
        let contrast = contrast(&page, selector);
        assert!(contrast >= 4.5, "{selector}: {contrast:.2}");
    }
    let [_, top, _, bottom] = page.place("#accept");
    assert!(bottom - top >= 44.0);
    page.browser.click("#accept");
    page.until_done();
    page.until("spent.checkVisibility()");
    fits(&page);
    page.browser.value("spent.scrollIntoView()");
    page.shot("phone-spent");
    page.window(320, 256);
    fits(&page);
    page.finish(&[]);
}

#[test]
fn a_photograph_in_color_is_returned_and_labelled() {
    let fake = Algorithmia::start();
    let page = Page::of(paid(&fake));
    let picture = Picture::new(Picture::in_color(600, 400, 1), ImageFormat::Png);
    page.choose_picture("holiday.png", &picture);
    page.until_offered();
    page.browser.click("#accept");
    page.until_done();
    let facts = page.text("#facts");
    assert!(facts.contains("In colour already") && facts.contains("nothing"), "{facts}");
    page.shot("in-colour");
    assert_eq!(fake.calls(), 0);
    page.finish(&[]);
}
