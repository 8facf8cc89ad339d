/** `0.42 s`, `12.3 s`. */
export function secondsText(seconds: number): string {
  return `${seconds < 1 ? seconds.toFixed(2) : seconds.toFixed(1).replace(/\.0$/, "")} s`;
}

/** `0 or 143`. */
export function orText(values: readonly (string | number)[]): string {
  return values.join(" or ");
}
