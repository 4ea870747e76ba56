"""Detector and segmenter, loaded by the real code from tiny checkpoints in the published layout."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.errors import Problem
from backend.preparations.segment.detector import Detector, label_scores, prompt
from backend.preparations.segment.segmenter import Segmenter, best_masks
from backend.preparations.segment.tiny import DETECTOR, SEGMENTER
from models.loading import CheckpointDamaged, CheckpointError, CheckpointForeign

LABELS = ["Chair", "armchair", "table lamp"]
SHAPES = [(240, 640), (640, 240), (300, 300), (1200, 900)]


def silent(share: float) -> None:
    assert 0 <= share <= 1


def noise(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def detector(checkpoints: Path) -> Detector:
    return Detector(checkpoints / DETECTOR, "cpu")


@pytest.fixture(scope="module")
def segmenter(checkpoints: Path) -> Segmenter:
    return Segmenter(checkpoints / SEGMENTER, "cpu")


def test_the_prompt_has_the_form_that_the_network_knows() -> None:
    text, places = prompt(LABELS)
    assert text == "chair. armchair. table lamp."
    assert [text[start:end] for start, end in places] == ["chair", "armchair", "table lamp"]


def test_word_pieces_belong_to_the_label_they_come_from(detector: Detector) -> None:
    text, places = prompt([*LABELS, "x☃y"])
    pieces = ["[CLS]", *detector.processor.tokenizer.tokenize(text), "[SEP]"]
    spans = detector._tokens(text, places)
    assert [[pieces[token] for token in span] for span in spans[:3]] == [
        ["chair"],
        ["arm", "##chair"],
        ["table", "lamp"],
    ]
    assert len(spans) == 4 and not {0, len(pieces) - 1} & {token for span in spans for token in span}


def test_a_box_gets_the_label_of_its_strongest_word() -> None:
    scores = torch.tensor([[0.0, 0.2, 0.9, 0.1, 0.6], [0.9, 0.1, 0.0, 0.0, 0.3]])
    np.testing.assert_allclose(label_scores(scores, [[1], [3, 4], []]), [[0.2, 0.6, 0.0], [0.1, 0.3, 0.0]], atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_boxes_come_back_in_pixels_of_the_picture(
    detector: Detector, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network runs as it is; only its answer is exchanged for one whose meaning is known."""
    height, width = shape
    text, places = prompt(LABELS)
    lamp = detector._tokens(text, places)[2][1]
    answered = detector.network.forward

    def known(*args, **kwargs):
        output = answered(*args, **kwargs)
        output.logits.fill_(-torch.inf)
        output.logits[0, 0, lamp], output.logits[0, 1, 1] = 2.0, -2.0
        output.pred_boxes[0, 0] = torch.tensor([0.25, 0.5, 0.2, 0.4])
        output.pred_boxes[0, 1] = torch.tensor([0.95, 0.5, 0.2, 0.4])
        return output

    monkeypatch.setattr(detector.network, "forward", known)
    (found,) = detector.find(noise(shape), LABELS, 0.3, silent)
    assert found.name == "table lamp" and found.score == pytest.approx(torch.tensor(2.0).sigmoid())
    assert found.box == pytest.approx((0.15 * width, 0.3 * height, 0.35 * width, 0.7 * height), rel=1e-5)
    both = detector.find(noise(shape), LABELS, 0.05, silent)
    assert [one.name for one in both] == ["table lamp", "Chair"], "as it was written, not as it was asked"
    assert both[1].box[2] == width, "cut at the border"


def test_what_the_network_finds_depends_on_picture_and_words(detector: Detector) -> None:
    picture = noise((200, 300))
    found = detector.find(picture, LABELS, 0.05, silent)
    assert found and {one.name for one in found} <= set(LABELS)
    assert found == detector.find(picture, LABELS, 0.05, silent)
    assert found != detector.find(255 - picture, LABELS, 0.05, silent)
    assert [one.score for one in found] != [one.score for one in detector.find(picture, ["cup"], 0.05, silent)]


def test_more_words_than_the_network_reads_are_refused(detector: Detector) -> None:
    with pytest.raises(Problem, match="256 at most") as caught:
        detector.find(noise((64, 64)), [f"xylophone {number}" for number in range(40)], 0.3, silent)
    assert caught.value.code == "parameters-invalid"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mask_comes_back_where_its_box_was(segmenter: Segmenter, shape: tuple[int, int]) -> None:
    height, width = shape
    side = min(shape) // 3
    boxes = [(20, 30, 20 + side, 30 + side), (width - side - 10, height - side - 5, width - 10, height - 5)] * 10
    masks = list(segmenter.outlines(noise(shape), boxes, silent))
    assert len(masks) == 20 and {mask.shape for mask in masks} == {shape} and masks[0].dtype == bool
    cell = max(shape) / 32  # of the tiny network's grid
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        rows, columns = np.nonzero(mask)
        middle = (columns.mean(), rows.mean())
        assert middle == pytest.approx(((left + right) / 2, (top + bottom) / 2), abs=cell)
        assert mask.sum() == pytest.approx(np.pi / 4 * side**2, rel=0.35), "a disc as large as the box, not a union"


def test_the_best_mask_is_the_one_that_the_network_expects_to_be(segmenter: Segmenter) -> None:
    masks = torch.arange(2 * 3 * 4.0).reshape(2, 3, 2, 2)
    expected = torch.tensor([[0.1, 0.9, 0.5], [0.7, 0.2, 0.6]])
    assert torch.equal(best_masks(masks, expected), torch.stack([masks[0, 1], masks[1, 0]]))
    assert list(segmenter.outlines(noise((64, 64)), [], silent)) == []


def test_the_picture_is_encoded_once_for_all_boxes(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    encode = segmenter.network.vision_encoder.forward
    monkeypatch.setattr(segmenter.network.vision_encoder, "forward", lambda *a, **k: seen.append(1) or encode(*a, **k))
    assert len(list(segmenter.outlines(noise((64, 64)), [(5, 5, 40, 40)] * 40, silent))) == 40
    assert len(seen) == 1


def test_the_networks_tell_how_far_they_are_and_can_be_stopped(detector: Detector, segmenter: Segmenter) -> None:
    shares: list[float] = []
    detector.find(noise((64, 64)), LABELS, 0.3, shares.append)
    assert len(shares) >= 4 and shares == sorted(shares) and shares[-1] == 1
    looked: list[float] = []
    list(segmenter.outlines(noise((64, 64)), [(5, 5, 40, 40)], looked.append))
    assert looked == [1.0], "one layer; the decoder counts by itself"

    def stop(share: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        detector.find(noise((64, 64)), LABELS, 0.3, stop)
    shares.clear()
    detector.find(noise((64, 64)), LABELS, 0.3, silent)
    assert shares == [], "nobody is told any more"


def cut_off(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def other_network(folder: Path) -> None:
    shutil.copy(folder.parents[1] / SEGMENTER / "model.safetensors", folder / "model.safetensors")


def other_config(folder: Path) -> None:
    shutil.copy(folder.parents[1] / SEGMENTER / "config.json", folder / "config.json")


def other_size(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"decoder_ffn_dim": 48}))


def no_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()


def broken_processor(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text("{")


def no_numbers(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    save_file({name: torch.full_like(tensor, torch.nan) for name, tensor in load_file(file).items()}, file)


@pytest.mark.parametrize(
    ("harm", "kind", "words"),
    [
        (cut_off, CheckpointDamaged, "model.safetensors has .* bytes instead of"),
        (no_weights, CheckpointError, "model.safetensors is missing"),
        (other_network, CheckpointForeign, "missing or of another shape"),
        (other_config, CheckpointForeign, "describes a sam, not a grounding-dino"),
        (other_size, CheckpointForeign, "missing or of another shape"),
        (no_tokenizer, CheckpointDamaged, "tokenizer"),
        (broken_processor, CheckpointDamaged, "preprocessor_config.json"),
        (no_numbers, CheckpointDamaged, "gives no numbers"),
    ],
)
def test_a_checkpoint_that_is_not_right_is_said_to_be(
    harm, kind, words: str, checkpoints: Path, tmp_path: Path
) -> None:
    shutil.copytree(checkpoints, tmp_path / "models")
    folder = tmp_path / "models" / DETECTOR
    harm(folder)
    with pytest.raises(kind, match=words):
        Detector(folder, "cpu").find(noise((64, 64)), LABELS, 0.3, silent)
