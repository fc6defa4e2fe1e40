//! Kind `onnx`: a network that runs in this process, from an ONNX file and its recipe.
//!
//! Each picture runs on one thread, so that concurrent pictures do not slow each other down and processor time can be
//! measured for each picture. At most `threads` pictures run at once; further calls wait in a bounded queue. The
//! built-in model is compiled into the binary.

mod contrast;
mod engine;
mod network;
mod recipe;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::{
    Call, FailureKind, Provider, ProviderColor, ProviderError, ProviderInfo, ProviderResponse, Readiness,
    Step,
};
use crate::config::{Common, OnnxConfig};
use crate::credit::{CallFacts, Price, Usage};
use crate::queue::{Queue, QueueError};
use crate::tasks;
use network::{Network, NetworkError};
use recipe::{Recipe, RecipeError};

static BUILT_IN_MODEL: &[u8] = include_bytes!("../../../models/colorizer.onnx");
static BUILT_IN_RECIPE: &str = include_str!("../../../models/colorizer.toml");

#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A defect of this build.
    #[error("the built-in recipe: {0}")]
    BuiltInRecipe(String),
    #[error("model {path}: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// The model's file is not a network that this program can run.
    #[error("model {path}: {reason}")]
    Model { path: String, reason: String },
}

pub struct OnnxProvider {
    info: ProviderInfo,
    price: Price,
    timeout: Duration,
    network: Arc<Network>,
    queue: Queue,
}

impl OnnxProvider {
    /// Loads the model and its recipe. Takes about a tenth of a second, so it must not run on an async thread.
    pub fn load(name: &str, common: &Common, config: &OnnxConfig, price: &Price) -> Result<Self, OnnxError> {
        let (model, recipe, digest) = read(config)?;
        let info = ProviderInfo {
            name: name.to_owned(),
            kind: "onnx",
            model: recipe.model.clone(),
            version: recipe.version.clone(),
            leaves_machine: false,
            send_max_pixels: common.send_max_pixels,
            luma_lock: common.luma_lock,
            settings: digest,
        };
        let path = config.model.as_ref().map_or("(built in)".into(), |path| path.display().to_string());
        let network = engine::load(model).map(|engine| Network::new(engine, recipe));
        let network = network.and_then(|network| match &config.model {
            None => Ok(network),
            // Only a trial run shows whether a custom network matches its recipe.
            Some(_) => network.try_out().map(|()| network).map_err(|NetworkError(reason)| reason),
        });
        let network = network.map_err(|reason| OnnxError::Model { path, reason })?;
        let threads = match config.threads {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get()),
            threads => threads,
        };
        Ok(Self {
            info,
            price: price.clone(),
            timeout: common.timeout,
            network: Arc::new(network),
            queue: Queue::new(u32::try_from(threads).unwrap_or(u32::MAX), config.queue),
        })
    }

    /// A text that changes whenever the network must be loaded again. It contains the settings, and the size and
    /// modification time of the files.
    pub fn source(common: &Common, config: &OnnxConfig, price: &Price) -> String {
        let recipe = config.recipe.clone().or_else(|| Some(config.model.as_ref()?.with_extension("toml")));
        let stamp =
            |path: &PathBuf| std::fs::metadata(path).ok().map(|found| (found.len(), found.modified().ok()));
        let stamps: Vec<_> = [&config.model, &recipe].into_iter().flatten().map(stamp).collect();
        format!("{common:?} {config:?} {price:?} {stamps:?}")
    }
}

/// The model's file, its recipe, and a SHA-256 of both for the provider identity.
fn read(config: &OnnxConfig) -> Result<(Cow<'static, [u8]>, Recipe, String), OnnxError> {
    let Some(path) = &config.model else {
        let recipe = Recipe::parse(BUILT_IN_RECIPE).map_err(OnnxError::BuiltInRecipe)?;
        return Ok((BUILT_IN_MODEL.into(), recipe, digest(BUILT_IN_MODEL, BUILT_IN_RECIPE.as_bytes())));
    };
    let beside = config.recipe.clone().unwrap_or_else(|| path.with_extension("toml"));
    let recipe = Recipe::read(&beside)?;
    let model = std::fs::read(path).map_err(|source| OnnxError::Unreadable { path: path.clone(), source })?;
    let digest = digest(&model, recipe.identity().as_bytes());
    Ok((model.into(), recipe, digest))
}

fn digest(model: &[u8], recipe: &[u8]) -> String {
    let hash = Sha256::new().chain_update(model).chain_update(recipe).finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[async_trait]
impl Provider for OnnxProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    async fn colorize(&self, call: Call) -> Result<ProviderResponse, ProviderError> {
        if call.deadline <= Instant::now() {
            return Err(ProviderError::new(
                FailureKind::Timeout,
                "the deadline had passed before the call began",
            ));
        }
        let slot = self.queue.enter(1, call.deadline).await.map_err(|error| match error {
            QueueError::Full => {
                ProviderError::new(FailureKind::Busy, "its queue is full: try again in a moment")
            }
            QueueError::Late => {
                ProviderError::new(FailureKind::Timeout, "the call was still in the queue at its deadline")
            }
        })?;
        let trace = &call.trace;
        trace.report(Step::Request, || {
            let (model, gray) = (&self.info.model, &call.gray);
            format!(
                "run {model} on this machine with a grey picture of {} x {} pixels",
                gray.width, gray.height
            )
        });
        call.may_begin().await?;
        let facts = CallFacts {
            sent_pixels: u64::from(call.gray.width) * u64::from(call.gray.height),
            timeout: self.timeout,
        };
        let (network, trace) = (self.network.clone(), trace.clone());
        let run = tasks::spawn_blocking(move || {
            let colored = network.color(&call.gray);
            // The slot is freed only here, because a dropped call still occupies its thread.
            drop(slot);
            colored
        });
        let colored = run
            .await
            .map_err(|_| ProviderError::new(FailureKind::Failed, "the network stopped unexpectedly"))?;
        let (chroma, cpu) =
            colored.map_err(|NetworkError(reason)| ProviderError::new(FailureKind::Failed, reason))?;
        trace.report(Step::Reply, || {
            let (width, height, seconds) = (chroma.width, chroma.height, cpu.as_secs_f64());
            format!("colour of {width} x {height} pixels, {seconds:.3} s of processor time")
        });
        let usage = Usage { credits: self.price.actual(&facts, None).ok(), cpu: Some(cpu) };
        Ok(ProviderResponse { color: ProviderColor::Chroma(chroma), usage })
    }
}
