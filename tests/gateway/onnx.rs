//! The built-in network: the same colour as ever.

use crate::harness::{Picture, Server};

/// Mean red - green and yellow - blue, in 8-bit levels, in a 4 x 4 grid over the coloured test landscape, as this model gave it when it was
/// taken in. A new model has new numbers; a new build of the old one must not.
const GOLDEN: &str = "\
    2.6 8.4 3.2 9.3 3.4 9.5 3.4 9.8 \
    39.4 21.3 8.6 18.0 8.4 17.4 29.0 23.2 \
    97.8 38.5 67.5 27.8 57.4 29.0 66.3 39.6 \
    59.8 30.8 90.4 37.0 70.2 29.7 41.1 27.9";

#[test]
fn the_built_in_model_gives_the_colour_it_is_known_for() {
    let server = Server::start();
    let coloured = server.colorize(&Picture::png(256, 256, 11)).picture().to_rgb32f();
    let mut found = String::new();
    let mut worst = 0.0f32;
    let mut golden = GOLDEN.split_whitespace().map(|number| number.parse::<f32>().unwrap());
    for cell in 0..16 {
        let (left, top) = ((cell % 4) * 64, (cell / 4) * 64);
        let mut mean = [0.0f32; 2];
        for (x, y) in (0..64).flat_map(|y| (0..64).map(move |x| (x, y))) {
            let image::Rgb([r, g, b]) = *coloured.get_pixel(left + x, top + y);
            // Opponent colours are enough to notice a change.
            mean[0] += (r - g) * 255.0 / 4096.0;
            mean[1] += ((r + g) / 2.0 - b) * 255.0 / 4096.0;
        }
        for value in mean {
            found.push_str(&format!("{value:.1} "));
            worst = worst.max(golden.next().map_or(f32::INFINITY, |golden| (golden - value).abs()));
        }
    }
    assert!(worst < 1.0, "off by {worst}; the colours now: {found}");
}
