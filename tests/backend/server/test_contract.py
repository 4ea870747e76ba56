"""The server keeps what its OpenAPI promises: generated requests, sound and unsound, against the real process."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from tests.backend.server.running_server import TOKEN, RunningServer

HEADERS = {"Authorization": f"Bearer {TOKEN}"}
OPERATIONS = (
    "GET /health",
    "GET /pipelines",
    "GET /preparations",
    "POST /rest",
    "GET /storage",
    "PUT /storage",
    "POST /jobs",
    "GET /jobs",
    "GET /jobs/{job}",
    "GET /jobs/{job}/events",
    "POST /jobs/{job}/again",
    "POST /jobs/{job}/continue",
    "POST /jobs/{job}/finish",
    "POST /jobs/{job}/input",
    "POST /jobs/{job}/priority",
    "POST /contact-sheet",
    "DELETE /jobs/{job}",
    "GET /jobs/{job}/files/{name}",
    "GET /metrics",
    "GET /models",
    "GET /models/{model}",
    "POST /models/{model}",
    "DELETE /models/{model}/download",
    "POST /models/{model}/verify",
    "DELETE /models/{model}",
)
WITHOUT_INPUT = (
    *("POST /rest", "GET /health", "GET /pipelines", "GET /preparations", "GET /storage", "GET /models"),
    "GET /metrics",
)
DELIBERATE = {
    # A picture of random bytes matches its schema ("binary") and is refused all the same; so is an invented pipeline.
    "positive_data_acceptance",
}
load_all_checks()


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with RunningServer(
        tmp_path_factory.mktemp("contract") / "data", SET_DRESSER_PLUGINS="", SET_DRESSER_OFFLINE="1"
    ) as server:
        server.wait(server.submit("inflate")["id"])
        yield schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json", headers=HEADERS)
        assert server.client.get("/health").status_code == 200
        assert "Traceback" not in server.log.read_text()


def test_every_operation_is_tried(schema: Any) -> None:
    labels = {result.ok().label for result in schema.get_all_operations()}
    assert labels == {*OPERATIONS, "POST /shutdown"}, "shutdown would end the server; test_life.py tries it"


@pytest.mark.parametrize(
    ("label", "mode"),
    [(label, GenerationMode.POSITIVE) for label in OPERATIONS]
    + [(label, GenerationMode.NEGATIVE) for label in OPERATIONS if label not in WITHOUT_INPUT],
)
def test_every_answer_is_one_that_openapi_promises(schema: Any, label: str, mode: GenerationMode) -> None:
    method, path = label.split()
    excluded = [check for check in CHECKS.get_all() if check.__name__ in DELIBERATE]

    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    @settings(
        max_examples=12,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    def answers_as_promised(case: Any) -> None:
        case.call_and_validate(headers=HEADERS, excluded_checks=excluded, timeout=20)

    answers_as_promised()


def test_every_documented_error_is_a_problem_document(schema: Any) -> None:
    operations = [operation for path in schema.raw_schema["paths"].values() for operation in path.values()]
    assert len(operations) == len(OPERATIONS) + 1
    for operation in operations:
        errors = {status: answer for status, answer in operation["responses"].items() if int(status) >= 400}
        assert errors.keys() >= {"401", "403", "422", "500"}
        for answer in errors.values():
            assert list(answer["content"]) == ["application/problem+json"]
