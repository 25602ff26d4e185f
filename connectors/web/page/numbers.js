// Figures as text. What is not there is a dash, never a zero.

export const NONE = "–";

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const rate = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });
const formats = new Map();

function fixed(digits) {
  if (!formats.has(digits)) {
    formats.set(digits, new Intl.NumberFormat("en-US", {
      minimumFractionDigits: digits, maximumFractionDigits: digits,
    }));
  }
  return formats.get(digits);
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

export const count = (value) => (isNumber(value) ? whole.format(value) : NONE);
export const perSecond = (value) => (isNumber(value) ? `${rate.format(value)}/s` : NONE);

/** Return a price: two digits, four below 10. */
export function price(value) {
  return isNumber(value) ? fixed(Math.abs(value) < 10 ? 4 : 2).format(value) : NONE;
}

/** Return a fraction as per cent. */
export function percent(value, digits = 2) {
  return isNumber(value) ? `${fixed(digits).format(value * 100)} %` : NONE;
}

/** Return a fraction as per cent with its sign. */
export function signedPercent(value, digits = 3) {
  if (!isNumber(value)) return NONE;
  return `${value > 0 ? "+" : value < 0 ? "−" : ""}${fixed(digits).format(Math.abs(value) * 100)} %`;
}

/** Return any figure with five significant digits. */
export function figure(value) {
  return isNumber(value) ? String(Number(value.toPrecision(5))) : NONE;
}

/** Return seconds with the unit that suits: 250 µs, 12 ms, 1.5 s. */
export function seconds(value) {
  if (!isNumber(value)) return NONE;
  if (Math.abs(value) < 1e-3) return `${figure(value * 1e6)} µs`;
  if (Math.abs(value) < 1) return `${figure(Number((value * 1e3).toPrecision(3)))} ms`;
  return `${figure(Number(value.toPrecision(3)))} s`;
}
