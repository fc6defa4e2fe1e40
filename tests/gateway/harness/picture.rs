//! Images for tests: small landscapes that the built-in model can colour.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, RgbImage};

/// An encoded image.
#[derive(Clone)]
pub struct Picture {
    pub bytes: Vec<u8>,
    pub media_type: &'static str,
}

impl Picture {
    /// A grey landscape: bright sky, a ridge, dark ground with texture. Different `seed`s give different images.
    pub fn landscape(width: u32, height: u32, seed: u32) -> GrayImage {
        GrayImage::from_fn(width, height, |x, y| {
            let (u, v) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
            let ridge = 0.5 + 0.15 * (6.0 * u + f64::from(seed)).sin() + 0.05 * (23.0 * u).cos();
            let noise = x.wrapping_mul(2_654_435_761).wrapping_add(y.wrapping_mul(40_503)).wrapping_add(seed);
            let grain = f64::from(noise.wrapping_mul(noise ^ 0x5bd1) >> 24) / 255.0;
            let level = if v < ridge { 225.0 - 60.0 * v } else { 45.0 + 70.0 * (v - ridge) + 40.0 * grain };
            Luma([level as u8])
        })
    }

    /// The same in colour: blue sky, green ground, and a red house.
    pub fn in_color(width: u32, height: u32, seed: u32) -> RgbImage {
        let gray = Self::landscape(width, height, seed);
        RgbImage::from_fn(width, height, |x, y| {
            let value = gray.get_pixel(x, y).0[0];
            let house = (width / 3..width / 2).contains(&x) && (height / 2..height * 3 / 4).contains(&y);
            let scales = match (house, value > 150) {
                (true, _) => [1.5, 0.6, 0.5],
                (false, true) => [0.7, 0.9, 1.1],
                (false, false) => [0.8, 1.2, 0.5],
            };
            image::Rgb(scales.map(|scale| (f64::from(value) * scale).min(255.0) as u8))
        })
    }

    /// The same in a single tint; `tone` maps each grey level to a colour.
    pub fn toned(width: u32, height: u32, tone: impl Fn(f64) -> [f64; 3]) -> RgbImage {
        let gray = Self::landscape(width, height, 1);
        RgbImage::from_fn(width, height, |x, y| {
            let level = f64::from(gray.get_pixel(x, y).0[0]) / 255.0;
            image::Rgb(tone(level).map(|channel| (channel * 255.0) as u8))
        })
    }

    pub fn new(picture: impl Into<DynamicImage>, format: ImageFormat) -> Self {
        let mut bytes = Cursor::new(Vec::new());
        picture.into().write_to(&mut bytes, format).expect("a picture can be written");
        Self { bytes: bytes.into_inner(), media_type: format.to_mime_type() }
    }

    pub fn png(width: u32, height: u32, seed: u32) -> Self {
        Self::new(Self::landscape(width, height, seed), ImageFormat::Png)
    }

    pub fn jpeg(width: u32, height: u32, seed: u32) -> Self {
        Self::new(Self::landscape(width, height, seed), ImageFormat::Jpeg)
    }

    pub fn webp(width: u32, height: u32, seed: u32) -> Self {
        Self::new(DynamicImage::ImageLuma8(Self::landscape(width, height, seed)).to_rgb8(), ImageFormat::WebP)
    }

    /// As a data URL.
    pub fn data_url(&self) -> String {
        use base64::Engine;
        let body = base64::engine::general_purpose::STANDARD.encode(&self.bytes);
        format!("data:{};base64,{body}", self.media_type)
    }

    /// As the body of a form with the file field `image`, and its content type.
    pub fn multipart(&self, fields: &[(&str, &str)]) -> (String, Vec<u8>) {
        let boundary = "----pixcolor-test-boundary";
        let mut body = Vec::new();
        for (name, value) in fields {
            let part =
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"image\"; filename=\"photo\"\r\n\
             Content-Type: {}\r\n\r\n",
            self.media_type
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&self.bytes);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        (format!("multipart/form-data; boundary={boundary}"), body)
    }
}

/// Mean distance from grey: the difference of the largest and the smallest channel, in 8-bit levels.
pub fn colorfulness(picture: &DynamicImage) -> f64 {
    let pixels = picture.to_rgb8();
    let spread = |p: &image::Rgb<u8>| f64::from(p.0.iter().max().unwrap() - p.0.iter().min().unwrap());
    pixels.pixels().map(spread).sum::<f64>() / f64::from(pixels.width() * pixels.height())
}
