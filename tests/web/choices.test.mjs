// Which fields are shown with which choice.
import assert from "node:assert/strict";
import { test } from "node:test";
import { RULES, idleFields, isAtLeast } from "../../web/lib/choices.js";

const none = new Set();
const person = RULES.CoInteractPersonReference;
const settings = RULES.CoInteractTrainingSettings;
const published = { hoi_mode: "asymmetric", switch_step: 0, timesteps: "published", logit_mean: 0, logit_std: 1 };
const names = (...idle) => new Set(idle);

test("width and height are shown where the size is custom", () => {
  const values = { size: "480x832 portrait", width: 96, height: 128 };
  assert.deepEqual(idleFields(person, values, none), names("width", "height"));
  assert.deepEqual(idleFields(person, { ...values, size: "custom" }, none), none);
  assert.equal(RULES.CoInteractTrainingData, person);
});

test("what comes through a link is in sight", () => {
  const values = { size: "480x832 portrait", width: 96, height: 128 };
  assert.deepEqual(idleFields(person, values, names("size")), none);
  assert.deepEqual(idleFields(person, values, names("width")), names("height"));
});

test("fields of other training modes are put away", () => {
  assert.deepEqual(idleFields(settings, published, none), names("switch_step", "logit_mean", "logit_std"));
  const normal = { ...published, timesteps: "logit_normal" };
  assert.deepEqual(idleFields(settings, normal, none), names("switch_step"));
  const staged = { ...published, hoi_mode: "two_stage" };
  assert.deepEqual(idleFields(settings, staged, none), names("logit_mean", "logit_std"));
});

test("a value that would be refused stays in sight", () => {
  const refused = { ...published, switch_step: 500 };
  assert.ok(!idleFields(settings, refused, none).has("switch_step"));
});

test("versions are compared by their numbers", () => {
  const newer = ["1.36", "1.36.0", "1.36.14", "1.58.1", "2.0", "1.100.2"];
  const older = ["1.32.9", "1.4.40", "0.99", "", undefined];
  assert.ok(newer.every((version) => isAtLeast(version, "1.36")));
  assert.ok(!older.some((version) => isAtLeast(version, "1.36")));
});
