//! Executes a [`Plan`] for one input.

mod bands;
mod sources;

use bands::Bands;
use sources::{Local, Sources};

use crate::graph::{Affine, Id, Window};
use crate::kernels::{Place, Softmax, Stem, Target};
use crate::plan::{Block, Head, Plan, Step, Sum, Work};
use crate::scratch::Scratch;
use crate::{Planes, RunError};

/// Pixels of a head that are computed at once.
const HEAD_PIXELS: usize = 112;
/// Bytes of a sum's output that are computed at once.
const SUM_BAND: usize = 128 * 1024;
/// Floats of a map: 1 GiB. A model that enlarges its input again and again ends with an error, not for lack of memory.
const MAX_FLOATS: usize = 1 << 28;

type Size = [usize; 2];

pub struct Run<'a> {
    plan: &'a Plan,
    target: Target,
    scratch: &'a mut Scratch,
    input: &'a [f32],
    size: Size,
    /// Height and width of the nodes computed so far.
    sizes: Vec<Size>,
}

impl<'a> Run<'a> {
    pub fn new(
        plan: &'a Plan,
        target: Target,
        scratch: &'a mut Scratch,
        input: &'a [f32],
        size: Size,
    ) -> Result<Self, RunError> {
        let [height, width] = size;
        let channels = plan.input_channels;
        let expected = floats(size, channels)?;
        if expected == 0 || input.len() != expected {
            return Err(RunError::Input { values: input.len(), channels, height, width });
        }
        scratch.begin(plan.channels.len());
        Ok(Self { plan, target, scratch, input, size, sizes: vec![[0, 0]; plan.channels.len()] })
    }

    pub fn run(mut self) -> Result<Planes, RunError> {
        for step in &self.plan.steps {
            self.step(step)?;
            for &id in &step.last_uses {
                self.scratch.release(id);
            }
        }
        let output = self.plan.output;
        let (channels, pitch) = (self.plan.channels[output], self.pitch(output));
        let [height, width] = self.sizes[output];
        let pixels = &self.scratch.maps[output];
        let plane = |channel: usize| pixels.chunks_exact(pitch).map(move |pixel| pixel[channel]);
        Ok(Planes { channels, height, width, values: (0..channels).flat_map(plane).collect() })
    }

    fn pitch(&self, id: Id) -> usize {
        self.plan.shape.pitch(self.plan.channels[id])
    }

    fn step(&mut self, step: &Step) -> Result<(), RunError> {
        match &step.work {
            Work::Input(affine) => self.read(step.output, *affine),
            Work::Stem { affine, window, stem } => self.stem(step.output, *affine, *window, stem),
            Work::Sum(sum) => self.sum(step, sum),
            Work::Block(block) => self.block(step, block),
            Work::Head(head) => self.head(step.output, head),
            Work::Concat(parts) => self.concat(step.output, parts),
        }
    }

    /// Memory for a node's map: that of `in_place`, whose values it then has, or other memory with arbitrary values.
    fn memory(&mut self, id: Id, size: Size, in_place: Option<Id>) -> Result<Vec<f32>, RunError> {
        let length = floats(size, self.pitch(id))?;
        self.sizes[id] = size;
        Ok(match in_place {
            Some(other) => std::mem::take(&mut self.scratch.maps[other]),
            None => self.scratch.take(length),
        })
    }

    /// The size of a sum: that of each of its inputs.
    fn sum_size(&self, sum: &Sum) -> Result<Size, RunError> {
        let products = sum.products.iter().map(|product| self.sizes[product.input]);
        let addends = sum.addends.iter().map(|addend| match self.sizes[addend.input] {
            [height, width] if addend.doubled => [height.saturating_mul(2), width.saturating_mul(2)],
            size => size,
        });
        same(products.chain(addends))
    }

    fn sources<'b>(&'b self, local: Option<Local<'b>>) -> Sources<'b> {
        Sources { plan: self.plan, target: self.target, sizes: &self.sizes, maps: &self.scratch.maps, local }
    }

    fn read(&mut self, id: Id, affine: Affine) -> Result<(), RunError> {
        let mut map = self.memory(id, self.size, None)?;
        map.fill(0.0);
        let pitch = self.pitch(id);
        let plane = self.size[0] * self.size[1];
        for (channel, plane) in self.input.chunks_exact(plane).enumerate() {
            for (pixel, value) in map.chunks_exact_mut(pitch).zip(plane) {
                pixel[channel] = affine.apply(*value);
            }
        }
        self.scratch.maps[id] = map;
        Ok(())
    }

    fn stem(&mut self, id: Id, affine: Affine, window: Window, stem: &Stem) -> Result<(), RunError> {
        let [height, width] = self.size;
        let (top, bottom, rows) = window.along(height, true).ok_or(RunError::TooSmall)?;
        let (left, right, columns) = window.along(width, false).ok_or(RunError::TooSmall)?;
        let padded = [height + top + bottom, width + left + right];
        let plane = floats(padded, self.plan.input_channels)? / self.plan.input_channels;
        let mut planes = std::mem::take(&mut self.scratch.padded);
        planes.clear();
        planes.resize(plane * self.plan.input_channels, 0.0);
        for (to, from) in planes.chunks_exact_mut(plane).zip(self.input.chunks_exact(height * width)) {
            let rows = to.chunks_exact_mut(padded[1]).skip(top);
            for (to, from) in rows.zip(from.chunks_exact(width)) {
                for (to, from) in to[left..].iter_mut().zip(from) {
                    *to = affine.apply(*from);
                }
            }
        }
        let mut map = self.memory(id, [rows, columns], None)?;
        stem.run(self.target, &planes, padded, &mut map, columns);
        self.scratch.maps[id] = map;
        self.scratch.padded = planes;
        Ok(())
    }

    fn sum(&mut self, step: &Step, sum: &Sum) -> Result<(), RunError> {
        let size = self.sum_size(sum)?;
        let mut map = self.memory(step.output, size, step.in_place)?;
        let mut row = std::mem::take(&mut self.scratch.row);
        let pitch = self.pitch(step.output);
        let length = size[1] * pitch;
        let sources = self.sources(None);
        let band = (SUM_BAND / (length * size_of::<f32>())).max(1);
        for first in (0..size[0]).step_by(band) {
            let rows = first..(first + band).min(size[0]);
            let output = &mut map[rows.start * length..rows.end * length];
            sources.sum(sum, rows, output, Place::dense(size[1], pitch), step.in_place, &mut row);
        }
        self.scratch.row = row;
        self.scratch.maps[step.output] = map;
        Ok(())
    }

    fn block(&mut self, step: &Step, block: &Block) -> Result<(), RunError> {
        let mut bands = Bands::new(block, self.sum_size(&block.expand)?)?;
        self.sizes[block.middle] = bands.size;
        floats(bands.size, bands.pitch)?;
        let [height, width] = self.sum_size(&block.project)?;
        let mut map = self.memory(step.output, [height, width], step.in_place)?;
        let mut padded = std::mem::take(&mut self.scratch.padded);
        let mut middle = std::mem::take(&mut self.scratch.middle);
        let mut row = std::mem::take(&mut self.scratch.row);
        bands.clear(&mut padded);
        middle.resize(middle.len().max(bands.rows * width * bands.pitch), 0.0);
        let pitch = self.pitch(step.output);
        for first in (0..height).step_by(bands.rows) {
            let rows = first..(first + bands.rows).min(height);
            let local = step.in_place.map(|id| Local { id, data: &map, first_row: 0 });
            bands.expand(&self.sources(local), &block.expand, &rows, &mut padded, &mut row);
            let middle = &mut middle[..rows.len() * width * bands.pitch];
            block.depthwise.run(self.target, &padded, bands.padded_width, middle, width);
            let sources = self.sources(Some(Local { id: block.middle, data: middle, first_row: first }));
            let output = &mut map[rows.start * width * pitch..rows.end * width * pitch];
            sources.sum(&block.project, rows, output, Place::dense(width, pitch), step.in_place, &mut row);
        }
        self.scratch.padded = padded;
        self.scratch.middle = middle;
        self.scratch.row = row;
        self.scratch.maps[step.output] = map;
        Ok(())
    }

    fn head(&mut self, id: Id, head: &Head) -> Result<(), RunError> {
        let size = self.sum_size(&head.logits)?;
        self.sizes[head.middle] = size;
        let [height, width] = self.sum_size(&head.mean)?;
        let mut map = self.memory(id, size, None)?;
        let (pitch, channels) = (self.plan.shape.pitch(head.channels), head.channels);
        let output_pitch = self.pitch(id);
        let band = (HEAD_PIXELS / width).max(1);
        let band_floats = floats([band, width], pitch)?;
        let mut middle = std::mem::take(&mut self.scratch.middle);
        let mut row = std::mem::take(&mut self.scratch.row);
        middle.resize(middle.len().max(band_floats), 0.0);
        for first in (0..height).step_by(band) {
            let rows = first..(first + band).min(height);
            let pixels = &mut middle[..rows.len() * width * pitch];
            let dense = Place::dense(width, pitch);
            self.sources(None).sum(&head.logits, rows.clone(), pixels, dense, None, &mut row);
            self.target.run(Softmax { pixels, pitch, channels });
            let sources = self.sources(Some(Local { id: head.middle, data: pixels, first_row: first }));
            let output = &mut map[rows.start * width * output_pitch..rows.end * width * output_pitch];
            sources.sum(&head.mean, rows, output, Place::dense(width, output_pitch), None, &mut row);
        }
        self.scratch.middle = middle;
        self.scratch.row = row;
        self.scratch.maps[id] = map;
        Ok(())
    }

    fn concat(&mut self, id: Id, parts: &[Id]) -> Result<(), RunError> {
        let size = same(parts.iter().map(|&part| self.sizes[part]))?;
        let mut map = self.memory(id, size, None)?;
        map.fill(0.0);
        let pitch = self.pitch(id);
        let mut first = 0;
        for &part in parts {
            let (channels, part_pitch) = (self.plan.channels[part], self.pitch(part));
            let from = self.scratch.maps[part].chunks_exact(part_pitch);
            for (to, from) in map.chunks_exact_mut(pitch).zip(from) {
                to[first..first + channels].copy_from_slice(&from[..channels]);
            }
            first += channels;
        }
        self.scratch.maps[id] = map;
        Ok(())
    }
}

impl Affine {
    fn apply(self, value: f32) -> f32 {
        value * self.scale as f32 + self.shift as f32
    }
}

/// The number of floats in a map.
fn floats([height, width]: Size, pitch: usize) -> Result<usize, RunError> {
    let floats = height.checked_mul(width).and_then(|pixels| pixels.checked_mul(pitch));
    floats.filter(|&floats| floats <= MAX_FLOATS).ok_or(RunError::TooLarge)
}

fn same(mut sizes: impl Iterator<Item = Size>) -> Result<Size, RunError> {
    let first = sizes.next().unwrap_or_default();
    match sizes.find(|size| *size != first) {
        Some(other) => Err(RunError::Sizes { first, other }),
        None => Ok(first),
    }
}
