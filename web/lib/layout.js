// Where everything of the chart lies, as plain numbers: which curves there are, their axes, lines and ticks. No DOM.
import { latest, logTicks, points, range, short, smooth, thin, ticks } from "./series.js";

/**
 * The curves, in the order of the legend. Losses share the left axis; accuracies share the right one; each of the
 * others has a range of its own. Plain curves have no noise to smooth.
 */
export const CURVES = [
  { name: "loss", label: "total", axis: "loss", shown: true },
  { name: "rgb", label: "RGB", axis: "loss", shown: true },
  { name: "hoi", label: "HOI", axis: "loss", shown: true },
  { name: "router", label: "router", axis: "loss", shown: true },
  { name: "validation", label: "validation", axis: "loss", shown: true },
  { name: "face_accuracy", label: "face", axis: "accuracy", shown: true },
  { name: "hand_accuracy", label: "hand", axis: "accuracy", shown: true },
  { name: "learning_rate", label: "learning rate", axis: "learning_rate", shown: false, plain: true },
  { name: "gradient_norm", label: "gradient", axis: "gradient_norm", shown: false },
  { name: "memory_gb", label: "GB", axis: "memory_gb", shown: false, plain: true },
  { name: "seconds", label: "s/step", axis: "seconds", shown: false },
];
const LEFT = "loss";
const FIXED = { accuracy: [0, 1] };
const ROOM = { left: 44, right: 40, top: 8, bottom: 20 };
const FEW = 30; // a curve with fewer values is drawn as it is, with dots
const WEIGHT = 0.95; // largest weight of what came before in the heavy line
const SMOOTHED_SHARE = FEW; // it covers one in this many steps of a short run, so that it does not lag behind
const HEADROOM = 1.06; // the largest value stays below the upper edge

/** Curves of which a run has values, with the last one. */
export function legend(run) {
  return CURVES.filter(({ name }) => run.values[name]?.some((value) => value !== null)).map((curve) => ({
    ...curve,
    latest: latest(run.values[curve.name]),
  }));
}

/**
 * @param {import("./series.js").Run} run
 * @param {{hidden: Set<string>, log: boolean, smooth: boolean}} view
 * @param {number} width  in CSS pixels
 * @param {number} height
 */
export function layout(run, view, width, height) {
  const shown = legend(run).filter(({ name }) => !view.hidden.has(name));
  const raw = new Map(shown.map(({ name }) => [name, points(run.steps, run.values[name])]));
  const left = ROOM.left;
  const right = width - ROOM.right;
  const first = Math.min(1, run.steps[0] ?? 0);
  const last = Math.max(run.total || 0, run.steps.at(-1) ?? 0, first + 1);
  const x = (step) => left + ((step - first) / (last - first)) * (right - left);
  /** @type {Record<string, ReturnType<typeof valueAxis>>} */
  const axes = {};
  for (const { axis } of shown) {
    const lines = shown.filter((curve) => curve.axis === axis).map(({ name }) => raw.get(name));
    axes[axis] ??= valueAxis(lines, FIXED[axis], axis === LEFT && view.log, height - ROOM.bottom, ROOM.top);
  }
  const rightAxis = shown.find(({ axis }) => axis !== LEFT)?.axis;
  const stepTicks = ticks(first, last, Math.max(2, Math.floor((right - left) / 90))).filter(Number.isInteger);
  return {
    frame: { left, right, top: ROOM.top, bottom: height - ROOM.bottom },
    x,
    stepAt: (place) => first + ((place - left) / (right - left)) * (last - first),
    across: stepTicks.map((step) => ({ x: x(step), text: short(step) })),
    left: labels(axes[LEFT]),
    right: labels(axes[rightAxis]),
    lines: shown.flatMap((curve) => linesOf(curve, raw.get(curve.name), axes[curve.axis], x, view, right - left)),
  };
}

/** A scale from values to places. */
function valueAxis(lines, fixed, log, bottom, top) {
  const positive = log ? lines.map((line) => line.filter(([, y]) => y > 0)) : lines;
  const found = range(positive);
  const logarithmic = log && found !== null;
  let [low, high] = fixed ?? found ?? [0, 1];
  if (logarithmic) [low, high] = [low / HEADROOM, high * HEADROOM];
  else if (!fixed) [low, high] = low >= 0 ? [0, high * HEADROOM || 1] : spread(low, high);
  const scale = logarithmic ? Math.log10 : Number;
  const y = (value) => bottom - ((scale(value) - scale(low)) / (scale(high) - scale(low))) * (bottom - top);
  const marks = logarithmic ? logTicks(low, high) : ticks(low, high, Math.max(2, Math.floor((bottom - top) / 36)));
  return { y, marks, drawable: (value) => !logarithmic || value > 0 };
}

function spread(low, high) {
  const room = (high - low) * (HEADROOM - 1) || 0.5;
  return [low - room, high + room];
}

function labels(axis) {
  return (axis?.marks ?? []).map((value) => ({ y: axis.y(value), text: short(value) }));
}

/** The faint and the heavy line of a curve, or the one line with dots where there is little of it. */
function linesOf(curve, line, axis, x, view, pixels) {
  const drawable = line.filter(([, value]) => axis.drawable(value));
  const path = (some) => thin(some, pixels).map(([step, value]) => [x(step), axis.y(value)]);
  const many = drawable.length >= FEW;
  if (!many || !view.smooth || curve.plain) {
    return [{ name: curve.name, faint: false, dots: !many, path: path(drawable) }];
  }
  const weight = Math.min(WEIGHT, 1 - SMOOTHED_SHARE / drawable.length);
  return [
    { name: curve.name, faint: true, dots: false, path: path(drawable) },
    { name: curve.name, faint: false, dots: false, path: path(smooth(drawable, weight)) },
  ];
}

/** Values at the held step nearest to `step`, for the line under the pointer; null where there are no steps. */
export function valuesAt(run, view, step) {
  if (!run.steps.length) return null;
  let nearest = 0;
  for (let place = 1; place < run.steps.length; place++) {
    if (Math.abs(run.steps[place] - step) < Math.abs(run.steps[nearest] - step)) nearest = place;
  }
  const shown = legend(run).filter(({ name }) => !view.hidden.has(name));
  const values = shown.map(({ name, label }) => ({ name, label, value: run.values[name][nearest] ?? null }));
  return { step: run.steps[nearest], values: values.filter(({ value }) => value !== null) };
}

/** What a reader of the screen hears. */
export function description(run) {
  if (!run.steps.length) return "no values yet";
  const values = legend(run).map(({ label, latest: value }) => `${label} ${short(value)}`);
  return `${run.steps.at(-1)} of ${run.total} steps: ${values.join(", ")}`;
}

/** The line below the curves. */
export function statusText(run, problem = "") {
  if (problem) return problem;
  if (run.state === "none") return run.text || "no run of this name yet";
  if (run.state === "saved") return `${run.steps.at(-1) ?? 0} steps on disk`;
  const progress = run.steps.length ? `step ${run.steps.at(-1)} of ${run.total}` : "";
  return [run.state, run.text || progress].filter(Boolean).join(" · ");
}
