import {
  BYTE_ORDER_MARK,
  TAB,
  NEWLINE,
  FORM_FEED,
  RETURN,
  SPACE,
  DOUBLE_QUOTE,
  HASH,
  SINGLE_QUOTE,
  OPEN_ROUND,
  CLOSE_ROUND,
  STAR,
  MINUS,
  DOT,
  SLASH,
  ZERO,
  NINE,
  COLON,
  LESS,
  EQUALS,
  GREATER,
  UPPER_N,
  OPEN_SQUARE,
  BACKSLASH,
  CLOSE_SQUARE,
  OPEN_CURLY,
  CLOSE_CURLY,
} from "./characters.ts";
import {
  BLANK,
  LINE_END,
  IDENTIFIER,
  DIGIT,
  QUOTE,
  OPERATOR,
  classes,
  identifierPart,
  beforeEquals,
  isIdentifierPart,
  stringPrefix,
  endOfLine,
  endOfNumber,
} from "./lexical-tables.ts";
import { token } from "./token.ts";

/** A logical line (Python reference, 2.1.1) in arrays that the next line overwrites, so that nothing is allocated a token. */
export interface LogicalLine {
  /** Columns of indentation; a tab goes to the next multiple of eight. */
  indent: number;
  /** Number of tokens; the arrays are longer. */
  count: number;
  kinds: Uint8Array;
  /** Offsets into the source. */
  starts: Int32Array;
  ends: Int32Array;
  /** Line of the file on which a token starts, from 1. */
  lines: Int32Array;
}

/**
 * Splits Python source into logical lines of tokens, after the reference's lexical analysis up to 3.14: bytes, raw, f- and
 * t-strings (nested, PEP 701), continuation, brackets, form feeds, any line ends. Source that Python would refuse gives
 * some tokens and never an exception.
 */
export class PythonLexer implements LogicalLine {
  readonly source: string;
  indent = 0;
  count = 0;
  kinds = new Uint8Array(256);
  starts = new Int32Array(256);
  ends = new Int32Array(256);
  lines = new Int32Array(256);
  #position: number;
  #line = 1;

  constructor(source: string) {
    this.source = source;
    this.#position = source.charCodeAt(0) === BYTE_ORDER_MARK ? 1 : 0;
  }

  /** Reads the next logical line into this object; false at the end of the source. */
  next(): boolean {
    this.count = 0;
    if (!this.#startLine()) return false;
    this.#readTokens();
    return true;
  }

  text(index: number): string {
    return this.source.slice(this.starts[index], this.ends[index]);
  }

  /** Skips blank and comment lines, measures the indentation. */
  #startLine(): boolean {
    const { source } = this;
    let position = this.#position;
    let indent = 0;
    for (;;) {
      const code = source.charCodeAt(position);
      if (code === SPACE) indent++;
      else if (code === TAB) indent = (indent | 7) + 1;
      else if (code === FORM_FEED) indent = 0;
      else if (code === NEWLINE || code === RETURN) {
        if (code === RETURN && source.charCodeAt(position + 1) === NEWLINE) position++;
        this.#line++;
        indent = 0;
      } else if (code === HASH) {
        position = endOfLine(source, position);
        continue;
      } else if (position >= source.length) {
        this.#position = position;
        return false;
      } else break;
      position++;
    }
    this.#position = position;
    this.indent = indent;
    return true;
  }

  #readTokens(): void {
    const { source } = this;
    const { length } = source;
    let depth = 0;
    while (this.#position < length) {
      const start = this.#position;
      const code = source.charCodeAt(start);
      const kind = code < 128 ? (classes[code] as number) : IDENTIFIER;
      if (kind === BLANK) {
        this.#position++;
      } else if (kind === IDENTIFIER) {
        this.#readName(start);
      } else if (kind === OPERATOR) {
        if (code === OPEN_ROUND || code === OPEN_SQUARE || code === OPEN_CURLY) depth++;
        else if ((code === CLOSE_ROUND || code === CLOSE_SQUARE || code === CLOSE_CURLY) && depth > 0) depth--;
        this.#readOperator(start, code);
      } else if (kind === LINE_END) {
        this.#position++;
        if (code === RETURN && source.charCodeAt(this.#position) === NEWLINE) this.#position++;
        this.#line++;
        if (depth === 0 && this.count > 0) return;
      } else if (kind === QUOTE) {
        this.#readString(start, start, false);
      } else if (kind === DIGIT) {
        this.#position = endOfNumber(source, start);
        this.#push(token.number, start, this.#line);
      } else if (code === HASH) {
        this.#position = endOfLine(source, start);
      } else {
        this.#readBackslash(start);
      }
    }
  }

  #push(kind: number, start: number, line: number): void {
    const index = this.count++;
    if (index === this.kinds.length) this.#grow();
    this.kinds[index] = kind;
    this.starts[index] = start;
    this.ends[index] = this.#position;
    this.lines[index] = line;
  }

  #grow(): void {
    const length = this.kinds.length * 2;
    const grown = <T extends Uint8Array | Int32Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    this.kinds = grown(this.kinds, new Uint8Array(length));
    this.starts = grown(this.starts, new Int32Array(length));
    this.ends = grown(this.ends, new Int32Array(length));
    this.lines = grown(this.lines, new Int32Array(length));
  }

  #readName(start: number): void {
    const { source } = this;
    let position = start + 1;
    for (;;) {
      const code = source.charCodeAt(position);
      // NaN, at the end of the source, fails both comparisons.
      if (code < 128 ? identifierPart[code] === 0 : !(code >= 128)) {
        if ((code === DOUBLE_QUOTE || code === SINGLE_QUOTE) && position - start <= 2) {
          const prefix = stringPrefix(source, start, position);
          if (prefix !== undefined) return this.#readString(start, position, prefix === "format");
        }
        break;
      }
      position++;
    }
    this.#position = position;
    this.#push(token.name, start, this.#line);
  }

  #readString(start: number, quote: number, format: boolean): void {
    const line = this.#line;
    this.#position = quote;
    if (format) this.#skipFormat(0);
    else this.#skipString();
    this.#push(format ? token.format : token.string, start, line);
  }

  /** From an opening quote to after the closing one, or to the end of the line when a short literal isn't closed. */
  #skipString(): void {
    const { source } = this;
    const { length } = source;
    let position = this.#position;
    const quote = source.charCodeAt(position);
    const triple = source.charCodeAt(position + 1) === quote && source.charCodeAt(position + 2) === quote;
    position += triple ? 3 : 1;
    while (position < length) {
      const code = source.charCodeAt(position);
      if (code === quote) {
        if (!triple) {
          position++;
          break;
        }
        if (source.charCodeAt(position + 1) === quote && source.charCodeAt(position + 2) === quote) {
          position += 3;
          break;
        }
      } else if (code === BACKSLASH) {
        // The escaped character is taken with it, a line end by the branch below.
        const next = source.charCodeAt(position + 1);
        if (next !== NEWLINE && next !== RETURN) position++;
        else {
          position++;
          if (next === RETURN && source.charCodeAt(position + 1) === NEWLINE) position++;
          this.#line++;
        }
      } else if (code === NEWLINE || code === RETURN) {
        if (!triple) break;
        if (code === RETURN && source.charCodeAt(position + 1) === NEWLINE) position++;
        this.#line++;
      }
      position++;
    }
    this.#position = position < length ? position : length;
  }

  /** The same for an f-string, whose replacement fields hold any expression, with strings of the same quotes (PEP 701). */
  #skipFormat(nesting: number): void {
    const { source } = this;
    const { length } = source;
    const quote = source.charCodeAt(this.#position);
    const triple = source.charCodeAt(this.#position + 1) === quote && source.charCodeAt(this.#position + 2) === quote;
    this.#position += triple ? 3 : 1;
    while (this.#position < length) {
      const code = source.charCodeAt(this.#position);
      const next = source.charCodeAt(this.#position + 1);
      if (code === quote && (!triple || (next === quote && source.charCodeAt(this.#position + 2) === quote))) {
        this.#position += triple ? 3 : 1;
        return;
      }
      if (code === BACKSLASH) {
        this.#position++;
        // `\{` opens a field all the same, `\N{…}` names a character.
        if (next === UPPER_N && source.charCodeAt(this.#position + 1) === OPEN_CURLY) {
          const close = source.indexOf("}", this.#position);
          this.#position = close === -1 ? length : close + 1;
        } else if (next === NEWLINE || next === RETURN) this.#skipLineEnd();
        else if (next !== OPEN_CURLY) this.#position++;
      } else if (code === OPEN_CURLY) {
        this.#position++;
        if (next === OPEN_CURLY) this.#position++;
        else if (nesting < MAX_NESTING && !this.#skipField({ quote, triple, nesting })) return;
      } else if (code === NEWLINE || code === RETURN) {
        if (!triple) return;
        this.#skipLineEnd();
      } else this.#position++;
    }
    this.#position = length;
  }

  /** A replacement field, from after `{` to after `}`; false when the string breaks off inside it. */
  #skipField(string: FormatString): boolean {
    const { source } = this;
    const { length } = source;
    let depth = 0;
    while (this.#position < length) {
      const code = source.charCodeAt(this.#position);
      if (code === CLOSE_CURLY && depth === 0) {
        this.#position++;
        return true;
      }
      if (code === COLON && depth === 0) return this.#skipFormatSpec(string);
      if (code === OPEN_ROUND || code === OPEN_SQUARE || code === OPEN_CURLY) depth++;
      else if (code === CLOSE_ROUND || code === CLOSE_SQUARE || code === CLOSE_CURLY) depth--;
      else if (code === NEWLINE || code === RETURN) {
        this.#skipLineEnd();
        continue;
      } else if (code === HASH) {
        this.#position = endOfLine(source, this.#position);
        continue;
      } else if (code === SINGLE_QUOTE || code === DOUBLE_QUOTE) {
        this.#skipNested(string);
        continue;
      } else if (code === BACKSLASH) {
        this.#position++;
        continue;
      }
      this.#position++;
    }
    return false;
  }

  #skipNested({ nesting }: FormatString): void {
    const { source } = this;
    let start = this.#position;
    while (start > 0 && this.#position - start < 2 && isIdentifierPart(source.charCodeAt(start - 1))) start--;
    const format = stringPrefix(source, start, this.#position) === "format";
    if (format) this.#skipFormat(nesting + 1);
    else this.#skipString();
  }

  #skipFormatSpec(string: FormatString): boolean {
    const { source } = this;
    const { length } = source;
    this.#position++;
    while (this.#position < length) {
      const code = source.charCodeAt(this.#position);
      if (code === CLOSE_CURLY) {
        this.#position++;
        return true;
      }
      if (code === OPEN_CURLY) {
        this.#position++;
        if (string.nesting >= MAX_NESTING) return false;
        if (!this.#skipField({ ...string, nesting: string.nesting + 1 })) return false;
      } else if (code === NEWLINE || code === RETURN) {
        if (!string.triple) return false;
        this.#skipLineEnd();
      } else if (code === string.quote && !string.triple) {
        this.#position++;
        return false;
      } else if (code === BACKSLASH) {
        this.#position++;
        const next = source.charCodeAt(this.#position);
        if (next === NEWLINE || next === RETURN) this.#skipLineEnd();
        else this.#position++;
      } else this.#position++;
    }
    return false;
  }

  #skipLineEnd(): void {
    const { source } = this;
    if (source.charCodeAt(this.#position) === RETURN && source.charCodeAt(this.#position + 1) === NEWLINE)
      this.#position++;
    this.#position++;
    this.#line++;
  }

  #readBackslash(start: number): void {
    const next = this.source.charCodeAt(start + 1);
    this.#position++;
    if (this.source.charCodeAt(start) === BACKSLASH && (next === NEWLINE || next === RETURN)) this.#skipLineEnd();
  }

  #readOperator(start: number, code: number): void {
    const { source } = this;
    const next = source.charCodeAt(start + 1);
    if (code === DOT) {
      if (next >= ZERO && next <= NINE) {
        this.#position = endOfNumber(source, start);
        return this.#push(token.number, start, this.#line);
      }
      if (next === DOT && source.charCodeAt(start + 2) === DOT) {
        this.#position += 3;
        return this.#push(token.ellipsis, start, this.#line);
      }
    }
    this.#position++;
    if (next === EQUALS && beforeEquals[code] !== 0) {
      this.#position++;
      return this.#push(beforeEquals[code] as number, start, this.#line);
    }
    if (code === MINUS && next === GREATER) {
      this.#position++;
      return this.#push(token.arrow, start, this.#line);
    }
    if (code === next && (code === STAR || code === SLASH || code === LESS || code === GREATER)) {
      this.#position++;
      if (source.charCodeAt(this.#position) !== EQUALS) return this.#push(token.double, start, this.#line);
      this.#position++;
      return this.#push(token.augmented, start, this.#line);
    }
    this.#push(code, start, this.#line);
  }
}

interface FormatString {
  quote: number;
  triple: boolean;
  nesting: number;
}

/** CPython's own limit on nested f-strings is 150; deeper ones come from nobody's hand. */
const MAX_NESTING = 150;
