/**
 * Top-level modules of CPython's standard library, those of other platforms too. The table is what all minors share and
 * what each of them has beyond that: print `sys.stdlib_module_names` with a new minor's interpreter, and put what differs
 * into `changes`; the test compares the table with every interpreter that it finds.
 *
 * @param minor `3.12`, or a full version; an unknown one gets the newest table
 */
export function standardLibrary(minor: string): ReadonlySet<string> {
  const wanted = Number(/^3\.(\d+)/.exec(minor)?.[1] ?? newest);
  const known = sets.get(wanted);
  if (known) return known;
  const modules = new Set(shared.trim().split(/\s+/));
  for (const { names, from, to } of changes) {
    if (wanted < (from ?? 0) || wanted > (to ?? Infinity)) continue;
    for (const name of names.split(" ")) modules.add(name);
  }
  sets.set(wanted, modules);
  return modules;
}

const sets = new Map<number, ReadonlySet<string>>();
const newest = 14;

/** Modules by the first and last minor version of Python 3 that has them. */
const changes: { names: string; from?: number; to?: number }[] = [
  { names: "_bootlocale _peg_parser formatter parser symbol", to: 9 },
  { names: "binhex", to: 10 },
  { names: "_bootsubprocess _sha256 _sha512 asynchat asyncore distutils imp smtpd", to: 11 },
  {
    names:
      "_crypt _msi aifc audioop cgi cgitb chunk crypt imghdr lib2to3 mailcap msilib nis nntplib ossaudiodev pipes sndhdr spwd sunau telnetlib uu xdrlib",
    to: 12,
  },
  { names: "_tokenize _typing tomllib", from: 11 },
  { names: "_pydatetime _pylong _sha2", from: 12 },
  {
    names:
      "_android_support _colorize _interpchannels _interpqueues _interpreters _ios_support _opcode_metadata _pyrepl _suggestions _sysconfig _wmi",
    from: 13,
  },
  {
    names: "_apple_support _ast_unparse _hmac _py_warnings _remote_debugging _types _zstd annotationlib compression",
    from: 14,
  },
];

const shared = `
  __future__ _abc _aix_support _ast _asyncio _bisect _blake2 _bz2 _codecs _codecs_cn _codecs_hk _codecs_iso2022
  _codecs_jp _codecs_kr _codecs_tw _collections _collections_abc _compat_pickle _compression _contextvars _csv
  _ctypes _curses _curses_panel _datetime _dbm _decimal _elementtree _frozen_importlib _frozen_importlib_external
  _functools _gdbm _hashlib _heapq _imp _io _json _locale _lsprof _lzma _markupbase _md5 _multibytecodec
  _multiprocessing _opcode _operator _osx_support _overlapped _pickle _posixshmem _posixsubprocess _py_abc
  _pydecimal _pyio _queue _random _scproxy _sha1 _sha3 _signal _sitebuiltins _socket _sqlite3 _sre _ssl _stat
  _statistics _string _strptime _struct _symtable _thread _threading_local _tkinter _tracemalloc _uuid _warnings
  _weakref _weakrefset _winapi _zoneinfo abc antigravity argparse array ast asyncio atexit base64 bdb binascii
  bisect builtins bz2 cProfile calendar cmath cmd code codecs codeop collections colorsys compileall concurrent
  configparser contextlib contextvars copy copyreg csv ctypes curses dataclasses datetime dbm decimal difflib dis
  doctest email encodings ensurepip enum errno faulthandler fcntl filecmp fileinput fnmatch fractions ftplib
  functools gc genericpath getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac html http idlelib
  imaplib importlib inspect io ipaddress itertools json keyword linecache locale logging lzma mailbox marshal math
  mimetypes mmap modulefinder msvcrt multiprocessing netrc nt ntpath nturl2path numbers opcode operator optparse os
  pathlib pdb pickle pickletools pkgutil platform plistlib poplib posix posixpath pprint profile pstats pty pwd
  py_compile pyclbr pydoc pydoc_data pyexpat queue quopri random re readline reprlib resource rlcompleter runpy
  sched secrets select selectors shelve shlex shutil signal site smtplib socket socketserver sqlite3 sre_compile
  sre_constants sre_parse ssl stat statistics string stringprep struct subprocess symtable sys sysconfig syslog
  tabnanny tarfile tempfile termios textwrap this threading time timeit tkinter token tokenize trace traceback
  tracemalloc tty turtle turtledemo types typing unicodedata unittest urllib uuid venv warnings wave weakref
  webbrowser winreg winsound wsgiref xml xmlrpc zipapp zipfile zipimport zlib zoneinfo
`;
