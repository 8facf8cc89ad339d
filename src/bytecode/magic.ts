/** Magic numbers of final releases (Include/internal/pycore_magic_number.h); they don't change after the first candidate. */
const magicNumbers: Record<string, number | undefined> = {
  "3.9": 3425,
  "3.10": 3439,
  "3.11": 3495,
  "3.12": 3531,
  "3.13": 3571,
  "3.14": 3627,
};

/** The number at the start of a .pyc of a minor such as `3.12`, undefined for minors that aren't known. */
export function magicNumber(minor: string): number | undefined {
  return magicNumbers[minor];
}

/** The four bytes at the start of a .pyc: the number, then CR LF. */
export function magicBytes(number: number): Uint8Array {
  return Uint8Array.of(number & 0xff, number >> 8, 0x0d, 0x0a);
}
