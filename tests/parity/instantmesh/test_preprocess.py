"""Photos become the reference's pixels, views the reference's sheet."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

CASES = ("case0", "case1", "case2")


@pytest.fixture
def numbers(golden: Any) -> Any:
    return golden("preprocess")


@pytest.fixture
def extractors(numbers: Any) -> Any:
    """The two image processors at the sizes of the golden pictures."""
    from models.image_processor import CLIP_COLOURS, Preprocessor

    vae, clip = numbers.json("vae_extractor"), numbers.json("clip_extractor")
    assert (vae["resample"], clip["resample"]) == ("bilinear", "bicubic")
    return {
        f"vae_pixels_size{vae['size']}": Preprocessor(
            vae["size"], (vae["crop"],) * 2, (vae["mean"],) * 3, (vae["std"],) * 3, 2
        ),
        f"clip_pixels_size{clip['size']}": Preprocessor(clip["size"], (clip["crop"],) * 2, *CLIP_COLOURS, 3),
    }


@pytest.mark.parametrize("case", CASES)
def test_the_photo_is_cut_out_and_laid_on_white(case: str, numbers: Any) -> None:
    from models.zero123plus.pictures import cut_out, on_white, prepared

    photo, fill = numbers[f"{case}.in.rgba"].numpy(), float(numbers[f"{case}.in.ratio"])
    found = cut_out(photo, fill, reference=True)
    np.testing.assert_array_equal(found, numbers[f"{case}.out.resized_rgba"])
    np.testing.assert_array_equal(on_white(found), numbers[f"{case}.out.white_rgb"])
    np.testing.assert_array_equal(prepared(photo, fill, reference=True), numbers[f"{case}.out.white_rgb"])


@pytest.mark.parametrize("case", [*CASES, "nonsquare"])
def test_the_encoders_see_the_reference_pixels(case: str, numbers: Any, extractors: Any, close: Any) -> None:
    picture = numbers["nonsquare.in.rgb" if case == "nonsquare" else f"{case}.out.white_rgb"].numpy()
    for name, extractor in extractors.items():
        close(extractor.pixels(picture), numbers[f"{case}.out.{name}"], 1e-5)


def test_six_views_make_the_sheet_and_come_back(numbers: Any) -> None:
    from models.zero123plus.pictures import split, tile

    views = numbers["tiles.in.views"].permute(0, 2, 3, 1).numpy()
    sheet = numbers["tiles.out.sheet"].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(tile(views), sheet)
    np.testing.assert_array_equal(split(sheet), views)


@pytest.mark.parametrize("name", ["scale_image", "scale_latents", "unscale_image", "unscale_latents"])
def test_latents_and_pictures_are_scaled(name: str, numbers: Any, close: Any) -> None:
    from models.zero123plus import conditioning

    close(getattr(conditioning, name)(numbers["scale.in"]), numbers[f"scale.out.{name}"], 1e-6)
