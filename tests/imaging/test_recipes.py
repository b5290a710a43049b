"""Recipes: hashed, frozen, readable again."""

import dataclasses

import pytest

from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.imaging.recipes import DistributionRecipe, FrameRecipe, recipe_from_dict

RECIPES = [DistributionRecipe(), FrameRecipe(), DistributionRecipe(planes=("xy",), pixels=16, species="electron")]
RECIPES += [FrameRecipe(overlays=((0.9, 1.0, 0.0, 0.5), (0, 1, 0.5, 1)), center=(62, -145), projection="geographic")]


@pytest.mark.parametrize("recipe", RECIPES)
def test_record_makes_the_same_recipe_again(recipe):
    again = recipe_from_dict(recipe.to_dict())
    assert again == recipe
    assert again.hash == recipe.hash


def test_hash_of_the_defaults_is_the_one_in_use():
    # Saved encoders and archives name these: a change here means raising the recipe's version.
    assert DistributionRecipe().hash == "a5de7696c100401b"
    assert FrameRecipe().hash == "ed2505a4a4348966"


def test_every_choice_changes_the_hash():
    changes = {"species": "electron", "speed_max": 900.0, "floor": 2e-25, "ceiling": 2e-20, "pixels": 16, "blur": 0.5}
    changes |= {"planes": ("par-perp1", "perp1-perp2"), "depth": 1, "speed_unit": "thermal", "subtract_velocity": True}
    changes |= {"density_unit": "thermal", "agyrotropy": True, "least_counts": 2.0, "energy_min_ev": 10.0}
    changes |= {"bad_flags": 0, "average": 2, "gap": 5.0}
    base = DistributionRecipe(planes=("perp1-perp2",))
    hashes = {dataclasses.replace(base, **{key: value}).hash for key, value in changes.items()}
    assert len(hashes | {base.hash}) == len(dataclasses.fields(DistributionRecipe)) + 1


def test_every_choice_for_frames_changes_the_hash():
    changes = {"pixels": 64, "overlays": ((0.0, 0.1, 0.0, 1.0),), "dark": "corners", "vignetting": 0.5}
    changes |= {"mask_radius": 0.9, "least_elevation": 10.0, "circle": "fitted", "projection": "sky"}
    changes |= {"height_km": 150.0, "width_km": 600.0, "center": (60.0, 20.0), "background_s": 600.0}
    changes |= {"background_quantile": 0.1, "stretch": (0.5, 99.5), "curve": "asinh", "contrast_pixels": 0.0}
    changes |= {"contrast_floor": 0.1}
    assert set(changes) == {field.name for field in dataclasses.fields(FrameRecipe)}
    hashes = {dataclasses.replace(FrameRecipe(), **{key: value}).hash for key, value in changes.items()}
    assert len(hashes | {FrameRecipe().hash}) == len(changes) + 1


def test_only_what_looks_at_the_sky_needs_a_view():
    assert not FrameRecipe(circle="fitted", background_s=60.0, dark="corners").needs_view
    assert FrameRecipe(least_elevation=5.0).needs_view and FrameRecipe(projection="geomagnetic").needs_view


def test_without_a_field_the_planes_are_those_of_the_instrument():
    recipe = DistributionRecipe(planes=("perp1-perp2", "par-perp1"), agyrotropy=True)
    assert recipe.field_aligned and recipe.channels == 3
    plain = recipe.without_field()
    assert plain.planes == ("xy", "xz") and not plain.agyrotropy and plain.channels == 2
    assert plain.without_field() is plain


@pytest.mark.parametrize(
    "make",
    [
        lambda: DistributionRecipe(species="dust"),
        lambda: DistributionRecipe(planes=()),
        lambda: DistributionRecipe(planes=("ab",)),
        lambda: DistributionRecipe(planes=("xy", "perp1-perp2")),
        lambda: DistributionRecipe(planes=("par-perp1",), agyrotropy=True),
        lambda: DistributionRecipe(speed_unit="furlong"),
        lambda: DistributionRecipe(average=0),
        lambda: DistributionRecipe(floor=0),
        lambda: DistributionRecipe(pixels=4),
        lambda: DistributionRecipe(blur=-1),
        lambda: FrameRecipe(mask_radius=0),
        lambda: FrameRecipe(stretch=(99, 1)),
        lambda: FrameRecipe(contrast_floor=0),
        lambda: FrameRecipe(overlays=((0.5, 0.2, 0, 1),)),
        lambda: FrameRecipe(overlays=((0.5, 0.2),)),
        lambda: FrameRecipe(overlays=(0.1, 0.2, 0.1, 0.2)),
        lambda: FrameRecipe(dark="everywhere"),
        lambda: FrameRecipe(vignetting=1.0),
        lambda: FrameRecipe(least_elevation=90.0),
        lambda: FrameRecipe(circle="square"),
        lambda: FrameRecipe(projection="mercator"),
        lambda: FrameRecipe(center=(91.0, 0.0)),
        lambda: FrameRecipe(width_km=0.0),
        lambda: FrameRecipe(background_s=-1.0),
        lambda: FrameRecipe(background_quantile=1.1),
        lambda: FrameRecipe(curve="cubic"),
        lambda: recipe_from_dict({"kind": "sound", "version": 1}),
        lambda: recipe_from_dict(FrameRecipe().to_dict() | {"version": 99}),
        lambda: recipe_from_dict(FrameRecipe().to_dict() | {"color": "red"}),
    ],
)
def test_choices_that_make_no_sense(make):
    with pytest.raises(ArgumentError):
        make()
