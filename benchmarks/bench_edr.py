"""Retrieval of simulated electron diffusion regions in other events, by recipe and by encoder.

    python -m benchmarks.bench_edr recipes     what each choice of the recipe does, on events 0 to 13
    python -m benchmarks.bench_edr encoders    the chosen recipe and the encoders, on events 100 to 113

All data are simulated. One event is left out at a time: its queries search all samples of the thirteen others. Choices
are made on the first events and reported on the others.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time

import numpy as np

from benchmarks.data_sets.edr import distributions_of
from pyspedas_similarity.encoder.fixed import fixed_encoder
from pyspedas_similarity.encoder.runtime import unit_length
from pyspedas_similarity.imaging.distributions import distribution_images
from pyspedas_similarity.imaging.plasma import Distributions
from pyspedas_similarity.imaging.recipes import DistributionRecipe
from pyspedas_similarity.instruments.registry import INSTRUMENTS
from pyspedas_similarity.simulate.fpi import simulate_event

CHOOSING, REPORTING = range(14), range(100, 114)
QUERIES_PER_EVENT = 5
FIELD_PLANES = ("perp1-perp2", "par-perp1", "par-perp2")
BOOTSTRAPS = 2000
REDUCE = {"best rank": np.median, "false before": np.mean, "of six": np.mean, "two of six": np.mean}


@dataclasses.dataclass(frozen=True)
class SimulatedEvents:
    """Simulated distributions of several events with the truth."""

    parts: list[Distributions]
    is_edr: np.ndarray
    event: np.ndarray


def simulate(events: range) -> SimulatedEvents:
    """Simulate one spacecraft through each event, 400 electron distributions each."""
    parts, is_edr, event = [], [], []
    for seed in events:
        crossing = simulate_event(seed=seed, species="electron", duration_s=12.0)
        parts.append(distributions_of(crossing))
        is_edr.append(crossing.region == "edr")
        event.append(np.full(len(crossing.times), seed))
    return SimulatedEvents(parts, np.concatenate(is_edr), np.concatenate(event))


def images_of(events: SimulatedEvents, recipe: DistributionRecipe) -> np.ndarray:
    """Return images of all samples."""
    return np.concatenate([distribution_images(part, recipe) for part in events.parts])


def measure(embeddings: np.ndarray, events: SimulatedEvents) -> dict[str, float]:
    """Measure how queries in the diffusion region of one event find those of the others; each with 95 % bounds.

    ``best rank``: rank of the best sample of each other diffusion region, median over queries and other events. ``false
    before``: mean number of samples before it that are in no diffusion region. ``of six``: share of samples in a
    diffusion region among the six nearest. ``two of six``: share of queries with samples of at least two other
    diffusion regions among the six nearest. The bootstrap is over the events of the queries.
    """
    per_event = [_one_event(embeddings, events, event) for event in np.unique(events.event)]
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(per_event), (BOOTSTRAPS, len(per_event)))
    measures = {}
    for key, reduce in REDUCE.items():
        values = [np.asarray(found[key], float) for found in per_event]
        resampled = [reduce(np.concatenate([values[i] for i in draw])) for draw in draws]
        low, high = np.percentile(resampled, (2.5, 97.5))
        measures[key] = (float(reduce(np.concatenate(values))), float(low), float(high))
    return measures


def _one_event(embeddings: np.ndarray, events: SimulatedEvents, event: int) -> dict[str, list[float]]:
    own = events.event == event
    candidates = np.flatnonzero(~own & np.isfinite(embeddings).all(axis=1))
    inside = np.flatnonzero(own & events.is_edr & np.isfinite(embeddings).all(axis=1))
    chosen = inside[np.linspace(0, len(inside) - 1, QUERIES_PER_EVENT + 2).astype(int)[1:-1]]
    found: dict[str, list[float]] = {key: [] for key in REDUCE}
    for query in chosen:
        order = candidates[np.argsort(-(embeddings[candidates] @ embeddings[query]), kind="stable")]
        edr = events.is_edr[order]
        event_of = events.event[order]
        for other in np.unique(events.event[events.is_edr & ~own]):
            best = int(np.argmax(edr & (event_of == other)))
            found["best rank"].append(1 + best)
            found["false before"].append(int((~edr[:best]).sum()))
        found["of six"].append(float(edr[:6].mean()))
        found["two of six"].append(float(len(set(event_of[:6][edr[:6]])) >= 2))
    return found


def recipes() -> dict[str, DistributionRecipe]:
    """Return recipes by name, each with one more choice than the one before unless its name says otherwise."""
    plain = DistributionRecipe(species="electron", speed_max=15000.0, floor=1e-30, ceiling=1e-25, bad_flags=0)
    field = dataclasses.replace(plain, planes=FIELD_PLANES, depth=2, floor=1e-29, ceiling=1e-24)
    flow = dataclasses.replace(field, subtract_velocity=True)
    thermal = dataclasses.replace(flow, speed_unit="thermal", speed_max=3.0)
    density = dataclasses.replace(thermal, density_unit="thermal", floor=1e-3, ceiling=1.0)
    agyrotropy = dataclasses.replace(density, agyrotropy=True)
    return {
        "axes of the instrument": plain,
        "axes of the field": field,
        "  the same, above 30 eV": dataclasses.replace(field, energy_min_ev=30.0),
        "  the same, with agyrotropy": dataclasses.replace(field, energy_min_ev=30.0, agyrotropy=True),
        "+ flow taken out": flow,
        "+ temperature taken out": thermal,
        "+ density taken out": density,
        "+ agyrotropy channel": agyrotropy,
        "  a cut (depth 0)": dataclasses.replace(agyrotropy, depth=0),
        "  all of velocity space (depth 16)": dataclasses.replace(agyrotropy, depth=16),
        "  across the field only": dataclasses.replace(agyrotropy, planes=("perp1-perp2",)),
        "  to 4 thermal speeds": dataclasses.replace(agyrotropy, speed_max=4.0),
        "  floor 1e-2": dataclasses.replace(agyrotropy, floor=1e-2),
        "  bins of two counts or more": dataclasses.replace(agyrotropy, least_counts=2.0),
        "  above 30 eV": dataclasses.replace(agyrotropy, energy_min_ev=30.0),
        "  3 samples averaged": dataclasses.replace(agyrotropy, average=3),
        "  3 averaged, above 30 eV": dataclasses.replace(agyrotropy, average=3, energy_min_ev=30.0),
        "  no blur": dataclasses.replace(agyrotropy, blur=0.0),
        "  a cut, above 30 eV": dataclasses.replace(agyrotropy, depth=0, energy_min_ev=30.0),
        "  the same, to 4 thermal speeds": dataclasses.replace(agyrotropy, depth=0, energy_min_ev=30.0, speed_max=4.0),
        "  the same, of depth 1": dataclasses.replace(agyrotropy, depth=1, energy_min_ev=30.0, speed_max=4.0),
    }


def pca(images: np.ndarray, components: int = 16) -> np.ndarray:
    """Return whitened principal components of all samples, without labels."""
    from sklearn.decomposition import PCA

    flat = np.nan_to_num(images.reshape(len(images), -1))
    return unit_length(PCA(components, whiten=True, random_state=0).fit_transform(flat))


def random_network(images: np.ndarray, seed: int) -> np.ndarray:
    """Return embeddings of a ResNet-18 with random weights."""
    import torch

    from pyspedas_similarity.encoder.backbone import build_backbone

    torch.manual_seed(seed)
    network = build_backbone("resnet18", images.shape[1]).train()  # uses batch statistics, as it has no others
    with torch.no_grad():
        batches = torch.split(torch.from_numpy(np.nan_to_num(images)), 256)
        return unit_length(np.concatenate([network(batch).numpy() for batch in batches]))


def row(name: str, measures: dict[str, tuple[float, float, float]], seconds: float) -> str:
    """Return one line of the table."""
    rank, false = (f"{m:.0f} ({low:.0f}-{high:.0f})" for m, low, high in (measures[k] for k in list(REDUCE)[:2]))
    six, two = (f"{m:.2f} ({low:.2f}-{high:.2f})" for m, low, high in (measures[k] for k in list(REDUCE)[2:]))
    return f"{name:36s} {rank:18s} {false:18s} {six:18s} {two:18s} {seconds:5.1f} s"


def main() -> None:
    """Print one of the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("recipes", "encoders"))
    chosen = parser.parse_args()
    events = CHOOSING if chosen.table == "recipes" else REPORTING
    library = simulate(events)
    share = library.is_edr.mean()
    print(f"simulated events {events[0]} to {events[-1]}: {len(library.event)} electron distributions,", end=" ")
    print(f"{library.is_edr.sum()} in a diffusion region ({share:.3f}); {QUERIES_PER_EVENT} queries an event")
    print(f"{'':36s} best of each other diffusion region:   of the six nearest:")
    print(f"{'':36s} rank               false before it    in diffusion regions, of two events at least")
    if chosen.table == "recipes":
        for name, recipe in recipes().items():
            began = time.perf_counter()
            embeddings = fixed_encoder("pixels", "distribution").encode(images_of(library, recipe))
            print(row(name, measure(embeddings, library), time.perf_counter() - began))
            sys.stdout.flush()
        return
    for title, recipe in (
        ("recipe of mms_des", INSTRUMENTS["mms_des"].recipe),
        ("axes of the instrument", recipes()["axes of the instrument"]),
    ):
        images = images_of(library, recipe)
        print(title)
        encoders = {
            "  pixels": lambda i: fixed_encoder("pixels", "distribution").encode(i),
            "  PCA, 16 whitened": pca,
            "  random ResNet-18, seed 0": lambda i: random_network(i, 0),
            "  random ResNet-18, seed 1": lambda i: random_network(i, 1),
            "  random ResNet-18, seed 2": lambda i: random_network(i, 2),
        }
        for name, encode in encoders.items():
            began = time.perf_counter()
            print(row(name, measure(encode(images), library), time.perf_counter() - began))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
