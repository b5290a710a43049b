"""What the import costs and does, in fresh interpreters."""

import subprocess
import sys

import pytest


def python(code, *options):
    run = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run


def test_import_brings_no_slow_package():
    run = python("import pyspedas_similarity", "-X", "importtime")
    imported = {line.rsplit("|", 1)[1].strip().partition(".")[0] for line in run.stderr.splitlines() if "|" in line}
    assert "pyspedas_similarity" in imported
    slow = {
        "scipy",
        "torch",
        "torchvision",
        "lightly",
        "matplotlib",
        "pyspedas",
        "pytplot",
        "sunpy",
        "onnxruntime",
        "sklearn",
        "lance",
        "pyarrow",
        "filelock",
    }
    assert imported & slow == set()


def test_import_opens_no_socket_and_no_logging():
    python(
        "import logging, sys\n"
        "sys.addaudithook(lambda event, _: sys.exit(1) if event.startswith('socket.') else None)\n"
        "import pyspedas_similarity\n"
        "assert logging.getLogger().handlers == []"
    )


@pytest.mark.parametrize(
    "imports",
    ["import pyspedas_similarity, pyspedas", "import pyspedas, pyspedas_similarity"],
    ids=["we first", "pyspedas first"],
)
def test_registers_in_either_order(imports):
    python(f"{imports}\nassert pyspedas.similarity.find_similar is pyspedas_similarity.find_similar")


def test_an_attribute_that_is_there_stays():
    python(
        "import pyspedas\npyspedas.similarity = 'mine'\n"
        "import pyspedas_similarity\nassert pyspedas.similarity == 'mine'"
    )


ENCODERS_WITHOUT_TORCH = """
import sys
import numpy as np
from pyspedas_similarity.encoder.fixed import FIXED, fixed_encoder
images = np.random.default_rng(0).random((20, 1, 32, 32), dtype=np.float32)
encoders = [fixed_encoder(name, "frame") for name in FIXED]
for encoder in encoders:
    rows = encoder.encode(images)
    assert rows.shape[0] == 20 and np.isfinite(rows).all(), encoder.card.name
heavy = {"torch", "torchvision", "lightly", "onnx", "onnxruntime", "onnxscript"} & set(sys.modules)
assert not heavy, heavy
print(len(encoders))
"""


def test_encoders_without_training_run_without_torch():
    assert int(python(ENCODERS_WITHOUT_TORCH).stdout) == 4


def test_training_without_torch_names_the_extra():
    python(
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from pyspedas_similarity.encoder.fitted import fit_random\n"
        "from pyspedas_similarity.errors import EncoderError\n"
        "try:\n"
        "    fit_random(np.random.default_rng(0).random((20, 1, 32, 32)).astype('f4'), 'frame', 'random')\n"
        "except EncoderError as error:\n"
        "    assert 'pip install \"pyspedas-similarity[train]\"' in str(error), error\n"
        "else:\n"
        "    raise AssertionError('no error')\n"
    )
