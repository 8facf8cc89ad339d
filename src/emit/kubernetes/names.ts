/** A DNS label (RFC 1123): what names of resources and of containers have to be. */
export function dnsLabel(text: string): string {
  const label = text.toLowerCase().replaceAll(/[^a-z0-9-]+/g, "-");
  return label.slice(0, 63).replaceAll(/^-+|-+$/g, "") || "app";
}

/** The Secret with all that is nobody's business; a team makes it. */
export const secretName = "secrets";

/** The ConfigMap with all other settings. */
export const configName = "settings";

/** Labels of a resource, and those that select its pods. */
export function labelsOf(project: string, name: string): Record<string, string> {
  return { ...selectorOf(name), "app.kubernetes.io/part-of": dnsLabel(project) };
}

export function selectorOf(name: string): Record<string, string> {
  return { "app.kubernetes.io/name": dnsLabel(name) };
}
