//! Decides when the memory of a map is free for another one.

use super::{Step, Work};
use crate::graph::{Addend, Id};

impl Step {
    /// The nodes that this step reads from memory.
    fn inputs(&self) -> Vec<Id> {
        match &self.work {
            Work::Input(_) | Work::Stem { .. } => Vec::new(),
            Work::Sum(sum) => sum.inputs().collect(),
            Work::Block(block) => {
                let project = block.project.inputs().filter(|&id| id != block.middle);
                block.expand.inputs().chain(project).collect()
            }
            Work::Head(head) => {
                let mean = head.mean.inputs().filter(|&id| id != head.middle);
                head.logits.inputs().chain(mean).collect()
            }
            Work::Concat(parts) => parts.clone(),
        }
    }
}

/// Fills in the fields of the steps.
pub fn assign(steps: &mut [Step], nodes: usize, output: Id) {
    find_last_uses(steps, nodes, output);
    steps.iter_mut().for_each(|step| step.in_place = in_place(step));
}

fn find_last_uses(steps: &mut [Step], nodes: usize, output: Id) {
    let mut read_later = vec![false; nodes];
    read_later[output] = true;
    for step in steps.iter_mut().rev() {
        for input in step.inputs() {
            if !std::mem::replace(&mut read_later[input], true) {
                step.last_uses.push(input);
            }
        }
    }
}

fn in_place(step: &Step) -> Option<Id> {
    let sum = match &step.work {
        Work::Sum(sum) => sum,
        Work::Block(block) => &block.project,
        _ => return None,
    };
    let fits = |addend: &&Addend| {
        let id = addend.input;
        let once = sum.inputs().filter(|&input| input == id).count() == 1;
        !addend.doubled && once && step.last_uses.contains(&id) && !read_ahead(&step.work, id)
    };
    sum.addends.iter().find(fits).map(|addend| addend.input)
}

/// Whether a block reads rows of the node after it has written the same rows of its output. With a stride of 1 it reads
/// each row before, because the padding is smaller than the kernel.
fn read_ahead(work: &Work, id: Id) -> bool {
    let Work::Block(block) = work else { return false };
    block.window.stride != 1 && block.expand.inputs().any(|input| input == id)
}
