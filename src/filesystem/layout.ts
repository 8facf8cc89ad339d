/** Where Python's parts are in an image: sysconfig's scheme, as paths from the root without a leading slash. */
export interface PythonLayout {
  /** Absolute path of the interpreter inside the image: `/usr/local/bin/python3.12`. */
  executable: string;
  /** `usr/local/lib/python3.12/site-packages` */
  purelib: string;
  platlib: string;
  /** `usr/local/bin` */
  scripts: string;
  /** `usr/local` */
  data: string;
  /** `usr/local/include/python3.12` */
  include: string;
  /** The standard library: `usr/local/lib/python3.12` */
  stdlib: string;
  /** Folders below `data` that are symbolic links in the image below: `usr/local/man` → `usr/local/share/man`. */
  links?: Record<string, string>;
  /** `cpython-312`, the tag in .pyc names. */
  cacheTag: string;
}
