"""Recipes: hashed, frozen, readable again."""

import dataclasses

import pytest

from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.imaging.recipe import DistributionRecipe, FrameRecipe, recipe_from_dict

RECIPES = [DistributionRecipe(), FrameRecipe(), DistributionRecipe(planes=("xy",), pixels=16, species="electron")]


@pytest.mark.parametrize("recipe", RECIPES)
def test_record_makes_the_same_recipe_again(recipe):
    again = recipe_from_dict(recipe.to_dict())
    assert again == recipe
    assert again.hash == recipe.hash


def test_hash_of_the_defaults_is_the_one_in_use():
    # Saved encoders and archives name these: a change here means raising the recipe's version.
    assert DistributionRecipe().hash == "a5de7696c100401b"
    assert FrameRecipe().hash == "7656c7174527571e"


def test_every_choice_changes_the_hash():
    changes = {"species": "electron", "speed_max": 900.0, "floor": 2e-25, "ceiling": 2e-20, "pixels": 16, "blur": 0.5}
    changes |= {"planes": ("par-perp1", "perp1-perp2"), "depth": 1, "speed_unit": "thermal", "subtract_velocity": True}
    changes |= {"density_unit": "thermal", "agyrotropy": True, "least_counts": 2.0, "energy_min_ev": 10.0}
    changes |= {"bad_flags": 0, "average": 2, "gap": 5.0}
    base = DistributionRecipe(planes=("perp1-perp2",))
    hashes = {dataclasses.replace(base, **{key: value}).hash for key, value in changes.items()}
    assert len(hashes | {base.hash}) == len(dataclasses.fields(DistributionRecipe)) + 1


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
        lambda: recipe_from_dict({"kind": "sound", "version": 1}),
        lambda: recipe_from_dict(FrameRecipe().to_dict() | {"version": 99}),
        lambda: recipe_from_dict(FrameRecipe().to_dict() | {"colour": "red"}),
    ],
)
def test_choices_that_make_no_sense(make):
    with pytest.raises(ArgumentError):
        make()
