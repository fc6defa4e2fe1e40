"""Real pictures for schemathesis, where it would make up bytes that are none."""

import base64
import pathlib

import schemathesis
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

PICTURES = {path.suffix[1:]: path.read_bytes() for path in sorted(pathlib.Path(".").glob("photo.*"))}

for kind, picture in PICTURES.items():
    schemathesis.openapi.media_type(f"image/{kind}", st.just(picture))
schemathesis.openapi.media_type("application/octet-stream", st.sampled_from(list(PICTURES.values())))
# The files of forms.
schemathesis.openapi.format("binary", st.sampled_from(list(PICTURES.values())))


def data_url(kind):
    return f"data:image/{kind};base64,{base64.b64encode(PICTURES[kind]).decode()}"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Where a request is to be right: names that only a server knows, and pictures in base64."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if case.query and "provider" in case.query:
        case.query["provider"] = "local"
    if case.path_parameters and "model" in case.path_parameters:
        case.path_parameters["model"] = "local"
    if isinstance(case.body, dict):
        if isinstance(case.body.get("provider"), str):
            case.body["provider"] = "local"
        if isinstance(case.body.get("model"), str):
            case.body["model"] = "local"
        if case.media_type == "application/json" and "image" in case.body:
            case.body["image"] = data_url("jpeg")
    if case.media_type == "text/plain":
        case.body = data_url("png")
