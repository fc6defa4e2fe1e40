"""Gives schemathesis real pictures instead of random bytes."""

import base64
import os
import pathlib

import schemathesis
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.transport.serialization import Binary

PICTURES = {path.suffix[1:]: path.read_bytes() for path in sorted(pathlib.Path(".").glob("photo.*"))}

for kind, picture in PICTURES.items():
    schemathesis.openapi.media_type(f"image/{kind}", st.just(picture))
schemathesis.openapi.media_type("application/octet-stream", st.sampled_from(list(PICTURES.values())))
# Files in multipart forms.
schemathesis.openapi.format("binary", st.sampled_from(list(PICTURES.values())))


def data_url(kind):
    return f"data:image/{kind};base64,{base64.b64encode(PICTURES[kind]).decode()}"


# Values that a valid request needs and only this server knows: NAMES has values of query parameters and body members,
# PLACES the path parameters of each operation.
NAMES = {"provider": "local", "model": "local"}
PLACES = {
    "resultByDigest": {"digest": os.environ["RESULT"]},
    "bestResult": {"fingerprint": os.environ["FINGERPRINT"]},
    "static": {"name": "app.css"},
    "openaiModel": {"model": "local"},
    "algorithmiaCall": {"owner": "deeplearning", "name": "ColorfulImageColorization"},
    "algorithmiaCallVersion": {"owner": "deeplearning", "name": "ColorfulImageColorization", "version": "1.1.5"},
    "algorithmiaDataCreate": {"path": ".my"},
    "algorithmiaConnectorCreate": {"path": ".my"},
}


def known(values, names):
    """Returns a copy of the values with real names. The original is shared and must not change."""
    return {name: names.get(name, value) if isinstance(value, str) else value for name, value in values.items()}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts real names and pictures into requests that must be valid."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    operation = case.operation.definition.raw["operationId"]
    if case.path_parameters:
        case.path_parameters = known(case.path_parameters, PLACES.get(operation, {}))
    if case.query:
        case.query = known(case.query, NAMES)
        if "timeout" in case.query:
            # A valid call fails if its time-out is too short.
            case.query["timeout"] = 60
    if operation.startswith("algorithmiaCall") and case.media_type == "application/json":
        case.body = {"image": [data_url("jpeg"), data_url("png")]}
    elif isinstance(case.body, dict):
        body = known(case.body, NAMES)
        if "image" in body:
            body["image"] = data_url("jpeg") if case.media_type == "application/json" else Binary(PICTURES["webp"])
        case.body = body
    elif case.media_type == "text/plain":
        case.body = data_url("png")
    # Tells schemathesis that the changed values are valid, too.
    case._record_starting_state()
