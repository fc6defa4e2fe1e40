"""The app of 2017, written anew for Python 3: a data URL in, a call of Algorithmia, a data URL out.

As in 2017 the key is in API_KEY. ALGORITHMIA_API redirects the client to the fake provider.
"""

import base64
import os

import Algorithmia
from flask import Flask, Response, request

ALGORITHM = "deeplearning/ColorfulImageColorization/1.1.5"
PAGE = "<!doctype html><title>pixColor</title><p>POST a photograph as a data URL to /image."

app = Flask(__name__)
client = Algorithmia.client(os.environ["API_KEY"])


@app.get("/")
def page():
    return PAGE


@app.post("/image")
def image():
    photo = request.get_data(as_text=True)
    output = client.algo(ALGORITHM).pipe({"image": photo}).result["output"]
    coloured = client.file(output).getBytes()
    # The result is a PNG. The app has always called it a JPEG, and browsers do not mind.
    data_url = "data:image/jpeg;base64," + base64.b64encode(coloured).decode("ascii")
    return Response(data_url, mimetype="text/plain")
