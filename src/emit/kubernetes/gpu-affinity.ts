import { commented, inline, quoted, type YamlValue } from "../yaml-text.ts";

/**
 * Nodes whose GPUs run the device code that an image has: by the labels of NVIDIA's GPU feature discovery, one term for each
 * major compute capability. Code runs on its minor and those above it.
 *
 * @param capabilities `7.5`; undefined is returned for none: all device code is there
 */
export function gpuAffinity(capabilities: readonly string[]): YamlValue {
  const lowest = new Map<number, number>();
  for (const capability of capabilities) {
    const [major = 0, minor = 0] = capability.split(".").map(Number);
    lowest.set(major, Math.min(lowest.get(major) ?? minor, minor));
  }
  if (lowest.size === 0) return undefined;
  const terms = [...lowest]
    .toSorted(([a], [b]) => a - b)
    .map(([major, minor]) => ({ matchExpressions: expressions(major, minor) }));
  return commented(
    "The image has code for these GPUs alone. GPU feature discovery, of NVIDIA's GPU operator, gives nodes the labels.",
    { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } } },
  );
}

function expressions(major: number, minor: number): YamlValue[] {
  const label = (name: string) => `nvidia.com/gpu.compute.${name}`;
  return [
    { key: label("major"), operator: "In", values: inline([quoted(String(major))]) },
    ...(minor > 0 ? [{ key: label("minor"), operator: "Gt", values: inline([quoted(String(minor - 1))]) }] : []),
  ];
}
