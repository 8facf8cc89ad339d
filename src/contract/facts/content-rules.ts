import { mayHoldSecret } from "../../project/secrets.ts";

/** What is kept of a file beside its digest. */
export type Keep = "text" | "head" | "nothing";

/** What checks will ask for, told before the layers are read. */
export interface Interest {
  /** Top-level modules that the image starts: their sources are kept wherever they are installed. */
  startModules: ReadonlySet<string>;
  /** Paths whose content a check of the contract looks at. */
  files: ReadonlySet<string>;
}

/** dpkg's status has a megabyte or two. */
const largestText = 16 * 1024 * 1024;
const largestSource = 2 * 1024 * 1024;
/** Texts that people write secrets into; generated ones are larger. */
const largestScanned = 256 * 1024;
/** All certificates that browsers trust, in one file. */
const largestBundle = 2 * 1024 * 1024;
/** Bytes of `head`. */
export const headSize = 256;

const telling =
  /^(?:etc\/(?:passwd|group|os-release|lsb-release|ld\.so\.conf|ld\.so\.conf\.d\/[^/]+\.conf)|usr\/lib\/os-release|var\/lib\/dpkg\/status(?:\.d\/[^/]+)?|var\/lib\/dpkg\/info\/[^/]+\.(?:list|md5sums))$/;
const metadata =
  /\/[^/]+\.(?:dist-info\/(?:METADATA|RECORD|entry_points\.txt|direct_url\.json|INSTALLER)|egg-info(?:\/(?:PKG-INFO|SOURCES\.txt|installed-files\.txt))?|egg-link|pth)$|(?:^|\/)pyvenv\.cfg$/;

/** Which files say something of the image. */
export function keepOf(path: string, size: number, interest: Interest): Keep {
  if (interest.files.has(path)) return size <= largestText ? "text" : "nothing";
  if (telling.test(path) || metadata.test(path)) return size <= largestText ? "text" : "nothing";
  if (path.endsWith(".py")) return size <= largestSource && isOwnSource(path, interest) ? "text" : "nothing";
  if (path.endsWith(".pyc") || scriptFolder.test(path)) return "head";
  return "nothing";
}

const scriptFolder = /(?:^|\/)s?bin\/[^/]+$/;
const installed = /(?:^|\/)(?:site|dist)-packages\/([^/]+)/;
const standard = /(?:^|\/)lib(?:64)?\/(?:python3\.\d+|pypy3\.\d+)\//;

/** Whether a Python file is the app's: anything but what installers and the interpreter put there. */
function isOwnSource(path: string, { startModules }: Interest): boolean {
  const top = installed.exec(path)?.[1];
  if (top !== undefined) return startModules.has(top.replace(/\.py$/, ""));
  return !standard.test(path) && !path.startsWith("usr/share/");
}

/** The minor version of the interpreter whose folder a source is in, when its hash may be asked for. */
export function minorOf(path: string): string | undefined {
  return path.endsWith(".py") ? /(?:^|\/)lib\/python(3\.\d+)\//.exec(path)?.[1] : undefined;
}

/** Whether a text may hold a secret that its content gives away: what packages and systems generate by the thousand is not read. */
export function isScanned(path: string, size: number): boolean {
  if (size < 16) return false;
  if (/\.(?:pem|key)$/i.test(path)) return size <= largestBundle;
  if (size > largestScanned) return false;
  if (installed.test(path) || standard.test(path)) return mayHoldSecret(path, size) && !path.endsWith(".txt");
  if (generated.test(path)) return false;
  return true;
}

const generated =
  /^(?:usr\/(?:share\/(?:doc|locale|i18n|zoneinfo|perl|man|info|lintian|bash-completion|X11|mime|icons|fonts|ca-certificates)|lib\/(?:locale|gconv|python3)|include)|var\/lib\/dpkg|etc\/(?:ssl\/certs|alternatives)|lib\/udev|proc|sys)\/|\.(?:pyc|pyo|so|a|o|png|jpe?g|gif|webp|ico|woff2?|ttf|otf|eot|mo|gz|xz|zst|zip|whl|jar|pdf|mp[34]|wasm|map|min\.js|css|svg)$|\.so\.[\d.]+$/;
