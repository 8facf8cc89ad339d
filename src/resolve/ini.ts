/**
 * Sections of an ini file as Python's configparser reads them for pip: `key = value`, `key: value`, indented lines that go
 * on with the value, and comments in lines of their own.
 */
export function parseIni(text: string): Map<string, Map<string, string>> {
  const sections = new Map<string, Map<string, string>>();
  let section: Map<string, string> | undefined;
  let key: string | undefined;
  for (const line of text.split(/\r\n|\r|\n/)) {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#") || trimmed.startsWith(";")) continue;
    const header = /^\[([^\]]+)\]$/.exec(trimmed)?.[1];
    if (header !== undefined && !/^\s/.test(line)) {
      section = sections.get(header) ?? new Map();
      sections.set(header, section);
      key = undefined;
      continue;
    }
    if (/^\s/.test(line) && key !== undefined && section) {
      section.set(key, `${section.get(key) ?? ""}\n${trimmed}`.trim());
      continue;
    }
    const [, name, value = ""] = /^([^=:]+?)\s*[=:]\s*(.*)$/.exec(trimmed) ?? [];
    if (name === undefined || !section) continue;
    key = name.toLowerCase();
    section.set(key, value);
  }
  return sections;
}
