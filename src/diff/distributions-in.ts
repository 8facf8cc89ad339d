import { installedDistributions } from "../contract/facts/distributions.ts";
import { type ImageFacts, textOf } from "../contract/facts/image-facts.ts";
import { normalizeName } from "../wheel/filename.ts";
import { parseHeaders } from "../wheel/headers.ts";

/**
 * Every distribution of an image: those in site-packages, and those that lie beside their sources, as a project in a folder of
 * PYTHONPATH does. What distributions carry of others within themselves doesn't count.
 */
export function distributionsIn(facts: ImageFacts): { name: string; version: string }[] {
  const beside = [...facts.files].flatMap(([path, file]) => {
    const isMetadata = path.endsWith(".dist-info/METADATA") && !/(?:^|\/)(?:site|dist)-packages\//.test(path);
    const text = isMetadata ? textOf(file) : undefined;
    if (text === undefined) return [];
    const { headers } = parseHeaders(Buffer.from(text));
    const [name, version] = [headers.get("name")?.[0], headers.get("version")?.[0]];
    return name === undefined || version === undefined ? [] : [{ name: normalizeName(name), version }];
  });
  return [...facts.derived(installedDistributions), ...beside];
}
