import { SheafError } from "../errors.ts";

/** 1980-01-01: the earliest time that zip archives, made from such files, can hold. */
const epoch = 315_532_800;

/** Seconds since 1970 for every entry and for the image itself: SOURCE_DATE_EPOCH, or the same day for everybody. */
export function createdTime(environment: NodeJS.ProcessEnv = process.env): number {
  const text = environment["SOURCE_DATE_EPOCH"];
  if (text === undefined || text === "") return epoch;
  if (/^\d{1,11}$/.test(text)) return Number(text);
  throw new SheafError(
    "SHEAF_SOURCE_DATE_EPOCH",
    `SOURCE_DATE_EPOCH is ${JSON.stringify(text)}, which is not a number of seconds`,
    {
      hint: "for example SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)",
    },
  );
}
