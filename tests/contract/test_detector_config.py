"""config.pbtxt, the contract in code and the model's own file say the same."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from tetraview.domain.view import Route, View
from tetraview.inference import contract
from tetraview.inference.contract import REQUEST, RESPONSE, ROUTES, VIEWS, Parameter, TensorSpec
from tetraview.settings import Triton

MODEL = Path(__file__).parents[2] / "triton_models" / "repository" / "mommi_detector"
#: Names of config.pbtxt's types in KServe's protocol.
DATATYPES = {"TYPE_UINT8": "UINT8", "TYPE_INT32": "INT32", "TYPE_FP32": "FP32"}


@pytest.fixture(scope="module")
def config() -> Any:
    return text_format.Parse((MODEL / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())


def specs(tensors: Any) -> dict[str, TensorSpec]:
    names = model_config_pb2.DataType
    return {tensor.name: TensorSpec(DATATYPES[names.Name(tensor.data_type)], tuple(tensor.dims)) for tensor in tensors}


@pytest.mark.parametrize(("agreed", "side"), [(REQUEST, "input"), (RESPONSE, "output")])
def test_both_sides_name_the_same_tensors_types_and_shapes(config: Any, agreed: Any, side: str) -> None:
    """Every tensor of the contract is in config.pbtxt with its type and shape, and no other is."""
    found = specs(getattr(config, side))
    assert set(found) == set(agreed)
    assert [name for name, spec in agreed.items() if not spec.admits(found[name])] == []


def test_the_parameters_are_the_agreed_ones_and_fit_their_use(config: Any) -> None:
    """The parameters are those of the contract, and each has a value the model can use."""
    said = {key: value.string_value for key, value in config.parameters.items()}
    assert set(said) == set(Parameter)
    assert float(said[Parameter.SPACING_MM]) > 0
    assert Path(said[Parameter.WEIGHTS]).name == said[Parameter.WEIGHTS]


def test_an_exam_is_one_request_to_the_model_of_the_settings(config: Any) -> None:
    """The model bears the name of the settings' default and batches nothing: an exam's views belong together."""
    assert config.name == Triton().detector == MODEL.name
    assert config.backend == "python"
    assert config.max_batch_size == 0


def test_numbers_on_the_wire_mean_the_views_and_routes_of_the_domain() -> None:
    """The order of the domain's views and routes, which the model counts by, is the order of the contract."""
    assert tuple(View) == VIEWS
    assert tuple(Route) == ROUTES


def test_the_contract_in_words_has_every_name_of_the_contract_in_code() -> None:
    """The module's text describes each tensor, with its type and shape, and each parameter."""
    text = contract.__doc__ or ""
    request, response = (part.split("\n\n")[0] for part in re.split(r"Request:|Response", text)[1:])
    for part, agreed in ((request, REQUEST), (response, RESPONSE)):
        rows = re.findall(r"``(\w+)`` +(\w+) +\[(.*?)\]", part)
        assert {name: f"{datatype} [{shape}]" for name, datatype, shape in rows} == {
            name: str(spec) for name, spec in agreed.items()
        }
    assert all(f"``{parameter}``" in text for parameter in Parameter)


def test_the_model_reads_and_writes_exactly_the_agreed_tensors() -> None:
    """The model's file takes every tensor of the request and fills every tensor of the response."""
    tree = ast.parse((MODEL / "1" / "model.py").read_text())
    constants = {
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    keys = {key.value for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys if _is_text(key)}
    assert set(REQUEST) <= constants
    assert set(RESPONSE) <= keys


def test_the_shipped_weights_are_the_configured_ones(config: Any) -> None:
    """The card in the weights file says what config.pbtxt pins, and has thresholds for every route."""
    torch_io = pytest.importorskip("safetensors")
    path = MODEL / "1" / config.parameters[Parameter.WEIGHTS].string_value
    if not path.exists():
        pytest.skip("the shipped weights are missing")
    with torch_io.safe_open(path, framework="np") as file:
        card = json.loads(file.metadata()["card"])
    assert card["weights_sha256"] == config.parameters[Parameter.WEIGHTS_SHA256].string_value
    assert card["preset"] == config.parameters[Parameter.PRESET].string_value
    assert all(set(thresholds) == set(Route) for thresholds in card["operating_points"].values())
    assert {"high_sensitivity", "balanced", "high_specificity"} <= set(card["operating_points"])


def _is_text(key: ast.expr | None) -> bool:
    return isinstance(key, ast.Constant) and isinstance(key.value, str)
