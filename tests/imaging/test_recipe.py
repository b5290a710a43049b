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
    assert DistributionRecipe().hash == "0399b8f214a621b4"
    assert FrameRecipe().hash == "7656c7174527571e"


def test_every_choice_changes_the_hash():
    changes = {"species": "electron", "speed_max_km_s": 900.0, "floor": 2e-25, "ceiling": 2e-20, "pixels": 16}
    changes |= {"planes": ("xy",), "blur_pixels": 0.5}
    hashes = {dataclasses.replace(DistributionRecipe(), **{key: value}).hash for key, value in changes.items()}
    assert len(hashes | {DistributionRecipe().hash}) == len(dataclasses.fields(DistributionRecipe)) + 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: DistributionRecipe(species="dust"),
        lambda: DistributionRecipe(planes=()),
        lambda: DistributionRecipe(planes=("ab",)),
        lambda: DistributionRecipe(floor=0),
        lambda: DistributionRecipe(pixels=4),
        lambda: DistributionRecipe(blur_pixels=-1),
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
