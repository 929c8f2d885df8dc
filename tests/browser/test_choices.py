"""Fields that count only with one choice, in both renderers: chosen, typed, saved and queued as a user does it."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from playwright.sync_api import TimeoutError as TooLate

PERSON, DATA, SETTINGS = "CoInteractPersonReference", "CoInteractTrainingData", "CoInteractTrainingSettings"
PATIENCE = 30.0  # seconds
PRESET = "480x832 portrait"
GRAPH = {"nodes": [], "links": [], "groups": [], "config": {}, "extra": {}, "version": 0.4}
ADD = """type => {
    const node = LiteGraph.createNode(type);
    node.pos = [100, 100];
    app.graph.add(node);
    window.tried = node;
}"""
FIND = "window.tried = app.graph._nodes.find(node => node.type === type)"
PLACE = """name => {
    const widget = tried.widgets.find(widget => widget.name === name);
    const place = [tried.pos[0] + tried.size[0] / 2, tried.pos[1] + widget.y + 10];
    const [left, top] = app.canvas.convertOffsetToCanvas(place);
    const frame = app.canvas.canvas.getBoundingClientRect();
    return [frame.left + left, frame.top + top];
}"""
# a notice of the page may lie over the list
CLOSE_NOTICES = "() => document.querySelectorAll('.p-toast-close-button').forEach(button => button.click())"
VALUE = "name => tried.widgets.find(widget => widget.name === name).value"
IN_CANVAS = "() => tried.widgets.filter(widget => tried.isWidgetVisible(widget)).map(widget => widget.name)"


class Fields:
    """The fields of one node, as a user meets them."""

    def __init__(self, bench, renderer, kind):
        self.bench, self.page, self.vue, self.kind = bench, bench.page, renderer == "vue", kind
        self.page.evaluate("graph => app.loadGraphData(graph)", GRAPH)
        self.page.evaluate(ADD, kind)
        self.look()

    def look(self):
        """Show the node from near by."""
        self.page.evaluate("() => app.extensionManager.command.execute('Comfy.Canvas.FitView')")
        self.page.wait_for_timeout(800)

    @property
    def node(self):
        """The node in the page, of Vue."""
        return self.page.locator(f"[data-node-id='{self.page.evaluate('() => tried.id')}']")

    def row(self, name):
        """A field in the node, of Vue."""
        return self.node.locator(".lg-node-widget").filter(has=self.page.get_by_text(name, exact=True))

    def are_shown(self, *names):
        """Which of these fields are in sight."""
        if self.vue:
            return [name for name in names if self.row(name).count()]
        in_sight = self.page.evaluate(IN_CANVAS)
        return [name for name in names if name in in_sight]

    def come_to_show(self, expected, *names):
        """Whether those of `names` are in sight that should be, once the page, on a busy machine too, has settled."""
        deadline = time.monotonic() + PATIENCE
        self.page.wait_for_timeout(300)
        while self.are_shown(*names) != expected and time.monotonic() < deadline:
            self.page.wait_for_timeout(300)
        return self.are_shown(*names) == expected

    def click(self, name):
        """Press a field in the classic canvas."""
        self.page.mouse.click(*self.page.evaluate(PLACE, name))
        self.page.wait_for_timeout(300)

    def until_there(self, thing, act):
        """Do something until it has opened what it should: a canvas that is busy drawing passes clicks over."""
        deadline = time.monotonic() + PATIENCE
        while not thing.is_visible() and time.monotonic() < deadline:
            act()
            with contextlib.suppress(TooLate):
                thing.wait_for(state="visible", timeout=5000)

    def choose(self, name, choice):
        """Open a list and press an entry."""
        if self.vue:
            self.row(name).locator("[role=combobox], button").first.click()
            self.page.evaluate(CLOSE_NOTICES)
            self.page.get_by_role("option", name=choice, exact=True).click()
        else:
            entry = self.page.locator(".litemenu-entry").filter(has_text=choice).first
            self.until_there(entry, lambda: self.click(name))
            entry.click()
        self.page.wait_for_timeout(500)

    def type(self, name, number):
        """Write a number."""
        if self.vue:
            box = self.row(name).locator("input")
            box.click(force=True)  # newer pages lay something that takes drags over it, and hand clicks on
        else:
            box = self.page.locator(".graphdialog input")
            self.until_there(box, lambda: self.page.mouse.dblclick(*self.page.evaluate(PLACE, name)))
        box.press("Control+a")
        self.page.keyboard.type(str(number))  # key by key: fields of some pages take nothing else
        before = self.page.evaluate(VALUE, name)
        box.press("Enter")
        if before != number:
            self.page.wait_for_function(f"([name, before]) => ({VALUE})(name) !== before", arg=[name, before])
        self.page.wait_for_timeout(500)

    def saved(self):
        """Values in the workflow file, and names and values in the API prompt."""
        graph = json.loads(self.page.evaluate("() => JSON.stringify(app.graph.serialize())"))
        prompt = json.loads(self.page.evaluate("async () => JSON.stringify((await app.graphToPrompt()).output)"))
        node = next(node for node in graph["nodes"] if node["type"] == self.kind)
        return graph, node["widgets_values"], prompt[str(node["id"])]["inputs"]


@pytest.fixture
def fields(bench, renderer):
    """Make the fields of a node; what an old page's Vue nodes cannot follow is not hidden there."""
    follows = bench.is_settled(renderer)
    return lambda kind: (Fields(bench, renderer, kind), follows)


@pytest.mark.parametrize("kind", [PERSON, DATA])
def test_numbers_of_a_custom_size(kind, fields, page):
    node, follows = fields(kind)
    assert node.come_to_show(["size"] if follows else ["size", "width", "height"], "size", "width", "height")
    _, values, prompt = node.saved()
    start = values.index(PRESET)
    assert values[start : start + 3] == [PRESET, 480, 832]
    assert (prompt["size"], prompt["width"], prompt["height"]) == (PRESET, 480, 832)

    node.choose("size", "custom")
    assert node.come_to_show(["size", "width", "height"], "size", "width", "height")
    node.type("width", 640)
    node.choose("size", "720x1280 portrait")
    assert node.come_to_show([] if follows else ["width", "height"], "width", "height")
    graph, values, prompt = node.saved()
    width = values[start + 1]
    assert abs(width - 640) <= 8  # the page may keep to steps
    assert values[start : start + 3] == ["720x1280 portrait", width, 832]
    assert (prompt["width"], prompt["height"]) == (width, 832)

    page.evaluate("graph => app.loadGraphData(graph)", graph)
    page.wait_for_function(f"type => !!({FIND})", arg=kind)
    node.look()
    assert node.come_to_show([] if follows else ["width", "height"], "width", "height")
    assert node.saved()[1] == values
    node.choose("size", "custom")
    assert node.come_to_show(["width", "height"], "width", "height")
    assert node.saved()[1][start : start + 3] == ["custom", width, 832]


def test_steps_of_two_stages(fields):
    node, follows = fields(SETTINGS)
    _, before, _ = node.saved()
    assert node.come_to_show(["hoi_mode"] if follows else ["hoi_mode", "switch_step"], "hoi_mode", "switch_step")
    node.choose("hoi_mode", "two_stage")
    assert node.come_to_show(["switch_step"], "switch_step")
    node.type("switch_step", 500)
    node.choose("hoi_mode", "mutual")
    assert node.come_to_show(["switch_step"], "switch_step")  # refused with mutual, so it can be mended
    node.type("switch_step", 0)
    node.choose("hoi_mode", "asymmetric")
    assert node.come_to_show([] if follows else ["switch_step"], "switch_step")
    assert node.saved()[1] == before


def test_the_rest_of_the_node_moves_up(bench, page, renderer):
    """No hole where a field is not shown; a new node is only as tall as what it shows."""
    if renderer == "vue":
        pytest.skip("Vue nodes lay their rows out themselves.")
    Fields(bench, renderer, PERSON)
    rows = page.evaluate("() => Object.fromEntries(tried.widgets.map(({ name, y }) => [name, y]))")
    assert 0 < rows["fit"] - rows["size"] < 30
    height = "() => tried.size[1]"
    small = page.evaluate(height)
    page.evaluate("() => { tried.widgets.find(w => w.name === 'size').value = 'custom'; tried.onConfigure({}) }")
    assert page.evaluate(height) > small + 30
