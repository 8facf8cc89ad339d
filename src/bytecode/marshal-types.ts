const code = (character: string) => character.charCodeAt(0);

/** The bit of a type byte that makes the object referable. */
export const mark = 0x80;

/** The type bytes of Python/marshal.c that code objects hold. */
export const types = {
  null: code("0"),
  none: code("N"),
  false: code("F"),
  true: code("T"),
  stopIteration: code("S"),
  ellipsis: code("."),
  int: code("i"),
  float: code("g"),
  complex: code("y"),
  long: code("l"),
  bytes: code("s"),
  interned: code("t"),
  unicode: code("u"),
  ascii: code("a"),
  asciiInterned: code("A"),
  shortAscii: code("z"),
  shortAsciiInterned: code("Z"),
  smallTuple: code(")"),
  tuple: code("("),
  frozenset: code(">"),
  slice: code(":"),
  code: code("c"),
  ref: code("r"),
} as const;

/** Written without a mark, since they are one object everywhere. */
export function isSingleton(type: number): boolean {
  switch (type) {
    case types.null:
    case types.none:
    case types.false:
    case types.true:
    case types.stopIteration:
    case types.ellipsis:
      return true;
    default:
      return false;
  }
}

/** The type of a string that the interpreter interns when it loads it. */
export function internedType(type: number): number {
  if (type === types.shortAscii) return types.shortAsciiInterned;
  if (type === types.ascii) return types.asciiInterned;
  return type === types.unicode ? types.interned : type;
}

/** The type without that promise: what two equal strings have in common. */
export function plainType(type: number): number {
  if (type === types.shortAsciiInterned) return types.shortAscii;
  if (type === types.asciiInterned) return types.ascii;
  return type === types.interned ? types.unicode : type;
}
