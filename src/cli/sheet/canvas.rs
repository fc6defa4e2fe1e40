//! The pixels of a sheet: draws boxes, pictures and text.

use std::convert::Infallible;

use embedded_graphics::mono_font::{
    MonoFont, MonoTextStyle, iso_8859_1, iso_8859_2, iso_8859_5, iso_8859_7, iso_8859_9,
};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;
use embedded_graphics::text::{Baseline, Text};

use crate::photo::Rgb;

/// Width and height of a character.
pub const CHARACTER: (u32, u32) = (10, 20);

/// One font for each character set: Western, Central European, Cyrillic, Greek and Turkish. Other characters are shown
/// as `?`.
const FONTS: [&MonoFont<'static>; 5] = [
    &iso_8859_1::FONT_10X20,
    &iso_8859_2::FONT_10X20,
    &iso_8859_5::FONT_10X20,
    &iso_8859_7::FONT_10X20,
    &iso_8859_9::FONT_10X20,
];

const INK: Rgb888 = Rgb888::new(0x22, 0x22, 0x22);

/// A white page.
pub struct Canvas(Rgb);

impl Canvas {
    pub fn new(width: u32, height: u32) -> Self {
        Self(Rgb { width, height, pixels: vec![255; width as usize * height as usize * 3] })
    }

    pub fn finish(self) -> Rgb {
        self.0
    }

    /// Fills a box with grey.
    pub fn fill(&mut self, (x, y): (u32, u32), (width, height): (u32, u32), level: u8) {
        let area = Rectangle::new(Point::new(x as i32, y as i32), Size::new(width, height));
        let Ok(()) = self.fill_solid(&area, Rgb888::new(level, level, level));
    }

    /// Draws a picture. Parts beyond the page are left out.
    pub fn place(&mut self, (x, y): (u32, u32), picture: &Rgb) {
        let (width, length) = (self.0.width as usize * 3, picture.width as usize * 3);
        let left = (x as usize * 3).min(width);
        let rows = self.0.pixels.chunks_exact_mut(width).skip(y as usize);
        for (row, pixels) in rows.zip(picture.pixels.chunks_exact(length)) {
            row[left..].iter_mut().zip(pixels).for_each(|(to, from)| *to = *from);
        }
    }

    /// Draws a line of text; `x` and `y` are its upper left corner.
    pub fn write(&mut self, (x, y): (u32, u32), text: &str) {
        let mut place = Point::new(x as i32, y as i32);
        for character in text.chars() {
            let (font, character) = glyph(character);
            let style = MonoTextStyle::new(font, INK);
            let mut bytes = [0; 4];
            let text = Text::with_baseline(character.encode_utf8(&mut bytes), place, style, Baseline::Top);
            let Ok(_) = text.draw(self);
            place.x += CHARACTER.0 as i32;
        }
    }
}

/// The text as it is drawn: names from macOS have accents as characters of their own, which no font has.
pub fn drawable(text: &str) -> String {
    text.chars().filter(|character| !('\u{300}'..='\u{36F}').contains(character)).collect()
}

/// A font that has the character, or a `?`.
fn glyph(character: char) -> (&'static MonoFont<'static>, char) {
    let has = |font: &&&MonoFont<'_>| {
        // A font maps what it does not have to its `?`.
        let index = |character| font.glyph_mapping.index(character);
        !character.is_control() && (index(character) != index('?') || character == '?')
    };
    FONTS.iter().find(has).map_or((FONTS[0], '?'), |font| (font, character))
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.0.width, self.0.height)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        let area = self.bounding_box();
        for Pixel(place, color) in pixels.into_iter().filter(|pixel| area.contains(pixel.0)) {
            let at = (place.y as usize * self.0.width as usize + place.x as usize) * 3;
            self.0.pixels[at..at + 3].copy_from_slice(&[color.r(), color.g(), color.b()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pixels of a text, one line high.
    fn drawn(text: &str) -> Vec<u8> {
        let mut canvas = Canvas::new(CHARACTER.0 * text.chars().count() as u32, CHARACTER.1);
        canvas.write((0, 0), text);
        canvas.finish().pixels
    }

    #[test]
    fn european_names_are_drawn_and_other_characters_become_question_marks() {
        for text in ["a", "é", "ß", "ł", "Ж", "λ", "ğ", "%"] {
            assert!(drawn(text) != drawn("?") && drawn(text) != drawn(" "), "{text}");
        }
        for text in ["写", "\n", "\u{FFFD}"] {
            assert!(drawn(text) == drawn("?"), "{text:?}");
        }
        assert_eq!(drawable("u\u{308}ber"), "uber");
    }

    #[test]
    fn nothing_is_drawn_beyond_the_page() {
        let mut canvas = Canvas::new(8, 4);
        canvas.write((4, 2), "long");
        canvas.fill((6, 0), (9, 9), 200);
        canvas.place((7, 3), &Rgb { width: 2, height: 2, pixels: [1, 2, 3].repeat(4) });
        canvas.place((9, 9), &Rgb { width: 2, height: 2, pixels: [4, 4, 4].repeat(4) });
        let Rgb { pixels, .. } = canvas.finish();
        assert_eq!(
            (&pixels[..3], &pixels[18..21], &pixels[93..]),
            (&[255; 3][..], &[200; 3][..], &[1, 2, 3][..])
        );
    }
}
