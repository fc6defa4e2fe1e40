# A session with the vendor's own client for Python, as old programs use it. Prints the result of each step as JSON.
import base64
import json
import sys

import Algorithmia
from Algorithmia.acl import AclType, ReadAcl

address, key, picture = sys.argv[1:4]
client = Algorithmia.client(key, address)
said = {}


def step(name, work):
    try:
        said[name] = work()
    except Exception as error:
        said[name] = "error: " + str(error)


def colour():
    algo = client.algo("deeplearning/ColorfulImageColorization/1.1.5").set_options(timeout=60, stdout=True)
    response = algo.pipe({"image": picture})
    said["metadata"] = [response.metadata.content_type, response.metadata.duration, response.metadata.stdout]
    file = client.file(response.result["output"])
    assert file.exists()
    assert file.getFile().name
    return base64.b64encode(file.getBytes()).decode()


def raw():
    algo = client.algo("demo/Hello").set_options(output=Algorithmia.algorithm.OutputType.raw)
    return algo.pipe("HAL 9000")


def void():
    algo = client.algo("demo/Hello").set_options(output=Algorithmia.algorithm.OutputType.void)
    return algo.pipe("HAL 9000").request_id


step("hello", lambda: client.algo("algo://demo/Hello/").pipe("HAL 9000").result)
step("hello_json", lambda: client.algo("demo/Hello/0.1.0").pipe({"a": 1}).result)
step("raw", raw)
step("void", void)
step("colour", colour)
step("octets", lambda: client.algo("deeplearning/ColorfulImageColorization").pipe(
    bytearray(base64.b64decode(picture.split(",")[1]))).result["output"])
step("unknown_algorithm", lambda: client.algo("util/whoopsWrongAlgo").pipe("x").result)
step("not_a_picture", lambda: client.algo("deeplearning/ColorfulImageColorization").pipe(bytearray(b"words")).result)
step("nothing", lambda: client.algo("deeplearning/ColorfulImageColorization").pipe(None).result)
step("gone", lambda: client.file("data://.algo/deeplearning/ColorfulImageColorization/temp/no.png").getBytes())
step("gone_exists", lambda: client.file("data://.algo/o/n/temp/no.png").exists())
wrong = Algorithmia.client("simWRONG", address)
step("wrong_key", lambda: wrong.algo("demo/Hello").pipe("x").result)
step("wrong_key_file", lambda: wrong.file("data://.my/robots/a.png").getBytes())

# Files.
robots = client.dir("data://.my/robots")
step("no_collection", lambda: robots.exists())
step("create", lambda: robots.create(ReadAcl.private))
step("create_again", lambda: robots.create())
step("exists", lambda: robots.exists())
step("private", lambda: robots.get_permissions().read_acl == AclType.private)
step("permit", lambda: robots.update_permissions(ReadAcl.my_algos))
step("permitted", lambda: robots.get_permissions().read_acl == AclType.my_algos)
step("put", lambda: robots.file("T-800 \u00e4.txt").put("123").path)
step("put_json", lambda: robots.file("facts.json").putJson({"a": [1, None]}).getName())
step("put_file", lambda: robots.file("me.py").putFile(sys.argv[0]).getName())
step("get", lambda: robots.file("T-800 \u00e4.txt").getString())
step("get_json", lambda: robots.file("facts.json").getJson())
step("list", lambda: [[file.getName(), file.size, file.last_modified.year] for file in robots.files()])
step("dirs", lambda: [folder.getName() for folder in client.dir("data://.my").dirs()])
step("put_nowhere", lambda: client.file("data://.my/nowhere/a").put("x").path)
step("put_deep", lambda: client.file("data://.my/robots/b/c").put("x").path)
step("delete_full", lambda: robots.delete())
step("delete_file", lambda: robots.file("facts.json").delete())
step("delete_file_again", lambda: robots.file("facts.json").delete())
step("delete", lambda: robots.delete(force=True))
step("deleted", lambda: robots.exists())
step("elsewhere", lambda: client.file("dropbox://x/y.png").getBytes())
if hasattr(client, "username"):
    step("username", lambda: client.username())
print(json.dumps(said))
