"""The results as a part of the page: tables, plots and what the rule says."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ...files import write_text
from ...held_out import UNSEEN
from ..cells import CELLS
from ..claims import BESIDE, CLAIMS, OF_ROWS, OPEN, ROUTER_GOAL, SAME_TIME, SUPPORTED, joint_verdict
from ..measured.host import open_pack
from ..measured.overhead import ASYMMETRIC, LOADED, RESULT
from .results import Results, read_results
from .statistics import Interval

BEGIN, END = "<!-- results: written by python -m toy.benchmark report -->", "<!-- end of results -->"
NOT_RUN = "**Not run yet.**"
PRIMARY = tuple(claim.metric for claim in CLAIMS)
DIGITS = {"hands": 4, "contact": 3, "flow": 4, "hand_accuracy": 3, "face_accuracy": 3}
CELLS_PLOT, CLAIMS_PLOT = "proof_cells.png", "proof_claims.png"


def write_report(folder: Path, page: Path) -> str:
    """Put results into the page and plots into the folder `images` beside it; gives what was written.

    Raises:
        ValueError: the page has no place for results, or cells were run in different ways.
    """
    text = page.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(
            f"{page.name} has no lines “{BEGIN}” and “{END}”, but results are written between them; put both into it."
        )
    results = read_results(folder)
    body = "\n".join(_lines(results, folder, page.parent / "images"))
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    write_text(page, f"{before}{BEGIN}\n\n{body}\n\n{END}{after}")
    return body + "\n"


def _lines(results: Results, folder: Path, images: Path) -> Iterator[str]:
    if not results.written:
        yield NOT_RUN
    else:
        yield from _facts(results)
        _draw(results, images)
        yield from _claims(results)
        yield from ("", f"![Paired differences of each claim](images/{CLAIMS_PLOT})", "")
        yield from _measures(results)
        yield from ("", f"![Every measure of every cell](images/{CELLS_PLOT})", "")
        yield from _cost(results)
    path = folder / RESULT
    if path.is_file():
        yield from ("", *_overhead(path))


def _facts(results: Results) -> Iterator[str]:
    cells = ", ".join(f"{cell} {count}" for cell, count in results.seeds.items())
    yield f"Seeds that were run: {cells}. Means over seeds with 95 % intervals (Student's t); one seed has none."
    yield ""


def _claims(results: Results) -> Iterator[str]:
    yield from _table("claim", "measure, less is better", "compared with", "difference", "seeds", "verdict")
    for claim in CLAIMS:
        single = []
        for against in claim.against:
            difference = results.difference(claim, against)
            said = difference.verdict
            single.append(said or "")
            shown = _shown(difference.found, claim.metric, signed=True)
            yield _row(claim.name, claim.metric, against, shown, str(len(difference.shared)), said or "no interval")
        yield _row(f"**{claim.name}**", claim.metric, "all of them", "", "", f"**{joint_verdict(single)}**")
    yield ""
    yield _router(results)


def _router(results: Results) -> str:
    found = [results.of_rows("experts", name) for name in ("hand_accuracy", "face_accuracy")]
    known = [one.mean for one in found if one is not None]
    if len(known) < len(found):
        return "Router: the cell `experts` was not run."
    reached = "reached" if min(known) >= ROUTER_GOAL else "missed"
    return (
        f"Router on held-out rows: {known[0]:.3f} of hand and {known[1]:.3f} of face tokens; {ROUTER_GOAL} {reached}."
    )


def _measures(results: Results) -> Iterator[str]:
    names = (*PRIMARY, *BESIDE, *OF_ROWS)
    yield from _table("cell", "parameters", *names, *(f"{name}, unseen" for name in PRIMARY))
    for cell, seeds in results.written.items():
        count = next(iter(seeds.values()))["parameters"]
        own = [_shown(results.of_any(cell, name), name) for name in names]
        unseen = [_shown(results.of_any(cell, name, UNSEEN), name) for name in PRIMARY]
        yield _row(cell, f"{count / 1e6:.2f} M", *own, *unseen)


def _cost(results: Results) -> Iterator[str]:
    yield from _table("cell", "steps", "seconds a step", "minutes of training, one seed")
    for cell, seeds in results.written.items():
        one = next(iter(seeds.values()))
        seconds, own = one["training"]["seconds"], one["steps"]
        shared = CELLS[cell].trained_as
        yield _row(cell, str(own), f"{seconds:.2f}", f"as {shared}" if shared else f"{own * seconds / 60:.0f}")


def _overhead(path: Path) -> Iterator[str]:
    found = json.loads(path.read_text(encoding="utf-8"))
    yield f"Overhead, `{found['model']}`, {found['rounds']} rounds in turns:"
    yield ""
    yield from _table(
        "form", "largest difference of the video's flow", "bit-equal", "ms a pass", "time, ratio (quartiles)"
    )
    for form, difference in found["largest_difference"].items():
        ratio = found["time_ratio"][form]
        yield _row(
            form,
            f"{difference:.2g}",
            "yes" if found["bit_equal"][form] else "no",
            f"{found['milliseconds'][form]:.1f}",
            f"{ratio['median']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})",
        )

    equal, ratio = found["bit_equal"][LOADED], found["time_ratio"][LOADED]["median"]
    beside = found["bit_equal"][ASYMMETRIC]
    said = SUPPORTED if equal and beside and abs(ratio - 1) < SAME_TIME else OPEN
    yield ""
    pixels = found["joint_loop"]
    yield f"The loop that keeps the stream, without it, and the pack's sampler differ by {pixels:g} of 255 in a pixel."
    yield ""
    yield f"**overhead**: equal bits and a ratio within {SAME_TIME:g} of 1 were asked for; **{said}**"


def _draw(results: Results, images: Path) -> None:
    open_pack()
    from .plots import draw_cells, draw_claims, save

    images.mkdir(parents=True, exist_ok=True)
    save(draw_claims(results), images / CLAIMS_PLOT)
    save(draw_cells(results), images / CELLS_PLOT)


def _shown(found: Interval | None, name: str, *, signed: bool = False) -> str:
    if found is None:
        return "-"
    digits = DIGITS.get(name, 2)
    mean = f"{found.mean:+.{digits}f}" if signed else f"{found.mean:.{digits}f}"
    return mean if math.isinf(found.half) else f"{mean} ± {found.half:.{digits}f}"


def _table(*heads: str) -> Iterable[str]:
    return _row(*heads), "|---" * len(heads) + "|"


def _row(*cells: str) -> str:
    return f"| {' | '.join(_plain(cells))} |"


def _plain(cells: Sequence[str]) -> Iterator[str]:
    return (cell.replace("|", "/") for cell in cells)
