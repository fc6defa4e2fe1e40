//! The engines that run a network's file: `pixcolor-nhwc` for networks like the built-in one, and rten, which is slower,
//! for every other network.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cpu_time::ThreadTime;
pub use pixcolor_nhwc::Planes;
use pixcolor_nhwc::{Network, Scratch};
use rten::{Model, RunOptions, ThreadPool};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;

/// Runs one network.
pub trait Engine: Send + Sync {
    /// Runs the network on one thread. `input` is the input of the file, with a batch of one. Also returns the
    /// processor time of threads other than the caller's.
    fn run(&self, input: Planes) -> Result<(Planes, Duration), String>;
}

/// The fastest engine that can run this ONNX file.
pub fn load(file: Cow<'static, [u8]>) -> Result<Box<dyn Engine>, String> {
    match Nhwc::load(&file) {
        Ok(engine) => Ok(Box::new(engine)),
        Err(unsupported) => {
            tracing::info!("the general engine runs the network, because of {unsupported}");
            Ok(Box::new(Rten::load(file)?))
        }
    }
}

/// Memory or threads of past runs, for the next ones. There are at most as many as runs at once.
struct Spare<T>(Mutex<Vec<T>>);

impl<T> Spare<T> {
    fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn with<R>(&self, new: impl FnOnce() -> T, run: impl FnOnce(&mut T) -> R) -> R {
        let spare = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = spare().pop();
        let mut item = unused.unwrap_or_else(new);
        let result = run(&mut item);
        spare().push(item);
        result
    }
}

pub struct Nhwc {
    network: Network,
    scratch: Spare<Scratch>,
}

impl Nhwc {
    pub fn load(file: &[u8]) -> Result<Self, pixcolor_nhwc::Unsupported> {
        Ok(Self { network: Network::load(file)?, scratch: Spare::new() })
    }
}

impl Engine for Nhwc {
    fn run(&self, input: Planes) -> Result<(Planes, Duration), String> {
        let size = [input.height, input.width];
        let run = |scratch: &mut Scratch| self.network.run(scratch, &input.values, size);
        let output = self.scratch.with(Scratch::default, run).map_err(|error| error.to_string())?;
        Ok((output, Duration::ZERO))
    }
}

pub struct Rten {
    model: Model,
    /// Pools of one thread each, because a run on a shared pool would take the threads of other runs.
    pools: Spare<Arc<ThreadPool>>,
}

impl Rten {
    /// The model must have one input and one output.
    pub fn load(file: Cow<'static, [u8]>) -> Result<Self, String> {
        let model = match file {
            Cow::Borrowed(file) => Model::load_static_slice(file),
            Cow::Owned(file) => Model::load(file),
        };
        let model = model.map_err(|error| error.to_string())?;
        let (inputs, outputs) = (model.input_ids().len(), model.output_ids().len());
        if inputs != 1 || outputs != 1 {
            return Err(format!(
                "the network has {inputs} inputs and {outputs} outputs; a colouriser has one of each"
            ));
        }
        Ok(Self { model, pools: Spare::new() })
    }
}

impl Engine for Rten {
    fn run(&self, input: Planes) -> Result<(Planes, Duration), String> {
        let tensor = NdTensor::from_data([1, input.channels, input.height, input.width], input.values);
        let run = |pool: &mut Arc<ThreadPool>| {
            let options = RunOptions::default().with_thread_pool(Some(pool.clone()));
            pool.run(|| {
                let start = ThreadTime::now();
                (self.model.run_one(tensor.view().into(), Some(options)), start.elapsed())
            })
        };
        let (value, elsewhere) = self.pools.with(|| Arc::new(ThreadPool::with_num_threads(1)), run);
        let value = value.map_err(|error| error.to_string())?;
        let output: NdTensor<f32, 4> = value
            .try_into()
            .map_err(|_| "it returned something other than one 4-dimensional tensor of floats".to_owned())?;
        let [batch, channels, height, width] = output.shape();
        if batch != 1 {
            return Err(format!("it returned a batch of {batch}"));
        }
        Ok((Planes { channels, height, width, values: output.to_vec() }, elsewhere))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `models/training/export.py`: a picture and the output of onnxruntime for it.
    #[derive(serde::Deserialize)]
    struct Check {
        lightness: Vec<Vec<f32>>,
        ab: Vec<f32>,
    }

    #[test]
    fn both_engines_run_the_built_in_network_like_onnxruntime() {
        let check: Check =
            serde_json::from_str(include_str!("../../../models/colorizer.check.json")).unwrap();
        let file = super::super::BUILT_IN_MODEL;
        let engines: [Box<dyn Engine>; 2] =
            [Box::new(Nhwc::load(file).unwrap()), Box::new(Rten::load(file.into()).unwrap())];
        for engine in engines {
            let (height, width) = (check.lightness.len(), check.lightness[0].len());
            let input = Planes { channels: 1, height, width, values: check.lightness.concat() };
            let output = engine.run(input).unwrap().0.values;
            assert_eq!(output.len(), check.ab.len());
            let far = output.iter().zip(&check.ab).map(|(ours, theirs)| (ours - theirs).abs());
            let worst = far.fold(0.0, f32::max);
            assert!(worst < 1e-3, "off by {worst} in units of a* and b*");
        }
    }
}
