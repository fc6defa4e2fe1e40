//! Executes a [`Plan`] for one input.

use std::ops::Range;

use crate::graph::{Affine, Id, Window};
use crate::kernels::{CopyPixels, Double, Finish, Gemm, Place, Softmax, Stem, Target, Term};
use crate::plan::{Block, Head, Plan, Step, Sum, Work};
use crate::scratch::Scratch;
use crate::{Planes, RunError};

/// Bytes of padded rows that a block expands at once. They are read by the depthwise convolution while they are still
/// in the second-level cache.
const BAND: usize = 384 * 1024;
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

/// Rows of a node that are not among the maps.
#[derive(Clone, Copy)]
struct Local<'a> {
    id: Id,
    data: &'a [f32],
    first_row: usize,
}

/// What a sum reads.
struct Sources<'a> {
    plan: &'a Plan,
    target: Target,
    sizes: &'a [Size],
    maps: &'a [Vec<f32>],
    local: Option<Local<'a>>,
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
        let plane = padded[0] * padded[1];
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
        let mut middle = std::mem::take(&mut self.scratch.middle);
        let mut row = std::mem::take(&mut self.scratch.row);
        let (pitch, channels) = (self.plan.shape.pitch(head.channels), head.channels);
        let output_pitch = self.pitch(id);
        let band = (HEAD_PIXELS / width).max(1);
        middle.resize(middle.len().max(band * width * pitch), 0.0);
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

impl<'a> Sources<'a> {
    fn rows(&self, id: Id, rows: &Range<usize>) -> &'a [f32] {
        let length = self.sizes[id][1] * self.pitch(id);
        match self.local {
            Some(local) if local.id == id => {
                &local.data[(rows.start - local.first_row) * length..(rows.end - local.first_row) * length]
            }
            _ => &self.maps[id][rows.start * length..rows.end * length],
        }
    }

    fn pitch(&self, id: Id) -> usize {
        self.plan.shape.pitch(self.plan.channels[id])
    }

    /// Computes rows of a sum. If `in_place` names one of its addends, `output` has that addend's values.
    fn sum(
        &self,
        sum: &Sum,
        rows: Range<usize>,
        output: &mut [f32],
        place: Place,
        in_place: Option<Id>,
        row: &mut Vec<f32>,
    ) {
        let pitch = sum.bias.len();
        let mut add = in_place.is_some();
        for addend in &sum.addends {
            if addend.doubled {
                let size = self.sizes[addend.input];
                let (input, rows) = (self.rows(addend.input, &(0..size[0])), rows.clone());
                self.target.run(Double { input, size, pitch, rows, output, place, add, row });
            } else if in_place != Some(addend.input) {
                let input = self.rows(addend.input, &rows);
                self.target.run(CopyPixels { input, pitch, output, place, add });
            }
            add = true;
        }
        let (pixels, bias, clamp) = (rows.len() * place.width, &sum.bias[..], sum.clamp);
        if sum.products.is_empty() {
            if !clamp.is_none() || bias.iter().any(|bias| *bias != 0.0) {
                self.target.run(Finish { pixels, bias, output, place, clamp });
            }
            return;
        }
        let terms: Vec<Term<'_>> = sum
            .products
            .iter()
            .map(|product| Term {
                input: self.rows(product.input, &rows),
                pitch: self.pitch(product.input),
                depth: self.plan.channels[product.input],
                weights: &product.weights,
            })
            .collect();
        let shape = self.plan.shape;
        self.target.run(Gemm { terms: &terms, pixels, bias, output, place, add, clamp, shape });
    }
}

/// The rows of a block that are computed at once, and the padded input rows that they need.
struct Bands {
    window: Window,
    /// Height and width of the depthwise convolution's input and output.
    input: Size,
    size: Size,
    /// Floats of a pixel of both.
    pitch: usize,
    top: usize,
    left: usize,
    padded_width: usize,
    /// Output rows of a band.
    rows: usize,
    /// Padded rows for a band.
    padded_rows: usize,
    /// The first padded row in memory, and the row after the last one computed.
    first: usize,
    end: usize,
}

impl Bands {
    fn new(block: &Block, input: Size) -> Result<Self, RunError> {
        let (window, pitch) = (block.window, block.depthwise.pitch());
        let (top, _, height) = window.along(input[0], true).ok_or(RunError::TooSmall)?;
        let (left, right, width) = window.along(input[1], false).ok_or(RunError::TooSmall)?;
        let padded_width = input[1] + left + right;
        let fit = BAND / (floats([1, padded_width], pitch)? * size_of::<f32>());
        let rows = (fit.saturating_sub(window.kernel) / window.stride + 1).min(height);
        let padded_rows = (rows - 1) * window.stride + window.kernel;
        let size = [height, width];
        Ok(Self { window, input, size, pitch, top, left, padded_width, rows, padded_rows, first: 0, end: 0 })
    }

    /// Makes room for the padded rows. Their columns of padding are zero from here on.
    fn clear(&self, padded: &mut Vec<f32>) {
        let row = self.padded_width * self.pitch;
        padded.resize(padded.len().max(self.padded_rows * row), 0.0);
        for row in padded.chunks_exact_mut(row).take(self.padded_rows) {
            row[..self.left * self.pitch].fill(0.0);
            row[(self.left + self.input[1]) * self.pitch..].fill(0.0);
        }
    }

    /// Computes the padded rows for these output rows, except those that the band before needed, too.
    fn expand(
        &mut self,
        sources: &Sources<'_>,
        sum: &Sum,
        rows: &Range<usize>,
        padded: &mut [f32],
        memory: &mut Vec<f32>,
    ) {
        let length = self.padded_width * self.pitch;
        let start = rows.start * self.window.stride;
        let end = (rows.end - 1) * self.window.stride + self.window.kernel;
        if start > self.first {
            let kept = start.min(self.end)..self.end;
            padded.copy_within((kept.start - self.first) * length..(kept.end - self.first) * length, 0);
            self.first = start;
        }
        let made = self.end.max(start);
        let inside = made.max(self.top)..end.min(self.top + self.input[0]);
        for row in (made..end).filter(|row| !inside.contains(row)) {
            padded[(row - self.first) * length..][..length].fill(0.0);
        }
        if !inside.is_empty() {
            let at = (inside.start - self.first) * length + self.left * self.pitch;
            let place = Place { width: self.input[1], row: length, pixel: self.pitch, start: at };
            let input_rows = inside.start - self.top..inside.end - self.top;
            sources.sum(sum, input_rows, padded, place, None, memory);
        }
        self.end = end;
    }
}
