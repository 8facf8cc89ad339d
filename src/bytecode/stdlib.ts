import { tripletOf, type Platform } from "../platform.ts";

/**
 * Modules of the standard library that are loaded though no Python source names them: by the interpreter as it starts, by
 * its C code (`datetime.strptime` imports `_strptime`), by codecs, and under names that are put together at run time.
 * Starting points for `reachModules`, beside the application.
 */
export function alwaysReached(platform: Platform): string[] {
  return [
    ...[
      "site",
      "runpy",
      "encodings",
      "encodings.aliases",
      "codecs",
      "io",
      "abc",
      "os",
      "stat",
      "linecache",
      "traceback",
    ],
    // Codecs that C code asks for: the locale's, host names, zip file names, HTTP headers.
    ...["utf_8", "utf_8_sig", "latin_1", "ascii", "idna", "punycode", "cp437", "unicode_escape"].map(
      (codec) => `encodings.${codec}`,
    ),
    ...["_strptime", "_pylong", "_compat_pickle", "copyreg", "warnings", "decimal", "zoneinfo", "zoneinfo._common"],
    ...["importlib", "importlib.util", "importlib.machinery", "importlib.metadata", "importlib.resources"],
    // 68 KB of source that sysconfig.get_config_vars() imports by a name that it puts together.
    `_sysconfigdata__linux_${tripletOf(platform)}`,
  ];
}
