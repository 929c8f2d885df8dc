// Which fields of a node count only with one choice of another field.

const CUSTOM_SIZE = { choice: "size", value: "custom" };
const SIZES = { width: CUSTOM_SIZE, height: CUSTOM_SIZE };
const LOGIT_NORMAL = { choice: "timesteps", value: "logit_normal" };

/**
 * By node and field: the field counts where `choice` has `value`. With `only`, any other value of the field is refused
 * where it does not count, so it must be in sight to be mended.
 */
export const RULES = {
  CoInteractPersonReference: SIZES,
  CoInteractTrainingData: SIZES,
  CoInteractTrainingSettings: {
    switch_step: { choice: "hoi_mode", value: "two_stage", only: 0 },
    logit_mean: LOGIT_NORMAL,
    logit_std: LOGIT_NORMAL,
  },
};

/**
 * Fields that need not be shown.
 * @param {Record<string, {choice: string, value: string, only?: number}>} rules  of the node
 * @param {Record<string, any>} values  of its fields
 * @param {Set<string>} linked  fields whose value comes through a link: what they will be is not known here
 */
export function idleFields(rules, values, linked) {
  const idle = Object.entries(rules).filter(([field, { choice, value, only }]) => {
    if (linked.has(field) || linked.has(choice) || values[choice] === value) return false;
    return only === undefined || values[field] === only;
  });
  return new Set(idle.map(([field]) => field));
}

/** Whether a version such as "1.49.6" is that of `least`, such as "1.36", or newer. */
export function isAtLeast(version, least) {
  const [have, need] = [version ?? "0", least].map((text) => text.split(".").map(Number));
  const place = need.findIndex((number, index) => number !== (have[index] ?? 0));
  return place < 0 || have[place] > need[place];
}
