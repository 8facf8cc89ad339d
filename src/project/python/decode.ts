/**
 * The text of a Python source file: UTF-8 unless a byte order mark or a PEP 263 cookie in the first two lines says otherwise.
 * Bytes that don't fit become U+FFFD; an encoding that is unknown here is read as UTF-8.
 */
export function decodePython(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer[0] === 0xef && buffer[1] === 0xbb && buffer[2] === 0xbf) return buffer.toString("utf8", 3);
  const head = buffer.toString("latin1", 0, 400);
  const cookie = /^(?:[ \t\f]*(?:#[^\r\n]*)?(?:\r\n?|\n))?[ \t\f]*#[^\r\n]*?coding[:=][ \t]*([-\w.]+)/.exec(head)?.[1];
  const encoding = cookie === undefined ? "utf-8" : cookie.toLowerCase().replaceAll("_", "-");
  if (/^(?:utf-?8(?:-.*)?|u8|ascii|us-ascii)$/.test(encoding)) return buffer.toString("utf8");
  if (/^(?:latin-?1|iso-?8859-1|l1)(?:-.*)?$/.test(encoding)) return buffer.toString("latin1");
  try {
    return new TextDecoder(encoding).decode(buffer);
  } catch {
    return buffer.toString("utf8");
  }
}
