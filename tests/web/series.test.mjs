// Pure logic of the panel: joining messages, smoothing, thinning, ticks.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as series from "../../web/lib/series.js";

const message = (after, steps, more = {}) => ({
  run: "mine", state: "running", total: 9, text: "", after, steps, values: { loss: steps.map((n) => n / 2) }, ...more,
});
const two = () => series.mergeMessage(series.emptyRun(), message(0, [1, 2]));

test("messages join in order", () => {
  const run = series.mergeMessage(two(), message(2, [3, 4]));
  assert.deepEqual(run.steps, [1, 2, 3, 4]);
  assert.deepEqual(run.values, { loss: [0.5, 1, 1.5, 2] });
});

test("a message may repeat what a snapshot held already", () => {
  const run = series.mergeMessage(two(), message(1, [2, 3]));
  assert.deepEqual(run.steps, [1, 2, 3]);
  assert.deepEqual(run.values.loss, [0.5, 1, 1.5]);
});

test("missing steps ask for a snapshot", () => {
  assert.equal(series.mergeMessage(two(), message(5, [6])), null);
  assert.equal(series.mergeMessage(series.emptyRun(), message(2, [3])), null);
  assert.equal(series.mergeMessage(two(), message(2, [3], { run: "other" })), null);
});

test("a new start replaces, a resumed run cuts what was lost", () => {
  assert.deepEqual(series.mergeMessage(two(), message(0, [1])).steps, [1]);
  const resumed = series.mergeMessage(two(), message(1, [2], { values: { loss: [7] } }));
  assert.deepEqual(resumed.values.loss, [0.5, 7]);
});

test("a line of text keeps the curves of its run only", () => {
  const text = message(null, [], { values: {}, text: "encoding" });
  assert.deepEqual(series.mergeMessage(two(), text).values, two().values);
  assert.equal(series.mergeMessage(two(), text).text, "encoding");
  assert.deepEqual(series.mergeMessage(two(), { ...text, run: "other" }).steps, []);
});

test("curves that begin late or stop have gaps", () => {
  const begun = series.mergeMessage(two(), message(2, [3], { values: { router: [0.25] } }));
  assert.deepEqual(begun.values, { loss: [0.5, 1, null], router: [null, null, 0.25] });
  assert.deepEqual(series.points(begun.steps, begun.values.router), [[3, 0.25]]);
  assert.equal(series.latest(begun.values.loss), 1);
  assert.equal(series.latest([null]), null);
});

test("thinning keeps spikes and order", () => {
  const line = Array.from({ length: 10_000 }, (_, x) => [x, x === 5432 ? 99 : Math.sin(x)]);
  const kept = series.thin(line, 200);
  assert.ok(kept.length <= 400);
  assert.ok(kept.some(([x, y]) => x === 5432 && y === 99));
  assert.ok(kept.every(([x], place) => place === 0 || x >= kept[place - 1][0]));
  assert.equal(series.thin(line.slice(0, 10), 200).length, 10);
});

test("smoothing keeps a constant and the first value", () => {
  const constant = series.smooth(Array.from({ length: 20 }, (_, x) => [x, 3]), 0.9);
  for (const [, y] of constant) assert.ok(Math.abs(y - 3) < 1e-9);
  assert.ok(Math.abs(series.smooth([[1, 5], [2, 1]], 0.9)[0][1] - 5) < 1e-9);
});

test("ticks are round", () => {
  assert.deepEqual(series.ticks(0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(series.ticks(0, 1.06e-5), [0, 5e-6, 1e-5]);
  assert.deepEqual(series.ticks(1, 1000), [200, 400, 600, 800, 1000]);
  assert.deepEqual(series.ticks(3, 3), [3]);
  assert.deepEqual(series.logTicks(0.01, 1.5), [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]);
  assert.deepEqual(series.logTicks(1e-4, 5), [1e-4, 1e-3, 0.01, 0.1, 1]);
});

test("numbers are short", () => {
  assert.deepEqual([0, 0.25, 1200, 1e-5, 123456, 2 / 3, 1.234e-7].map(series.short), [
    "0", "0.25", "1200", "1e-5", "1.23e5", "0.6667", "1.23e-7",
  ]);
});

test("ranges", () => {
  assert.deepEqual(series.range([[[1, 3]], [[1, -1], [2, 5]]]), [-1, 5]);
  assert.equal(series.range([[]]), null);
});
