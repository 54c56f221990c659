"""What drawing leaves in a process: nothing to say at its end, and room for another LLVM than Mesa's."""

import os
import shutil
import subprocess
import sys
import textwrap

import pytest

from polytask_suites.rendering import load_triton_first

PICTURE = """
from polytask_suites import make_env
env = make_env("tabletop", "reach", cameras=True)
env.reset(seed=0)
"""

ANOTHERS_PICTURE = """
import mujoco
with mujoco.Renderer(mujoco.MjModel.from_xml_string("<mujoco/>"), 8, 8) as renderer:
    renderer.render()
"""


def python(code, **variables):
    """The finished process that ran this code."""
    command = ["env", *(f"{name}={value}" for name, value in variables.items()), sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize(
    "code",
    [
        "import tempfile; folder = tempfile.TemporaryDirectory()"  # whose clean-up at exit comes last
        + PICTURE
        + "env.render(width=40, height=30); env.itself = env",
        ANOTHERS_PICTURE + PICTURE + "import builtins; builtins.kept = env",
        PICTURE.replace("env.reset(seed=0)", "from threading import Thread; Thread(target=env.reset).start()"),
    ],
    ids=["finalizers", "another's picture", "another thread"],
)
def test_a_process_that_does_not_close_its_environment_ends_without_a_word(code):
    ended = python(code)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_without_an_egl_device_there_is_one_sentence():
    ended = python(
        textwrap.dedent("""
            from polytask_suites import SuiteError, make_env
            try:
                make_env("tabletop", "reach", cameras=True).reset(seed=0)
            except SuiteError as error:
                print(error)
        """),
        MUJOCO_EGL_DEVICE_ID="99",
    )
    assert ended.stdout.startswith("no picture can be rendered (The MUJOCO_EGL_DEVICE_ID environment variable")
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.fixture(scope="module")
def triton(tmp_path_factory):
    """A folder with a package ``triton`` that must not be imported, its library with a function of LLVM's own name."""
    folder = tmp_path_factory.mktemp("packages")
    library = folder / "triton" / "_C" / "libtriton.so"
    library.parent.mkdir(parents=True)
    (folder / "triton" / "__init__.py").write_text("raise SystemExit('triton was imported')")
    source = "long LLVMContextCreate(void) { return 42; }\nlong which(void) { return LLVMContextCreate(); }\n"
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    command = [compiler, "-shared", "-fPIC", "-O0", "-x", "c", "-", "-o", str(library)]
    subprocess.run(command, input=source, text=True, check=True)
    return folder


@pytest.mark.parametrize("others", ["", ANOTHERS_PICTURE], ids=["ours first", "another's picture first"])
def test_the_llvm_in_triton_keeps_to_itself_after_a_picture(triton, others):
    """As in torch's CUDA build, where the process dies otherwise: with Mesa's LLVM the answer is no 42."""
    code = others + PICTURE + f"import ctypes; print(ctypes.CDLL('{triton}/triton/_C/libtriton.so').which())"
    ended = python(code, PYTHONPATH=f"{triton}:{os.environ.get('PYTHONPATH', '')}")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "42\n", "")


def test_a_triton_that_cannot_be_loaded_does_not_keep_from_drawing(tmp_path, monkeypatch):
    (tmp_path / "triton" / "_C").mkdir(parents=True)
    (tmp_path / "triton" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    load_triton_first.__wrapped__()
    (tmp_path / "triton" / "_C" / "libtriton.so").write_bytes(b"\x7fELF")
    load_triton_first.__wrapped__()
