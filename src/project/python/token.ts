/** Kinds of tokens. An operator of one character has its char code (33 to 126) as its kind. */
export const token = {
  name: 1,
  number: 2,
  /** A plain, raw or bytes literal, with its prefix and quotes. */
  string: 3,
  /** An f-string or t-string, whole, with everything nested in it. */
  format: 4,
  arrow: 128,
  walrus: 129,
  /** `==`, `!=`, `<=`, `>=` */
  comparison: 130,
  /** `+=` and its like */
  augmented: 131,
  /** `**`, `//`, `<<`, `>>` */
  double: 132,
  ellipsis: 133,
} as const;
