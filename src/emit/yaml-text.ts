import { Alias, Document, Pair, Scalar, YAMLMap, YAMLSeq } from "yaml";

/** What a YAML file is made of: plain values, and values that say how they are written. */
export type YamlValue =
  | string
  | number
  | boolean
  | null
  | undefined
  | YamlValue[]
  | { [key: string]: YamlValue }
  | Styled;

interface YamlStyle {
  comment?: string;
  /** A blank line above. */
  apart?: boolean;
  flow?: boolean;
  quoted?: boolean;
  anchor?: string;
  alias?: string;
}

/** A value with how it is written. */
class Styled {
  readonly value: YamlValue;
  readonly style: YamlStyle;

  constructor(value: YamlValue, style: YamlStyle) {
    this.value = value;
    this.style = style;
  }
}

/** With a comment above its key, or above it in a list. Lines are the caller's. */
export function commented(comment: string, value: YamlValue): YamlValue {
  const { value: inner, style } = value instanceof Styled ? value : { value, style: {} };
  return new Styled(inner, { ...style, comment });
}

/** With a blank line above its key. */
export function apart(value: YamlValue): YamlValue {
  const { value: inner, style } = value instanceof Styled ? value : { value, style: {} };
  return new Styled(inner, { ...style, apart: true });
}

/** A list on one line: `["CMD", "wget"]`. */
export function inline(items: YamlValue[]): YamlValue {
  return new Styled(items, { flow: true });
}

/** A string in quotes, where readers of older YAML would take it for something else. */
export function quoted(text: string): YamlValue {
  return new Styled(text, { quoted: true });
}

/** A value that others refer to. */
export function anchored(anchor: string, value: YamlValue): YamlValue {
  const { value: inner, style } = value instanceof Styled ? value : { value, style: {} };
  return new Styled(inner, { ...style, anchor });
}

/** A reference to it: `<<: *name` merges a map. */
export function aliasOf(anchor: string): YamlValue {
  return new Styled(null, { alias: anchor });
}

/**
 * A YAML text. Keys keep their order, undefined ones are left out, and what older YAML reads as something other than a
 * string (`no`, `1:30`) is quoted.
 *
 * @param comment lines above everything
 */
export function yamlText(value: YamlValue, comment?: string): string {
  const document = new Document(null, { compat: "yaml-1.1", aliasDuplicateObjects: false } as object);
  document.contents = nodeOf(value) as never;
  if (comment !== undefined) document.commentBefore = commentText(comment);
  return (
    document
      // `NAME:` with nothing behind it is how compose is told to pass a variable through.
      .toString({ lineWidth: 0, indentSeq: true, flowCollectionPadding: false, nullStr: "" })
      // Merged only where it is not in quotes.
      .replaceAll(/^( *)"<<": \*/gm, "$1<<: *")
  );
}

function nodeOf(value: YamlValue): Scalar | YAMLMap | YAMLSeq | Alias {
  if (!(value instanceof Styled)) return plainNode(value);
  const { style } = value;
  if (style.alias !== undefined) return new Alias(style.alias);
  const node = plainNode(value.value);
  if (style.flow && node instanceof YAMLSeq) node.flow = true;
  if (style.quoted && node instanceof Scalar) node.type = Scalar.QUOTE_DOUBLE;
  if (style.anchor !== undefined) node.anchor = style.anchor;
  return node;
}

function plainNode(value: YamlValue): Scalar | YAMLMap | YAMLSeq {
  if (Array.isArray(value)) {
    const list = new YAMLSeq();
    for (const item of value.filter((each) => each !== undefined)) {
      const node = nodeOf(item);
      if (item instanceof Styled && item.style.comment !== undefined)
        node.commentBefore = commentText(item.style.comment);
      list.items.push(node);
    }
    return list;
  }
  if (value === null || typeof value !== "object") {
    const scalar = new Scalar(value);
    // YAML 1.1 gives a lone equals sign a meaning that most readers then refuse.
    if (value === "=") scalar.type = Scalar.QUOTE_DOUBLE;
    return scalar;
  }
  const map = new YAMLMap();
  for (const [name, item] of Object.entries(value)) {
    if (item === undefined) continue;
    const key = new Scalar(name);
    if (item instanceof Styled) {
      if (item.style.comment !== undefined) key.commentBefore = commentText(item.style.comment);
      key.spaceBefore = item.style.apart ?? false;
    }
    map.items.push(new Pair(key, nodeOf(item)));
  }
  return map;
}

function commentText(text: string): string {
  return text
    .split("\n")
    .map((line) => (line === "" ? "" : ` ${line}`))
    .join("\n");
}
