// A run's curves as plain data: joining messages, smoothing, thinning, ranges and ticks. No DOM, no imports.

/**
 * @typedef {object} Run
 * @property {string} run      its name; "" for none
 * @property {string} state    none, running, saved, done, stopped or failed
 * @property {number} total    steps it will have
 * @property {string} text     what the server says of it
 * @property {number[]} steps  rising
 * @property {Record<string, (number|null)[]>} values  by curve, as many as steps
 */

/** @typedef {[number, number]} Point */

/** @returns {Run} */
export function emptyRun() {
  return { run: "", state: "none", total: 0, text: "", steps: [], values: {} };
}

/**
 * Join a message to what is held. A message names the step it comes after: what lies behind that step belongs to an
 * earlier part of the run and goes, and where something before it is missing, only a snapshot helps.
 * @param {Run} run
 * @param {any} message  after: 0 replaces everything, null adds nothing and keeps the run's curves
 * @returns {Run|null} null where steps are missing
 */
export function mergeMessage(run, message) {
  const same = run.run === message.run;
  const held = same ? run.steps : [];
  const after = message.after ?? Infinity;
  if (Number.isFinite(after) && after > 0 && !(held.at(-1) >= after)) return null;
  const keep = held.filter((step) => step <= after).length;
  const steps = [...held.slice(0, keep), ...message.steps];
  const names = new Set([...(keep ? Object.keys(run.values) : []), ...Object.keys(message.values)]);
  /** @type {Record<string, (number|null)[]>} */
  const values = {};
  for (const name of names) {
    const before = (same && run.values[name]) || [];
    values[name] = [
      ...Array.from({ length: keep }, (_, place) => before[place] ?? null),
      ...(message.values[name] ?? message.steps.map(() => null)),
    ];
  }
  return { run: message.run, state: message.state, total: message.total, text: message.text ?? "", steps, values };
}

/** Steps and values where there is a value. @returns {Point[]} */
export function points(steps, values) {
  const found = [];
  for (let place = 0; place < steps.length; place++) {
    const value = values[place];
    if (value !== null && value !== undefined && Number.isFinite(value)) found.push([steps[place], value]);
  }
  return found;
}

/** The last value there is, or null. */
export function latest(values) {
  return values.findLast((value) => value !== null && value !== undefined) ?? null;
}

/**
 * Running mean in which the past counts `weight`, without a pull towards the first value.
 * @param {Point[]} line
 */
export function smooth(line, weight) {
  let mean = 0;
  let total = 0;
  return line.map(([x, y]) => {
    mean = weight * mean + (1 - weight) * y;
    total = weight * total + (1 - weight);
    return /** @type {Point} */ ([x, mean / total]);
  });
}

/**
 * At most two points per bucket, the smallest and the largest, so that no spike is lost.
 * @param {Point[]} line
 */
export function thin(line, buckets) {
  if (line.length <= 2 * buckets) return line;
  const kept = [];
  for (let bucket = 0; bucket < buckets; bucket++) {
    const end = Math.floor(((bucket + 1) * line.length) / buckets);
    let low = line[Math.floor((bucket * line.length) / buckets)];
    let high = low;
    for (let place = Math.floor((bucket * line.length) / buckets); place < end; place++) {
      if (line[place][1] < low[1]) low = line[place];
      if (line[place][1] > high[1]) high = line[place];
    }
    kept.push(...(low === high ? [low] : [low, high].sort((a, b) => a[0] - b[0])));
  }
  return kept;
}

/** Smallest and largest value of some lines, or null where there is none. @param {Point[][]} lines */
export function range(lines) {
  let low = Infinity;
  let high = -Infinity;
  for (const line of lines) {
    for (const [, y] of line) {
      if (y < low) low = y;
      if (y > high) high = y;
    }
  }
  return low === Infinity ? null : /** @type {Point} */ ([low, high]);
}

/** Round values between two others, about `count` of them: 1, 2 or 5 times a power of ten. */
export function ticks(low, high, count = 5) {
  if (!(high > low)) return [low];
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const spacing = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= raw * (1 - 1e-9));
  const found = [];
  for (let n = Math.ceil(low / spacing - 1e-9); n <= Math.floor(high / spacing + 1e-9); n++) {
    found.push(Number((n * spacing).toPrecision(12)));
  }
  return found;
}

/** Ticks of a logarithmic axis: 1, 2 and 5 times each power of ten, or the powers alone where it spans many. */
export function logTicks(low, high) {
  const digits = high / low > 1000 ? [1] : [1, 2, 5];
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const digit of digits) {
      const value = Number((digit * 10 ** power).toPrecision(12));
      if (value >= low && value <= high) found.push(value);
    }
  }
  return found;
}

/** A number as short as it may be: 0.25, 1200, 1e-5. */
export function short(value) {
  if (value && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5)) {
    return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  }
  return String(Number(value.toPrecision(4)));
}
