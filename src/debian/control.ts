/** Fields of one paragraph in their order. Continuation lines keep their newline and leading space. */
export type Paragraph = Map<string, string>;

/**
 * Parses the control file syntax (Debian policy 5.1, deb822(5)): paragraphs parted by blank lines, `Name: value`,
 * continuation lines that begin with a space or tab, comments that begin with `#`. Names are kept as they are written;
 * `field` looks them up in any case. Lines that are none of these are skipped, as apt does.
 */
export function parseControl(text: string): Paragraph[] {
  const paragraphs: Paragraph[] = [];
  let current: Paragraph = new Map();
  let name: string | undefined;
  for (const line of text.split("\n")) {
    if (line.trim() === "") {
      if (current.size > 0) paragraphs.push(current);
      current = new Map();
      name = undefined;
      continue;
    }
    if (line.startsWith("#")) continue;
    if (line.startsWith(" ") || line.startsWith("\t")) {
      if (name !== undefined) current.set(name, `${current.get(name) ?? ""}\n${line.trimEnd()}`);
      continue;
    }
    const colon = line.indexOf(":");
    name = colon > 0 ? line.slice(0, colon).trim() : undefined;
    if (name !== undefined) current.set(name, line.slice(colon + 1).trim());
  }
  if (current.size > 0) paragraphs.push(current);
  return paragraphs;
}

/** The value of a field whatever the case of its name. */
export function field(paragraph: Paragraph, name: string): string | undefined {
  const exact = paragraph.get(name);
  if (exact !== undefined) return exact;
  const wanted = name.toLowerCase();
  for (const [key, value] of paragraph) if (key.toLowerCase() === wanted) return value;
  return undefined;
}

/** Writes a paragraph so that `parseControl` reads the same; ends with one newline. */
export function formatParagraph(paragraph: Iterable<[string, string]>): string {
  let text = "";
  for (const [name, value] of paragraph) text += value.startsWith("\n") ? `${name}:${value}\n` : `${name}: ${value}\n`;
  return text;
}
