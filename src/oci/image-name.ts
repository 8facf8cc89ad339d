/** Annotation by which containerd, and Docker with its image store, name an image in an archive. */
export const containerdName = "io.containerd.image.name";

/** `app` → `app:latest`: Docker's default tag. */
export function withTag(name: string): string {
  return splitTag(name)[1] === undefined ? `${name}:latest` : name;
}

/** The tag alone: `localhost:5000/app:1.0` → `1.0`. */
export function tagOf(name: string): string {
  return splitTag(name)[1] ?? "latest";
}

/** A full reference, with the domain and folder that Docker adds to short names. */
export function fullName(name: string): string {
  const tagged = withTag(name);
  const [first, ...rest] = tagged.split("/");
  const hasDomain = rest.length > 0 && first !== undefined && (/[.:]/.test(first) || first === "localhost");
  if (hasDomain) return tagged;
  return `docker.io/${rest.length === 0 ? "library/" : ""}${tagged}`;
}

function splitTag(name: string): [repository: string, tag: string | undefined] {
  const colon = name.lastIndexOf(":");
  return colon > name.lastIndexOf("/") ? [name.slice(0, colon), name.slice(colon + 1)] : [name, undefined];
}
