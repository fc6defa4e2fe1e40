"""How each peer is configured and started. A `start` function gets an empty folder and the fake provider's port."""

import json
import os
import sys
from pathlib import Path

from pictures import UPLOAD_SIZE
from processes import Server, free_port

HERE = Path(__file__).resolve().parent
CORES = os.cpu_count()

# The provider's file for PixColor. The word SETTINGS is replaced by the text SETTINGS.
ALGORITHMIA = """kind = "algorithmia"
SETTINGS
"""
OPENAI = """kind = "http"
model = "gpt-image-1"
SETTINGS
[request]
path = "/v1/images/edits"
body = "multipart"
fields = [
  { name = "model", value = "{{model}}" },
  { name = "prompt", value = "Colorize this photograph." },
  { name = "output_format", value = "jpeg" },
  { name = "image", file = "photo" },
]
[reply]
output = "json_base64"
pointer = "/data/0/b64_json"
"""
SETTINGS = """base_url = "http://127.0.0.1:{port}"
allow_private = true
price.terms = []
price.minimum = 0
{variant}"""
RELAY = f"luma_lock = false\nsend_max_pixels = {UPLOAD_SIZE[0] * UPLOAD_SIZE[1]}\ncache = false"
# Rows of PixColor, and the keys of the provider's file that differ from the defaults.
VARIANTS = {
    "PixColor, luma-lock on": "",
    "PixColor, luma-lock off": "luma_lock = false",
    "PixColor, luma-lock off, full size sent, no cache": RELAY,
}


def provider(folder, png, jpeg):
    """Starts the fake provider, which answers with one of these two files."""
    (folder / "answer.png").write_bytes(png)
    (folder / "answer.jpg").write_bytes(jpeg)
    port = free_port()
    command = [sys.executable, HERE / "upstream.py", str(port), folder / "answer.png", folder / "answer.jpg"]
    return Server(folder, command, port, "/counts")


def pixcolor(binary, provider_file, variant):
    def start(folder, upstream):
        port = free_port()
        (folder / "config/providers").mkdir(parents=True)
        (folder / "config/pixcolor.toml").write_text('route = ["fake"]\n')
        settings = SETTINGS.format(port=upstream, variant=variant)
        (folder / "config/providers/fake.toml").write_text(provider_file.replace("SETTINGS", settings))
        return Server(folder, [binary, "serve", "--config", folder / "config", "--state-dir", folder / "state"],
                      port, "/healthz", ROCKET_PORT=str(port), XDG_CACHE_HOME=str(folder / "cache"),
                      PIXCOLOR_QUOTA__ENABLED="false", ALGORITHMIA_API_KEY="simANY")
    return start


def app_of_2017(python, *arguments):
    """The app, served by a Python module with these arguments, in which PORT is replaced."""
    def start(folder, upstream):
        port = free_port()
        command = [python, "-m", *(argument.replace("PORT", str(port)) for argument in arguments)]
        return Server(folder, command, port, PYTHONPATH=str(HERE), PYTHONDONTWRITEBYTECODE="1", API_KEY="simANY",
                      ALGORITHMIA_API=f"http://127.0.0.1:{upstream}")
    return start


def apps_of_2017(python):
    return {
        "app of 2017, gunicorn": app_of_2017(
            python, "gunicorn", "--bind", "127.0.0.1:PORT", "--workers", str(CORES), "--worker-class", "gthread",
            "--threads", "16", "app2017:app"),
        "app of 2017, Flask's own server": app_of_2017(python, "flask", "--app", "app2017", "run", "--port", "PORT"),
    }


def litellm(python, processes):
    def start(folder, upstream):
        port = free_port()
        parameters = {"model": "openai/gpt-image-1", "api_base": f"http://127.0.0.1:{upstream}/v1", "api_key": "sk-any"}
        model = {"model_name": "gpt-image-1", "litellm_params": parameters, "model_info": {"mode": "image_edit"}}
        # JSON is YAML.
        (folder / "config.yaml").write_text(json.dumps({"model_list": [model]}))
        # Without a key LiteLLM refuses to start, unless the second variable is set.
        return Server(folder, [python, "-c", "from litellm import run_server; run_server()", "--host", "127.0.0.1",
                               "--port", str(port), "--num_workers", str(processes), "--config",
                               folder / "config.yaml"], port, "/health/liveliness", LITELLM_LOCAL_MODEL_COST_MAP="True",
                      LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY="true")
    return start


def litellms(python):
    return {"LiteLLM, one process per core": litellm(python, CORES), "LiteLLM, one process": litellm(python, 1)}
