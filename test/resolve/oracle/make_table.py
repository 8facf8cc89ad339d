"""Asks Python's `packaging` library what Sheaf must answer, and prints the table that test/resolve/oracle.test.ts compares.

    python3 test/resolve/oracle/make_table.py > test/resolve/oracle/table.json

Needs packaging 25 or later, on its own or inside pip (older ones compare some markers in another way).
"""

import json
import sys

try:
    from packaging import __version__, markers, requirements, specifiers, tags, utils, version
except ImportError:
    from pip._vendor.packaging import __version__, markers, requirements, specifiers, tags, utils, version

if int(__version__.split(".")[0]) < 25:
    sys.exit(f"packaging {__version__} is older than 25")

VERSIONS = """1.0 1 1.0.0 1.0.1 1.0a1 1.0b2 1.0rc1 1.0.dev1 1.0a1.dev2 1.0.post1 1.0.post1.dev3 1.0+cu121 1.0+cu118 1.0+abc.1
1.0+abc.2 1.0+1 1!1.0 1!0.5 2.0 2.0rc1 1.1 1.10 0.9 2.3.1 2.3.1+cu121 v1.0 1.0-1 1.0.rev2 1.0c1 1.0PREVIEW3 2024.1.1
1.0rc1.post1 1.0a1.post2.dev1 1.0+ABC-1_2 0 01.02""".split()
OPERANDS = VERSIONS + "1.* 1.0.* 2.3.* 1!1.* 1.0a1.* 1.0.post1.* 1.0+cu121.* whatever".split()
OPERATORS = ["~=", "==", "!=", "<=", ">=", "<", ">", "==="]
SETS = [">=1.0,<2", ">=1.0,!=1.1,<2.0", "", ">=1,", " >= 1.0 , < 1.1 ", ">=3.8,<4", "==1.0,==1.0.0", ">1.0a1,<1.0"]

LITERALS = ["3.12", "3.9", "3.10", "3.12.1", "3.13.0rc1", "3.12.*", "3", "linux", "darwin", "", "posix", "x86_64", "Linux", "CPython", "6.1"]
VARIABLES = ["python_version", "python_full_version", "os_name", "sys_platform", "platform_machine", "platform_system",
             "implementation_name", "implementation_version", "platform_python_implementation", "platform_release"]
MARKER_OPERATORS = ["==", "!=", "<", "<=", ">", ">=", "in", "not in", "~="]
COMPOUND = [
    "python_version >= '3.8' and sys_platform == 'linux' or os_name == 'nt'",
    "python_version >= '3.8' and (sys_platform == 'win32' or os_name == 'posix')",
    "os_name == 'nt' or os_name == 'java' or os_name == 'posix' and python_version < '3'",
    "(((os_name == 'posix')))",
    "'3.12' == python_version",
    "'linux' in sys_platform",
    "sys_platform in 'linux darwin'",
    "sys_platform not in \"win32,cygwin\"",
    "python_version in '3.11 3.12'",
    "python_version not in '3.1, 3.12'",
    "platform_machine == 'aarch64' or platform_machine == 'x86_64'",
    "extra == 'ml'", "extra == 'ML'", "extra == 'm-l'", "extra != 'ml'", "'ml' == extra", "extra == ''",
    "extra == 'ml' and python_version >= '3.12'",
    "extra == 'a_b.c'",
    "platform.machine == 'x86_64'", "python_implementation == 'CPython'", "sys.platform == 'linux'", "os.name=='posix'",
    "python_version>='3.8'and os_name=='posix'",
    "python_full_version < '3.13.0a1'", "python_full_version >= '3.12.1'", "python_full_version == '3.12.*'",
]
BAD_MARKERS = ["", "python_version", "python_version ==", "== '3'", "python_version == 3", "unknown == 'x'", "os_name == 'a' and",
               "(os_name == 'a'", "os_name = 'a'", "os_name == 'a' xor os_name == 'b'", "os_name == \"a'", "os_name not 'a'"]

REQUIREMENTS = ["a", "A_b.C", "a>=1", "a >= 1 , < 2", "a[x]", "a[x,y]>=1", "a [ x , Y_z ] (>=1)", "a@https://example.test/a-1.tar.gz",
                "a @ https://example.test/a.whl ; os_name == 'posix'", "a[x] @ file:///tmp/a.whl", "a;python_version<'3'",
                "a ==1.0 ; python_version<'3' and extra == 'x'", "a===whatever", "a==1.*", "a()", "a[]", "a~=1.4.2", "a>=1.0a1,!=1.1.*",
                "a==1.0+cu121", "a (==1.0)", "a @ git+https://example.test/a.git@v1#egg=a"]
BAD_REQUIREMENTS = ["", "-a", "a-", ".a", "a b", "a>1 b", "a[", "a[x", "a[x y]", "a>=", "a==x y", "a @", "a; os_name", "a>=1;", "a (>=1",
                    "a>=1.*", "a~=1", "[x]", "a==1.0.*.*", "a >=1 <2"]

ENVIRONMENT = {
    "implementation_name": "cpython", "implementation_version": "3.12.1", "os_name": "posix", "platform_machine": "x86_64",
    "platform_python_implementation": "CPython", "platform_release": "", "platform_system": "Linux", "platform_version": "",
    "python_full_version": "3.12.1", "python_version": "3.12", "sys_platform": "linux",
}


def marker(text, extra):
    try:
        return markers.Marker(text).evaluate({**ENVIRONMENT, "extra": extra})
    except markers.UndefinedComparison:
        return False


def contains():
    rows = []
    for text in [operator + operand for operator in OPERATORS for operand in OPERANDS] + SETS:
        try:
            spec = specifiers.SpecifierSet(text)
        except specifiers.InvalidSpecifier:
            rows.append([text, None])
            continue
        rows.append([text, "".join("1" if spec.contains(item, prereleases=True) else "0" for item in VERSIONS)])
    return rows


def marker_rows():
    simple = [f"{variable} {operator} '{literal}'" for variable in VARIABLES for operator in MARKER_OPERATORS for literal in LITERALS]
    swapped = [f"'{literal}' {operator} {variable}" for variable in VARIABLES[:4] for operator in ["==", "<", "in", "not in"] for literal in LITERALS[:6]]
    return [[text, "".join("1" if marker(text, extra) else "0" for extra in ["", "ml", "a-b-c"])] for text in simple + swapped + COMPOUND]


def requirement(text):
    parsed = requirements.Requirement(text)
    return [utils.canonicalize_name(parsed.name), sorted(utils.canonicalize_name(extra) for extra in parsed.extras), parsed.url,
            parsed.marker is not None]


def refused(make, texts, error):
    for text in texts:
        try:
            make(text)
        except error:
            continue
        raise SystemExit(f"{text!r} is accepted")
    return texts


def tag_list(minor, machine, glibc):
    platforms = []
    oldest = 5 if machine == "x86_64" else 17
    legacy = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
    for step in range(glibc, oldest - 1, -1):
        platforms.append(f"manylinux_2_{step}_{machine}")
        if step in legacy:
            platforms.append(f"{legacy[step]}_{machine}")
    platforms.append(f"linux_{machine}")
    interpreter = f"cp3{minor}"
    found = [*tags.cpython_tags((3, minor), abis=[interpreter], platforms=platforms),
             *tags.compatible_tags((3, minor), interpreter=interpreter, platforms=platforms)]
    return [str(tag) for tag in found]


def digest(items):
    import hashlib
    return hashlib.sha256("\n".join(items).encode()).hexdigest()


json.dump(
    {
        "packaging": __version__,
        "versions": [[item, str(version.Version(item))] for item in VERSIONS],
        "sorted": sorted(VERSIONS, key=version.Version),
        "notVersions": refused(version.Version, ["", "x", "1.0.x", "1..0", "1.0+", "1.0-", "1.0+a..b", "1.0 1", "1,0", "!1"], version.InvalidVersion),
        "specifiers": contains(),
        "markers": marker_rows(),
        "notMarkers": refused(markers.Marker, BAD_MARKERS, markers.InvalidMarker),
        "requirements": [[text, requirement(text)] for text in REQUIREMENTS],
        "notRequirements": refused(requirements.Requirement, BAD_REQUIREMENTS, requirements.InvalidRequirement),
        "tags": [[minor, machine, glibc, len(found), digest(found), found[:2] + found[-2:]]
                 for minor, machine, glibc in [(12, "x86_64", 36), (13, "aarch64", 41), (10, "x86_64", 28), (14, "aarch64", 17)]
                 for found in [tag_list(minor, machine, glibc)]],
    },
    sys.stdout,
    indent=0,
)
print()
