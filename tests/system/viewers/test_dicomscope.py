"""Presentation state and Mammography CAD SR in DICOMscope on a virtual screen; its buttons are found by position."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tetraview.domain.delivery import ResultKind
from tetraview.domain.output import OUTPUTS
from tetraview.phantom import RECIPES
from tetraview.report import write_report
from tetraview.tools.probe import exam as probe

pytestmark = pytest.mark.system

JAR, SETTINGS = Path("/usr/share/java/DICOMscope.jar"), Path("/etc/dcmtk/DICOMscope.cfg")
LIBRARIES = "/usr/lib/x86_64-linux-gnu/jni"
ARTEFACTS = Path(os.environ.get("TETRAVIEW_ARTEFACTS", Path(__file__).parents[3] / ".artefacts"))
#: Positions of the buttons, pixels from the upper left corner of the screen.
OPEN_IMAGE, OPEN_REPORT, OPEN_STATE = (28, 15), (74, 15), (102, 15)
Screen = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Scope:
    """A running DICOMscope."""

    display: str
    folder: Path

    def run(self, *command: str) -> None:
        """Run a program on its screen."""
        environment = os.environ | {"DISPLAY": self.display}
        subprocess.run(command, env=environment, check=True, timeout=60, stdout=subprocess.DEVNULL)

    def screen(self) -> Screen:
        """The picture on the screen, uint8 [rows, columns]."""
        self.run("import", "-window", "root", str(self.folder / "screen.png"))
        picture = cv2.imread(str(self.folder / "screen.png"), cv2.IMREAD_GRAYSCALE)
        assert picture is not None
        return np.asarray(picture, np.uint8)

    def open(self, button: tuple[int, int], file: Path, shown: Callable[[Screen], bool], *, name: str) -> None:
        """Open a file until it is shown; a slow machine may miss a click. The picture is kept."""
        for _ in range(4):
            self.run("xdotool", "mousemove", *map(str, button), "click", "1", "sleep", "3")
            self.run("xdotool", "type", "--delay", "20", str(file))
            self.run("xdotool", "sleep", "1", "key", "Return")
            for _ in range(15):
                self.run("xdotool", "sleep", "1")
                screen = self.screen()
                if shown(screen):
                    ARTEFACTS.mkdir(parents=True, exist_ok=True)
                    cv2.imwrite(str(ARTEFACTS / f"dicomscope-{name}.png"), screen)
                    return
            self.run("xdotool", "key", "Escape")
        pytest.fail(f"DICOMscope did not show {name}")


@pytest.fixture
def scope(tmp_path: Path) -> Iterator[Scope]:
    programs = ("Xvfb", "xdotool", "import", "java")
    if not JAR.exists() or not all(map(shutil.which, programs)):
        pytest.skip("DICOMscope, Xvfb, xdotool or ImageMagick is not installed")
    shutil.copy(SETTINGS, tmp_path / "DICOMscope.cfg")
    receiving, sending = os.pipe()
    screen = subprocess.Popen(
        ["Xvfb", "-displayfd", str(sending), "-screen", "0", "1280x1000x24"],
        pass_fds=(sending,),
        stderr=subprocess.DEVNULL,
    )
    os.close(sending)
    with os.fdopen(receiving) as answer:
        display = f":{answer.readline().strip()}"
    command = ["java", f"-Djava.library.path={LIBRARIES}", "-jar", str(JAR), str(tmp_path / "DICOMscope.cfg")]
    viewer = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=os.environ | {"DISPLAY": display},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    scope = Scope(display=display, folder=tmp_path)
    try:
        _await_window(scope)
        yield scope
    finally:
        viewer.kill()
        viewer.wait(20)
        screen.terminate()
        screen.wait(20)


def _await_window(scope: Scope) -> None:
    for _ in range(60):
        if (scope.screen()[100:900, 100:1200] > 200).mean() > 0.9:
            return
        scope.run("xdotool", "sleep", "1")
    pytest.fail("DICOMscope did not start")


def test_dicomscope_shows_presentation_state_and_cad_report(
    scope: Scope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The label of a mark stands over it and the statement under the image; the CAD SR opens as a document."""
    monkeypatch.setattr(probe, "_RECIPE", replace(RECIPES["fine"], name="probe", mass_probability=1.0))
    monkeypatch.setattr(probe, "_SINGLE", None)
    exam, reading = probe.probe_exam(tmp_path)
    kinds = (ResultKind.PRESENTATION_STATE, ResultKind.CAD_REPORT)
    output = replace(OUTPUTS["pacs"], name="own", objects=kinds)
    write_report(exam, reading, spool=Path("/"), folder=tmp_path, outputs=[output])
    scope.open(OPEN_IMAGE, tmp_path / "images" / "L-CC.dcm", _shows_image, name="image")
    assert not _shows_statement(scope.screen())
    before = scope.screen()
    scope.open(OPEN_STATE, tmp_path / "own" / "pr-L-CC.dcm", _shows_statement, name="presentation-state")
    written = (scope.screen() > 200) & (before < 150)
    assert written[240:280, 100:300].sum() > 50
    scope.open(OPEN_REPORT, tmp_path / "own" / "cad.dcm", _shows_document, name="cad-report")


def _shows_image(screen: Screen) -> bool:
    """The viewer is dark with a white spot in it."""
    viewer = screen[80:900, 20:1000]
    return bool((viewer < 120).mean() > 0.8 and (viewer > 250).sum() > 1000)


def _shows_statement(screen: Screen) -> bool:
    """The text stands at the lower edge, where the image itself is dark."""
    return bool((screen[900:925, 10:300] > 200).mean() > 0.05)


def _shows_document(screen: Screen) -> bool:
    """The right half is white paper with text on it."""
    paper = screen[130:900, 680:1230]
    return bool((paper > 240).mean() > 0.8 and (paper < 80).mean() > 0.01)
