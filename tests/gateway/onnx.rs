//! The built-in network gives the expected colours.

use crate::harness::{Picture, Server};

/// Mean red - green and yellow - blue, in 8-bit levels, in a 4 x 4 grid over the coloured test landscape, as measured
/// when this model was added. A new model has new numbers; a new build of the same model must give these numbers.
const GOLDEN: &str = "\
    1.8 4.8 1.4 3.9 1.0 2.7 1.3 3.7 \
    23.4 16.6 0.9 2.7 -0.0 0.2 23.0 10.2 \
    53.0 27.1 20.6 9.3 5.4 0.3 24.3 11.6 \
    14.3 6.3 43.8 15.3 29.0 10.3 8.2 2.0";

#[test]
fn the_built_in_model_gives_the_expected_colors() {
    let server = Server::start();
    let colored = server.colorize(&Picture::png(256, 256, 11)).picture().to_rgb32f();
    let mut found = String::new();
    let mut worst = 0.0f32;
    let mut golden = GOLDEN.split_whitespace().map(|number| number.parse::<f32>().unwrap());
    for cell in 0..16 {
        let (left, top) = ((cell % 4) * 64, (cell / 4) * 64);
        let mut mean = [0.0f32; 2];
        for (x, y) in (0..64).flat_map(|y| (0..64).map(move |x| (x, y))) {
            let image::Rgb([r, g, b]) = *colored.get_pixel(left + x, top + y);
            // These two differences are enough to notice a change.
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
