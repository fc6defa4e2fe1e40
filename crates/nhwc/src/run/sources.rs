//! Computes rows of a sum from the maps in memory.

use std::ops::Range;

use super::Size;
use crate::graph::Id;
use crate::kernels::{CopyPixels, Double, Finish, Gemm, Place, Target, Term};
use crate::plan::{Plan, Sum};

/// Rows of a node that are not among the maps.
#[derive(Clone, Copy)]
pub struct Local<'a> {
    pub id: Id,
    pub data: &'a [f32],
    pub first_row: usize,
}

/// What a sum reads.
pub struct Sources<'a> {
    pub plan: &'a Plan,
    pub target: Target,
    pub sizes: &'a [Size],
    pub maps: &'a [Vec<f32>],
    pub local: Option<Local<'a>>,
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
    pub fn sum(
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
