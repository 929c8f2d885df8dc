// Where curves and ticks lie, what the legend and the status line say.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CURVES, description, layout, legend, statusText, valuesAt } from "../../web/lib/layout.js";
import { emptyRun } from "../../web/lib/series.js";

const view = (more = {}) => ({ hidden: new Set(), log: false, smooth: true, ...more });
const run = (steps, values, more = {}) => ({
  ...emptyRun(), run: "mine", state: "running", total: steps.length, steps, values, ...more,
});
const numbers = (count) => Array.from({ length: count }, (_, place) => place + 1);

test("values lie inside the frame and higher ones above", () => {
  const seen = layout(run([1, 2, 3], { loss: [1, 2, 4], face_accuracy: [0, 0.5, 1] }), view(), 400, 200);
  const { frame } = seen;
  assert.equal(seen.lines.length, 2);
  for (const { path } of seen.lines) {
    assert.deepEqual([path[0][0], path[2][0]], [frame.left, frame.right]);
    assert.ok(path[0][1] > path[1][1] && path[1][1] > path[2][1]);
    for (const [, y] of path) assert.ok(y >= frame.top && y <= frame.bottom);
  }
  const face = seen.lines.find(({ name }) => name === "face_accuracy");
  assert.deepEqual([face.path[0][1], face.path[2][1]], [frame.bottom, frame.top]);
});

test("the axis across goes to the run's last step", () => {
  const seen = layout(run([1, 2], { loss: [1, 1] }, { total: 101 }), view(), 400, 200);
  assert.ok(seen.lines[0].path[1][0] < seen.frame.left + 5);
  assert.equal(seen.stepAt(seen.frame.right), 101);
  assert.ok(seen.across.every(({ text }) => Number.isInteger(Number(text))));
});

test("many values get a faint and a heavy line, few get dots", () => {
  const steps = numbers(500);
  const many = run(steps, { loss: steps.map((n) => 1 / n) });
  assert.deepEqual(layout(many, view(), 400, 200).lines.map(({ faint }) => faint), [true, false]);
  assert.deepEqual(layout(many, view({ smooth: false }), 400, 200).lines.map(({ faint }) => faint), [false]);
  assert.equal(layout(run([1, 2], { loss: [1, 2] }), view(), 400, 200).lines[0].dots, true);
  const rate = run(steps, { learning_rate: steps.map((n) => n * 1e-8) });
  assert.deepEqual(layout(rate, view(), 400, 200).lines.map(({ faint }) => faint), [false]);
});

test("a logarithmic axis leaves out what it cannot show, and leaves accuracies alone", () => {
  const some = run([1, 2, 3], { loss: [1, 0, 0.01], face_accuracy: [0, 0.5, 1] });
  const seen = layout(some, view({ log: true }), 400, 200);
  assert.deepEqual(seen.lines.map(({ path }) => path.length), [2, 3]);
  assert.ok(seen.lines.flatMap(({ path }) => path.flat()).every(Number.isFinite));
  assert.ok(seen.left.some(({ text }) => text === "0.1"));
  const nothing = layout(run([1], { loss: [0] }), view({ log: true }), 400, 200);
  assert.ok(nothing.left.every(({ y }) => Number.isFinite(y)));
});

test("hidden curves leave the chart and free the right axis", () => {
  const some = run([1, 2], { loss: [1, 2], face_accuracy: [0, 1], memory_gb: [60, 61] });
  assert.deepEqual(layout(some, view(), 400, 200).right.at(-1).text, "1");
  const seen = layout(some, view({ hidden: new Set(["loss", "face_accuracy"]) }), 400, 200);
  assert.deepEqual(seen.lines.map(({ name }) => name), ["memory_gb"]);
  assert.deepEqual(seen.left, []);
  assert.equal(seen.right.at(-1).text, "60");
});

test("one value, no values and constant values can be drawn", () => {
  const constant = run([5, 6], { loss: [-2, -2] });
  for (const some of [emptyRun(), run([1], { loss: [0] }), constant, run([1], { loss: [null] })]) {
    const seen = layout(some, view(), 400, 200);
    const places = [...seen.lines.flatMap(({ path }) => path.flat()), ...seen.across.map(({ x }) => x)];
    assert.ok(places.every(Number.isFinite));
  }
});

test("the legend names what has values, with the last one", () => {
  const some = run([1, 2], { loss: [1, 2], hoi: [null, null], router: [3, null] });
  assert.deepEqual(legend(some).map(({ name, latest }) => [name, latest]), [["loss", 2], ["router", 3]]);
  assert.ok(CURVES.filter(({ shown }) => !shown).every(({ axis }) => axis !== "loss" && axis !== "accuracy"));
});

test("values under the pointer are those of the nearest step", () => {
  const some = run([10, 20, 30], { loss: [1, 2, 3], router: [null, 5, null] });
  const found = valuesAt(some, view(), 24).values.map(({ name, value }) => [name, value]);
  assert.deepEqual(found, [["loss", 2], ["router", 5]]);
  assert.deepEqual(valuesAt(some, view(), 99), { step: 30, values: [{ name: "loss", label: "total", value: 3 }] });
  assert.equal(valuesAt(emptyRun(), view(), 1), null);
});

test("texts", () => {
  assert.equal(statusText(emptyRun()), "no run of this name yet");
  assert.equal(statusText({ ...emptyRun(), state: "running", text: "step 3/9" }), "running · step 3/9");
  assert.equal(statusText(run([1, 2], {}, { state: "stopped", total: 9 })), "stopped · step 2 of 9");
  assert.equal(statusText(run([1, 2], {}, { state: "saved" })), "2 steps on disk");
  assert.equal(statusText(emptyRun(), "The run is called"), "The run is called");
  assert.equal(description(run([1, 2], { loss: [1, 0.5] }, { total: 9 })), "2 of 9 steps: total 0.5");
  assert.equal(description(emptyRun()), "no values yet");
});
