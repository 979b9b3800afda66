"""The description of the routes is valid, and that of the routes that are there."""

from __future__ import annotations

from openapi_spec_validator import validate

from .server import Server

METHODS = {"GET", "POST", "PUT", "DELETE"}
# Of nothing that is there, but for the file of the page.
PARAMETERS = {
    "uid": "2.25.99", "other": "2.25.97", "ID": "2.25.99", "StudyInstanceUID": "2.25.98", "Name": "nightly", "file": "page.js"
}


def concrete_path(path: str) -> str:
    return path.format_map(PARAMETERS)


def test_the_description_is_valid(shared_server: Server) -> None:
    description = shared_server.get("/inventories/openapi.json")
    validate(description)
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)


def test_each_path_has_the_methods_that_are_described(shared_server: Server) -> None:
    description = shared_server.get("/inventories/openapi.json")
    for path, operations in description["paths"].items():
        described = {method.upper() for method in operations}
        concrete = concrete_path(path)
        for method in METHODS - described:
            answer = shared_server.request(method, concrete)
            assert answer.status_code == 405 and set(answer.headers["Allow"].split(",")) == described, (method, path)
        for method in described:
            # A body that no route takes: what answers is the route, not the lack of one.
            answer = shared_server.request(method, concrete, data=b"[" if method == "POST" else None)
            assert "no such route" not in answer.text and answer.status_code != 405, (method, path)


def test_the_keys_of_a_body_are_those_that_the_route_takes(shared_server: Server) -> None:
    paths = shared_server.get("/inventories/openapi.json")["paths"]
    for path, operations in paths.items():
        content = operations.get("post", {}).get("requestBody", {}).get("content", {})
        if "application/json" in content:
            allowed = content["application/json"]["schema"]["properties"]
            message = shared_server.error("POST", concrete_path(path), 400, data='{"Nonsense": 1}')
            assert message == f"Nonsense is unknown; allowed keys: {', '.join(allowed)}"


def test_lists_are_described_with_their_parameters(shared_server: Server) -> None:
    paths = shared_server.get("/inventories/openapi.json")["paths"]
    names = [parameter["name"] for parameter in paths["/inventories"]["get"]["parameters"]]
    assert names == ["expand", "since", "limit"]
    [uid] = paths["/inventories/{uid}"]["get"]["parameters"]
    assert (uid["name"], uid["in"], uid["required"]) == ("uid", "path", True)
