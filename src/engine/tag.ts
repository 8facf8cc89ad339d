/** Splits `registry:5000/app:1.0` into name and tag; `latest` where there is none. */
export function splitTag(reference: string): [name: string, tag: string] {
  const [, name = reference, tag = "latest"] = /^(.+?)(?::([^:/]+))?$/.exec(reference) ?? [];
  return [name, tag];
}
