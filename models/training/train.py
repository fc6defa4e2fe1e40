"""Trains the colouriser on any folders or tar files of photographs. Stop it at any time; run it again to continue.

    python train.py --photos a.tar b/ --run RUN --steps 20000 [--start FIRST.pt]

The folder RUN contains `log.csv` and `last.pt`, which has everything that is needed to continue and is written every
few minutes. The weights to use are the running average in `last.pt` (`sd`). The learning rate rises in the first 100
steps, is then constant, and falls to zero in the last `--decay` steps. If the length of a run is not known in advance,
start it with a large `--steps`, and run it again with a smaller number to end it.
"""

import argparse
import copy
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from bins import SoftEncoding, bins_in_gamut, class_weights, rebalanced_cross_entropy
from lab import lab_of_srgb
from network import Colouriser, image_net_weights
from photos import Cache, centre_box, crop
from samples import Batch, Batches, draw_weights

RATE_ENCODER, RATE_DECODER = 1.5e-4, 6e-4
WARM_UP = 100
AVERAGE = 0.998
"""The weight of the old running average in the new one, at each step."""
PRIOR_FROM = 1500
"""The number of photographs from which the frequency of each bin is estimated."""


def rate(step: int, steps: int, decay: int) -> float:
    """The factor of the learning rate at a step: it rises at first and falls at the end."""
    return min(1.0, step / WARM_UP, (steps + 1 - step) / max(1, decay))


def target_ab(rgb: Tensor) -> Tensor:
    """a* and b* of 8-bit sRGB, at a quarter of its size."""
    return F.avg_pool2d(lab_of_srgb(rgb.float() / 255)[:, 1:], 4)


def prior(batches: Batches, encoding: SoftEncoding, bins: int) -> Tensor:
    """The share of each bin in photographs drawn as in training, but cropped at the centre and not degraded."""
    generator = torch.Generator().manual_seed(batches.seed)
    chosen = torch.multinomial(torch.from_numpy(batches.weights), PRIOR_FROM, True, generator=generator)
    total = torch.zeros(bins)
    for index in chosen.tolist():
        pixels = batches.cache[batches.photos[index]]
        rgb = torch.from_numpy(crop(pixels, batches.side, centre_box(pixels)).copy()).permute(2, 0, 1)[None]
        at, share = encoding(target_ab(rgb))
        total.index_add_(0, at.flatten(), share.flatten())
    return total / total.sum()


def loss_of(network: Colouriser, batch: Batch, encoding: SoftEncoding, weights: Tensor) -> Tensor:
    """Rebalanced cross-entropy over the pixels that are not under a border."""
    at, share = encoding(target_ab(batch.rgb))
    shown = F.avg_pool2d(batch.shown.float(), 4)[:, 0]
    logits = network(batch.lightness.contiguous(memory_format=torch.channels_last))
    return rebalanced_cross_entropy(logits, at, share, weights, shown)


def optimiser(network: Colouriser) -> torch.optim.AdamW:
    """AdamW with a lower rate for the encoder than for the decoder, whose weights start at random."""
    encoder = [p for name, p in network.named_parameters() if name.startswith("e.")]
    decoder = [p for name, p in network.named_parameters() if not name.startswith("e.")]
    groups = [{"params": encoder, "rate": RATE_ENCODER}, {"params": decoder, "rate": RATE_DECODER}]
    return torch.optim.AdamW(groups, weight_decay=0.02, fused=True)


@torch.no_grad()
def follow(average: Colouriser, network: Colouriser, step: int) -> None:
    """Moves the running average towards the network."""
    share = 1 - min(AVERAGE, (1 + step) / (10 + step))
    for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        kept.lerp_(new, share) if kept.is_floating_point() else kept.copy_(new)


def save(file: Path, state: dict) -> None:
    """Writes a checkpoint atomically."""
    part = file.with_suffix(".part")
    torch.save(state, part)
    part.replace(file)


def train(options: argparse.Namespace) -> None:
    """Runs from the last checkpoint, or from the start, to the last step."""
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    options.run.mkdir(parents=True, exist_ok=True)
    cache = Cache(options.cache or options.run / "cache", options.photos, options.short)
    weights = draw_weights(cache.part(held_out=False), options.weights)
    batches = Batches(cache, weights, options.batch, options.side, options.seed)
    centres = bins_in_gamut()
    encoding = SoftEncoding(centres)
    network = Colouriser(len(centres)).to(memory_format=torch.channels_last)
    last = options.run / "last.pt"
    state = torch.load(last, weights_only=True) if last.exists() else None
    if state is None:
        if options.start:
            network.load(torch.load(options.start, weights_only=True)["sd"])
        else:
            network.load_encoder(image_net_weights())
        first, rebalance = 0, class_weights(prior(batches, encoding, len(centres)))
    else:
        network.load_state_dict(state["network"])
        first, rebalance = state["step"], state["w"]
    average = copy.deepcopy(network).eval().requires_grad_(False)
    optim = optimiser(network)
    if state is not None:
        average.load_state_dict(state["sd"])
        optim.load_state_dict(state["optimiser"])

    network.train()
    started = saved = time.monotonic()
    running = None
    loader = DataLoader(batches, batch_size=None, sampler=range(first, options.steps), num_workers=1, prefetch_factor=4)
    for step, batch in enumerate(loader, first + 1):
        for group in optim.param_groups:
            group["lr"] = group["rate"] * rate(step, options.steps, options.decay)
        loss = loss_of(network, batch, encoding, rebalance)
        optim.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optim.step()
        follow(average, network, step)
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if step % 20 == 0:
            speed = (step - first) * options.batch / (time.monotonic() - started)
            with (options.run / "log.csv").open("a") as log:
                log.write(f"{step},{running:.4f},{speed:.2f}\n")
        if time.monotonic() - saved > options.save_every or step == options.steps:
            saved = time.monotonic()
            state = {"step": step, "q": centres, "w": rebalance, "sd": average.state_dict()}
            save(last, {**state, "network": network.state_dict(), "optimiser": optim.state_dict()})


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Trains the colouriser.")
    parser.add_argument("--photos", type=Path, nargs="+", required=True, help="folders or tar files")
    parser.add_argument("--run", type=Path, required=True, help="folder of this run; created if it does not exist")
    parser.add_argument("--start", type=Path, help="weights to start from [default: ImageNet's in the encoder]")
    parser.add_argument("--weights", type=Path, help="TOML: how often photographs are drawn, by name")
    parser.add_argument("--cache", type=Path, help="folder of decoded photographs [default: RUN/cache]")
    parser.add_argument("--steps", type=int, default=40_000)
    parser.add_argument("--decay", type=int, default=1_000, help="number of last steps in which the rate falls to zero")
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--side", type=int, default=160, help="pixels of a crop's side")
    parser.add_argument("--short", type=int, default=176, help="pixels of the short side in the cache")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save-every", type=float, default=240, help="seconds between checkpoints")
    return parser.parse_args()


if __name__ == "__main__":
    train(arguments())
