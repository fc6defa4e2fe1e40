//! The large view: zoom, pan, full screen, the original on demand, and the turned original.

use serde_json::json;

use crate::harness::{Picture, Setup};
use crate::looks::fits;
use crate::page::Page;

/// A point of the window, in CSS pixels.
type Point = (f64, f64);

impl Page {
    /// The page with a coloured photograph of 1200 by 800 pixels.
    #[track_caller]
    fn with_photograph(self) -> Self {
        self.choose_picture("photo.jpg", &Picture::jpeg(1200, 800, 1));
        self.until_done();
        self.until("original.complete && prints.dataset.zoom === 'fit'");
        self.until_still();
        self
    }

    /// The share of the original in the slider, in per cent.
    #[track_caller]
    fn split(&self) -> f64 {
        self.number("Number(prints.style.getPropertyValue('--split'))")
    }

    /// Waits until the toolbar shows this zoom and the picture is still.
    #[track_caller]
    fn until_level(&self, level: &str) {
        self.until(&format!("document.getElementById('zoom-level').textContent === '{level}'"));
        self.until_still();
    }

    /// A point of an element, as fractions of its width and height.
    #[track_caller]
    fn point(&self, selector: &str, across: f64, down: f64) -> Point {
        let [left, top, right, bottom] = self.place(selector);
        (left + across * (right - left), top + down * (bottom - top))
    }

    /// Which point of an element is at a point of the window, as fractions of its width and height.
    #[track_caller]
    fn under(&self, selector: &str, (x, y): Point) -> Point {
        let [left, top, right, bottom] = self.place(selector);
        ((x - left) / (right - left), (y - top) / (bottom - top))
    }

    #[track_caller]
    fn mouse(&self, kind: &str, (x, y): Point, clicks: u32) {
        let button = if kind == "mouseMoved" && clicks == 0 { "none" } else { "left" };
        let buttons = u32::from(clicks > 0 && kind != "mouseReleased");
        let event =
            json!({"type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": clicks});
        self.browser.cdp("Input.dispatchMouseEvent", event);
    }

    #[track_caller]
    fn drag_mouse(&self, from: Point, to: Point) {
        self.mouse("mouseMoved", from, 0);
        self.mouse("mousePressed", from, 1);
        for step in 1..=4 {
            let part = f64::from(step) / 4.0;
            let point = (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part);
            self.mouse("mouseMoved", point, 1);
        }
        self.mouse("mouseReleased", to, 1);
    }

    #[track_caller]
    fn double_click(&self, point: Point) {
        self.mouse("mouseMoved", point, 0);
        for clicks in [1, 2] {
            self.mouse("mousePressed", point, clicks);
            self.mouse("mouseReleased", point, clicks);
        }
    }

    /// Turns the wheel at a point. A negative distance zooms in.
    #[track_caller]
    fn wheel(&self, (x, y): Point, distance: i32, ctrl: bool) {
        self.mouse("mouseMoved", (x, y), 0);
        let modifiers = if ctrl { 2 } else { 0 };
        let event = json!({
            "type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": distance, "modifiers": modifiers,
        });
        self.browser.cdp("Input.dispatchMouseEvent", event);
    }

    /// Moves fingers in a few steps; each has a start and an end.
    #[track_caller]
    fn touch(&self, fingers: &[(Point, Point)]) {
        let send = |kind: &str, points: Vec<Point>| {
            let points: Vec<_> =
                points.iter().enumerate().map(|(id, (x, y))| json!({"x": x, "y": y, "id": id})).collect();
            self.browser.cdp("Input.dispatchTouchEvent", json!({"type": kind, "touchPoints": points}));
        };
        send("touchStart", fingers.iter().map(|(start, _)| *start).collect());
        for step in 1..=6 {
            let part = f64::from(step) / 6.0;
            let along = |(from, to): &(Point, Point)| {
                (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part)
            };
            send("touchMove", fingers.iter().map(along).collect());
        }
        send("touchEnd", Vec::new());
    }

    /// Presses or releases a key of the focused element.
    #[track_caller]
    fn key(&self, kind: &str, key: &str) {
        let code = match key {
            "Escape" => 27,
            "ArrowLeft" => 37,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => 0,
        };
        let mut event = json!({"type": kind, "key": key, "windowsVirtualKeyCode": code});
        if kind == "keyDown" && key.len() == 1 {
            event["text"] = json!(key);
        }
        self.browser.cdp("Input.dispatchKeyEvent", event);
    }

    #[track_caller]
    fn press_key(&self, key: &str) {
        self.key("keyDown", key);
        self.key("keyUp", key);
    }
}

/// Asserts that two points are at most `distance` apart.
#[track_caller]
fn near(a: Point, b: Point, distance: f64) {
    assert!((a.0 - b.0).abs() <= distance && (a.1 - b.1).abs() <= distance, "{a:?} is not near {b:?}");
}

/// Asserts that both prints show the same part of the picture.
#[track_caller]
fn in_step(page: &Page) {
    let part = |image: &str, frame: &str| {
        let (image, frame) = (page.place(image), page.place(frame));
        [image[0] - frame[0], image[1] - frame[1], image[2] - image[0], image[3] - image[1]]
    };
    let (original, result) = (part("#original", "#before .frame"), part("#result", "#after .frame"));
    let same = original.iter().zip(&result).all(|(a, b)| (a - b).abs() < 0.6);
    assert!(same, "the original is at {original:?}, the result at {result:?}");
}

/// Opens the page on a phone with a touch screen.
fn phone() -> Page {
    let page = Page::prepared(Setup::new(), |page| {
        page.window(360, 740);
        page.browser.cdp("Emulation.setTouchEmulationEnabled", json!({"enabled": true, "maxTouchPoints": 5}));
    });
    let page = page.with_photograph();
    page.browser.run("document.getElementById('prints').scrollIntoView()");
    page
}

#[test]
fn a_plain_wheel_scrolls_the_page_and_a_wheel_with_ctrl_zooms_about_the_pointer() {
    let page = Page::open().with_photograph();
    page.wheel(page.point("#result", 0.5, 0.5), 60, false);
    page.until("scrollY > 0");
    assert_eq!(page.string("prints.dataset.zoom"), "fit");
    page.browser.run("scrollTo(0, 0)");
    page.until("scrollY === 0");

    let pointer = page.point("#result", 0.3, 0.7);
    let before = page.under("#result", pointer);
    for _ in 0..4 {
        page.wheel(pointer, -120, true);
    }
    page.until("Number(prints.style.getPropertyValue('--zoom')) > 2.5");
    near(page.under("#result", pointer), before, 0.003);
    in_step(&page);
    page.shot("zoomed");
    // A zoomed picture zooms without Ctrl. The page does not scroll, even when the whole picture fits again.
    for _ in 0..8 {
        page.wheel(pointer, 120, false);
    }
    page.until("prints.dataset.zoom === 'fit'");
    assert_eq!(page.browser.value("scrollY"), 0);
    page.finish(&[]);
}

#[test]
fn dragging_moves_a_zoomed_picture_in_both_prints() {
    let page = Page::open().with_photograph();
    page.browser.click("#zoom-one");
    page.until_level("100 %");
    let [left, top, ..] = page.place("#result");
    let start = page.point("#before .frame", 0.5, 0.5);
    page.drag_mouse(start, (start.0 + 60.0, start.1 - 40.0));
    page.until_still();
    let [moved_left, moved_top, ..] = page.place("#result");
    near((moved_left, moved_top), (left + 60.0, top - 40.0), 1.0);
    in_step(&page);
    // The border of the picture stops at the border of the frame.
    page.drag_mouse(start, (start.0 + 500.0, start.1));
    near((page.place("#result")[0], 0.0), (page.place("#after .frame")[0], 0.0), 1.0);
    page.finish(&[]);
}

#[test]
fn buttons_zoom_from_the_whole_picture_to_800_per_cent() {
    let page = Page::open().with_photograph();
    let disabled = |button: &str| {
        page.string(&format!("document.getElementById('{button}').getAttribute('aria-disabled')")) == "true"
    };
    assert!(disabled("zoom-out") && disabled("zoom-fit") && !disabled("zoom-in"));
    page.browser.click("#zoom-one");
    page.until_level("100 %");
    let [left, _, right, _] = page.place("#result");
    assert!((right - left - 1200.0).abs() < 0.1, "one pixel of the picture per pixel of the screen");
    for _ in 0..8 {
        page.browser.click("#zoom-in");
    }
    page.until_level("800 %");
    assert!(disabled("zoom-in"));
    page.browser.click("#zoom-out");
    page.until_level("533 %");
    page.browser.click("#zoom-fit");
    page.until("prints.dataset.zoom === 'fit'");
    assert!(disabled("zoom-out"));
    // The toolbar is one stop of the Tab key; its level is not announced.
    assert_eq!(page.browser.value("document.querySelectorAll('.zoom button[tabindex=\"0\"]').length"), 1);
    assert_eq!(
        page.browser.value("document.querySelector('#tools [aria-live], #tools output')"),
        json!(null)
    );
    page.finish(&[]);
}

#[test]
fn keys_zoom_and_move_the_focused_picture() {
    let page = Page::open().with_photograph();
    page.browser.run("document.getElementById('prints').focus()");
    page.press_key("1");
    page.until_level("100 %");
    let [left, top, ..] = page.place("#result");
    page.press_key("ArrowRight");
    page.press_key("ArrowDown");
    page.until_still();
    let [moved_left, moved_top, ..] = page.place("#result");
    assert!(moved_left < left - 20.0 && moved_top < top - 20.0, "{left} {top} {moved_left} {moved_top}");
    page.press_key("+");
    page.until_level("150 %");
    page.press_key("-");
    page.until_level("100 %");
    page.press_key("0");
    page.until("prints.dataset.zoom === 'fit'");
    page.finish(&[]);
}

#[test]
fn a_double_click_shows_the_actual_size_at_the_pointer_and_then_the_whole_picture() {
    let page = Page::open().with_photograph();
    let pointer = page.point("#after .frame", 0.4, 0.6);
    page.double_click(pointer);
    page.until_level("100 %");
    near(page.under("#result", pointer), (0.4, 0.6), 0.003);
    page.double_click(pointer);
    page.until("prints.dataset.zoom === 'fit'");
    page.finish(&[]);
}

#[test]
fn in_the_slider_the_handle_moves_the_split_and_the_rest_moves_a_zoomed_picture() {
    let page = Page::open().with_photograph();
    page.browser.click(".views input[value=wipe]");
    page.until("prints.dataset.view === 'wipe'");
    page.drag_mouse(page.point("#wipe", 0.2, 0.8), page.point("#wipe", 0.7, 0.8));
    assert!((page.split() - 70.0).abs() < 1.0, "dragging anywhere moves the split: {}", page.split());
    page.double_click(page.point("#wipe", 0.3, 0.3));
    page.until_level("100 %");
    assert!((page.split() - 70.0).abs() < 1.0, "a double click leaves the split alone: {}", page.split());
    page.drag_mouse(page.point("#wipe", 0.7, 0.8), page.point("#wipe", 0.4, 0.8));
    assert!((page.split() - 40.0).abs() < 1.0, "{}", page.split());
    let left = page.place("#result")[0];
    let start = page.point("#wipe", 0.8, 0.5);
    page.drag_mouse(start, (start.0 - 30.0, start.1));
    assert!((page.place("#result")[0] - left + 30.0).abs() < 1.0);
    assert!((page.split() - 40.0).abs() < 1.0, "{}", page.split());
    in_step(&page);
    page.shot("slider-zoomed");
    page.finish(&[]);
}

#[test]
fn two_fingers_zoom_and_one_finger_moves_the_zoomed_picture() {
    let page = phone();
    let middle = page.point("#wipe", 0.4, 0.6);
    let before = page.under("#result", middle);
    let beside = |by: f64| (middle.0 + by, middle.1);
    page.touch(&[(beside(-30.0), beside(-90.0)), (beside(30.0), beside(90.0))]);
    page.until("Number(prints.style.getPropertyValue('--zoom')) > 2.9");
    near(page.under("#result", middle), before, 0.01);
    assert_eq!(page.browser.value("visualViewport.scale"), 1, "the browser does not zoom the page");
    page.shot("phone-pinched");

    let ([left, top, ..], scroll) = (page.place("#result"), page.browser.value("scrollY"));
    let start = page.point("#wipe", 0.2, 0.3);
    page.touch(&[(start, (start.0 - 20.0, start.1 - 30.0))]);
    let [moved_left, moved_top, ..] = page.place("#result");
    near((moved_left, moved_top), (left - 20.0, top - 30.0), 1.0);
    assert_eq!(page.browser.value("scrollY"), scroll, "the page does not scroll");

    page.touch(&[(beside(-90.0), beside(-10.0)), (beside(90.0), beside(10.0))]);
    page.until("prints.dataset.zoom === 'fit'");
    page.finish(&[]);
}

#[test]
fn a_finger_on_the_slider_moves_the_split_sideways_and_scrolls_the_page_up_and_down() {
    let page = phone();
    page.touch(&[(page.point("#wipe", 0.5, 0.5), page.point("#wipe", 0.8, 0.5))]);
    assert!((page.split() - 80.0).abs() < 1.0, "{}", page.split());
    page.browser.run("scrollTo(0, 0)");
    page.until("scrollY === 0");
    let start = page.point("#wipe", 0.2, 0.5);
    page.touch(&[(start, (start.0, start.1 - 150.0))]);
    page.until("scrollY > 50");
    assert!((page.split() - 80.0).abs() < 1.0, "{}", page.split());
    page.finish(&[]);
}

#[test]
fn the_original_is_shown_in_place_of_the_result_while_a_button_or_key_is_held() {
    let page = Page::open().with_photograph();
    let shows_original = || page.is_seen("#held") && page.text("#after figcaption") == "Original";
    for view in ["side", "wipe"] {
        page.browser.click(&format!(".views input[value={view}]"));
        page.browser.run("document.getElementById('hold').scrollIntoView({ block: 'center' })");
        let button = page.point("#hold", 0.5, 0.5);
        assert!(!shows_original());
        page.mouse("mouseMoved", button, 0);
        page.mouse("mousePressed", button, 1);
        assert!(shows_original(), "{view}");
        let (held, result) = (page.place("#held"), page.place("#result"));
        near((held[0], held[1]), (result[0], result[1]), 0.1);
        near((held[2], held[3]), (result[2], result[3]), 0.1);
        page.shot(&format!("held-{view}"));
        page.mouse("mouseReleased", button, 1);
        assert!(!shows_original(), "{view}");
        for (focus, key) in [("hold", " "), ("prints", "o")] {
            page.browser.run(&format!("document.getElementById('{focus}').focus()"));
            page.key("keyDown", key);
            assert!(shows_original(), "{view}, {key:?}");
            page.key("keyUp", key);
            assert!(!shows_original(), "{view}, {key:?}");
        }
    }
    page.finish(&[]);
}

/// Enters full screen, checks it, and leaves it with Escape.
#[track_caller]
fn full_screen(page: &Page, name: &str) {
    let before = page.place("#after .frame");
    page.browser.click("#full");
    page.until("document.getElementById('full').textContent === 'Leave full screen'");
    page.until("document.querySelector('#after .frame').getBoundingClientRect().right > innerWidth - 20");
    let (frame, tools) = (page.place("#after .frame"), page.place("#tools"));
    assert!(frame[3] - frame[1] > before[3] - before[1], "{frame:?} is not higher than {before:?}");
    assert!(frame[3] <= tools[1] && tools[3] <= page.number("innerHeight"), "{frame:?} {tools:?}");
    in_step(page);
    page.shot(name);
    // The wheel zooms here without Ctrl, because there is nothing to scroll. In full screen, headless Chromium drops
    // turns of the wheel outside of its own screen of 800 by 600, whatever the emulated size.
    page.wheel((700.0, 300.0), -120, false);
    page.until("prints.dataset.zoom === 'in'");
    page.browser.run("document.querySelector('a').focus()");
    assert_eq!(page.string("document.activeElement.id"), "full", "the covered page does not get the focus");
    page.press_key("Escape");
    page.until("!document.fullscreenElement && getComputedStyle(stage).position !== 'fixed'");
    page.browser.click("#zoom-fit");
    page.until("prints.dataset.zoom === 'fit'");
    page.until_still();
}

#[test]
fn the_large_view_fills_the_screen_and_escape_leaves_it() {
    let page = Page::open().with_photograph();
    full_screen(&page, "full-screen");
    page.browser.click("#full");
    page.until("document.fullscreenElement === stage");
    page.browser.click("#full");
    page.until(
        "!document.fullscreenElement && document.getElementById('full').textContent === 'Full screen'",
    );
    page.finish(&[]);
}

#[test]
fn without_the_full_screen_api_the_large_view_fills_the_window() {
    let page = Page::open().with_photograph();
    page.browser.run("document.getElementById('stage').requestFullscreen = undefined");
    full_screen(&page, "full-window");
    page.finish(&[]);

    let page = phone();
    page.browser.run("document.getElementById('stage').requestFullscreen = undefined");
    page.browser.click("#full");
    page.until("document.getElementById('full').textContent === 'Leave full screen'");
    fits(&page);
    page.shot("phone-full-window");
    page.browser.click("#full");
    page.until("getComputedStyle(stage).position !== 'fixed'");
    page.finish(&[]);
}

#[test]
fn a_turned_original_covers_the_turned_result() {
    let page = Page::open().with_photograph();
    page.browser.click("#turn-right");
    page.until("lab.dataset.phase === 'done' && result.complete && result.naturalWidth === 800");
    page.until("prints.dataset.zoom === 'fit'");
    page.until_still();
    let frame = page.place("#before .frame");
    let ratio = (frame[2] - frame[0]) / (frame[3] - frame[1]);
    assert!((ratio - 800.0 / 1200.0).abs() < 0.01, "{ratio}");
    let original = page.place("#original");
    near((original[0], original[1]), (frame[0], frame[1]), 1.0);
    near((original[2], original[3]), (frame[2], frame[3]), 1.0);
    in_step(&page);
    page.shot("turned");
    page.browser.click("#zoom-one");
    page.until_level("100 %");
    in_step(&page);
    page.finish(&[]);
}

#[test]
fn zooming_is_animated_unless_reduced_motion_is_preferred() {
    let page = Page::open().with_photograph();
    let duration = || page.string("getComputedStyle(result).transitionDuration");
    page.browser.click("#zoom-in");
    assert_ne!(duration(), "0s");
    page.prefers("prefers-reduced-motion", "reduce");
    page.browser.click("#zoom-in");
    assert_eq!(duration(), "0s");
    page.finish(&[]);
}

#[test]
fn the_tools_fit_a_small_window_and_a_thumb() {
    let page = phone();
    for (width, height) in [(360, 740), (320, 256)] {
        page.window(width, height);
        fits(&page);
        let small = page.browser.value(
            "[...document.querySelectorAll('#tools button, .views label')].filter((control) => {
                const { width, height } = control.getBoundingClientRect();
                return width < 44 || height < 44;
            }).length",
        );
        assert_eq!(small, json!(0), "{width}");
        page.browser.run("document.getElementById('tools').scrollIntoView()");
        page.shot(&format!("tools-{width}"));
    }
    page.finish(&[]);
}
