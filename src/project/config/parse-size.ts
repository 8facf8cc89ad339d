/**
 * Bytes of a size as people write it: `300MB`, `1.5 GB`, `512MiB`, `300M`, `1024`. Undefined for anything else.
 * MB and M are a million bytes, MiB is 1,048,576.
 */
export function parseSize(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b)?\s*$/i.exec(text);
  if (!match) return undefined;
  const [, number = "", prefix = "", binary = ""] = match;
  const exponent = prefix === "" ? 0 : "kmgt".indexOf(prefix.toLowerCase()) + 1;
  const bytes = Math.round(Number(number) * (binary === "" ? 1000 : 1024) ** exponent);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
