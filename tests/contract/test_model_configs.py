"""Each model's config.pbtxt, its contract in code and in words and the model's own file say the same."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from tetraview.domain.view import Route, View
from tetraview.inference.contract import (
    CLASSIFIER,
    CONTRACTS,
    DETECTOR,
    SEGMENTER,
    SEGMENTER_CLASSIFIER,
    ModelContract,
    TensorSpec,
    classifier,
    detector,
    segmenter,
    segmenter_classifier,
)
from tetraview.inference.contract.detector import ROUTES, VIEWS, DetectorParameter
from tetraview.inference.contract.patch import PatchParameter, PatchResponse
from tetraview.settings import ClassifierName, DetectorName, SegmenterName, Stages

REPOSITORY = Path(__file__).parents[2] / "triton_models" / "repository"
SERVING = REPOSITORY.parent / "tetraview_nets" / "serving"
#: Names of config.pbtxt's types in KServe's protocol.
DATATYPES = {"TYPE_UINT8": "UINT8", "TYPE_INT32": "INT32", "TYPE_FP32": "FP32"}


@dataclass(frozen=True)
class Side:
    """One model of the repository."""

    name: str

    @property
    def contract(self) -> ModelContract:
        return CONTRACTS[self.name]

    @property
    def words(self) -> ModuleType:
        """The module that describes the contract in words."""
        return next(module for agreed, module in WORDS if agreed is self.contract)

    @property
    def folder(self) -> Path:
        return REPOSITORY / self.name

    @property
    def config(self) -> Any:
        return text_format.Parse((self.folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())

    @property
    def parameters(self) -> dict[str, str]:
        return {key: value.string_value for key, value in self.config.parameters.items()}


WORDS = (
    (DETECTOR, detector),
    (SEGMENTER, segmenter),
    (SEGMENTER_CLASSIFIER, segmenter_classifier),
    (CLASSIFIER, classifier),
)
MODELS = [Side(path.parent.name) for path in sorted(REPOSITORY.glob("*/config.pbtxt"))]
DETECTORS = [model for model in MODELS if model.contract is DETECTOR]
PATCH_MODELS = [model for model in MODELS if model.contract is not DETECTOR]
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
each_detector = pytest.mark.parametrize("model", DETECTORS, ids=lambda model: model.name)
each_patch_model = pytest.mark.parametrize("model", PATCH_MODELS, ids=lambda model: model.name)


def specs(tensors: Any) -> dict[str, TensorSpec]:
    names = model_config_pb2.DataType
    return {tensor.name: TensorSpec(DATATYPES[names.Name(tensor.data_type)], tuple(tensor.dims)) for tensor in tensors}


@each_model
def test_both_sides_name_the_same_tensors_types_shapes_and_parameters(model: Side) -> None:
    """Every tensor and parameter of the contract is in config.pbtxt as agreed, and no other is."""
    config = model.config
    inputs, outputs = specs(config.input), specs(config.output)
    assert model.contract.differences(inputs=inputs, outputs=outputs, parameters=model.parameters) == []
    assert set(model.parameters) == set(model.contract.parameters)


@each_model
def test_an_exam_is_one_request(model: Side) -> None:
    """The model bears the name of its folder and batches nothing, because the images of an exam belong together."""
    config = model.config
    assert (config.name, config.backend, config.max_batch_size) == (model.name, "python", 0)


def test_every_stage_that_can_be_set_is_a_model_that_can_do_it() -> None:
    """Detectors find, segmenters give masks and classifiers grade; a model that grades by BI-RADS is named for it."""
    assert all(CONTRACTS[name] is DETECTOR for name in get_args(DetectorName))
    for name in set(get_args(SegmenterName)) - {"none"}:
        assert {PatchResponse.PROBABILITY, PatchResponse.THRESHOLD} <= set(CONTRACTS[name].response)
    for name in set(get_args(ClassifierName)) - {"none"}:
        gives = CONTRACTS[name].response
        assert PatchResponse.MALIGNANCY in gives
        assert Stages(classifier=name).grade_birads is (PatchResponse.BIRADS_SCORE in gives)
    every = {*get_args(DetectorName), *get_args(SegmenterName), *get_args(ClassifierName)} - {"none"}
    assert every == set(CONTRACTS)


def test_every_model_that_the_settings_can_name_lies_in_the_repository() -> None:
    """Each agreement has its models in the repository, and no model there is without one."""
    assert {model.name for model in MODELS} == set(CONTRACTS)


@each_detector
def test_the_parameters_of_a_detector_fit_their_use(model: Side) -> None:
    """Each number among the parameters has a value that the service can use."""
    assert float(model.parameters[DetectorParameter.SPACING_MM]) > 0


@each_patch_model
def test_the_parameters_of_a_patch_model_fit_their_use(model: Side) -> None:
    """Each number among the parameters has a value that the service can use, and patches are squares of one size."""
    assert float(model.parameters[PatchParameter.MARGIN]) >= 1
    assert float(model.parameters[PatchParameter.MIN_SIDE_MM]) > 0
    shapes = {tuple(tensor.dims) for tensor in (*model.config.input, *model.config.output) if len(tensor.dims) == 3}
    ((candidates, rows, columns),) = shapes
    assert (candidates, rows) == (-1, columns)


def test_numbers_on_the_wire_mean_the_views_and_routes_of_the_domain() -> None:
    """The order of the domain's views and routes, which the detector counts by, is the order of the contract."""
    assert tuple(View) == VIEWS
    assert tuple(Route) == ROUTES


@each_model
def test_the_contract_in_words_has_every_name_of_the_contract_in_code(model: Side) -> None:
    """The module's text describes each tensor, with its type and shape, and each parameter."""
    text = model.words.__doc__ or ""
    request, response = (part.split("\n\n")[0] for part in re.split(r"Request:|Response", text)[1:])
    for part, agreed in ((request, model.contract.request), (response, model.contract.response)):
        rows = re.findall(r"``(\w+)`` +(\w+) +\[(.*?)\]", part)
        assert {name: f"{datatype} [{shape}]" for name, datatype, shape in rows} == {
            name: str(spec) for name, spec in agreed.items()
        }
    assert all(f"``{parameter}``" in text for parameter in model.contract.parameters)


@each_model
def test_the_model_reads_and_writes_exactly_the_agreed_tensors(model: Side) -> None:
    """The model's file, with the serving code that it shares, names every tensor of request and response."""
    source = (model.folder / "1" / "model.py").read_text()
    shared = [path.read_text() for path in SERVING.glob("*.py")] if "tetraview_nets.serving" in source else []
    nodes = [node for text in (source, *shared) for node in ast.walk(ast.parse(text))]
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert set(model.contract.request) <= texts
    assert set(model.contract.response) <= texts


@each_model
def test_the_shipped_weights_are_the_configured_ones(model: Side) -> None:
    """The card in the weights file agrees with the values that config.pbtxt pins."""
    card = _card(model)
    assert card["weights_sha256"] == model.parameters["weights_sha256"]
    assert card["preset"] == model.parameters["preset"]


@each_detector
def test_a_shipped_detector_has_thresholds_for_every_route(model: Side) -> None:
    """Every operating point that can be set has a threshold for each of the four routes."""
    points = _card(model)["operating_points"]
    assert all(set(thresholds) == set(Route) for thresholds in points.values())
    assert {"high_sensitivity", "balanced", "high_specificity"} <= set(points)


def _card(model: Side) -> dict[str, Any]:
    torch_io = pytest.importorskip("safetensors")
    name = model.parameters["weights"]
    assert Path(name).name == name
    if not (model.folder / "1" / name).exists():
        pytest.skip("the shipped weights are missing")
    with torch_io.safe_open(model.folder / "1" / name, framework="np") as file:
        card: dict[str, Any] = json.loads(file.metadata()["card"])
    return card
