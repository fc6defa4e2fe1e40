//! The built-in network: the same colour as ever.

use crate::harness::{Picture, Server};

/// Mean red - green and yellow - blue, in 8-bit levels, in a 4 x 4 grid over the coloured test landscape, as this model gave it when it was
/// taken in. A new model has new numbers; a new build of the old one must not.
const GOLDEN: &str = "\
    1.9 6.9 2.5 7.5 2.7 7.9 2.6 8.1 \
    36.8 20.4 7.4 16.3 7.3 16.2 27.5 21.7 \
    95.6 38.5 64.1 27.9 54.7 28.7 67.3 38.9 \
    58.5 29.9 81.4 33.4 59.9 24.8 37.6 24.5";

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
