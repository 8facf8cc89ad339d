/** Where things are bound in the sandbox. */
export const buildFolders = { source: "/build/source", environment: "/build/env", out: "/build/out" } as const;

/** The backend asked for requirements that aren't installed; they are in `requires.json`. */
export const needsMore = 3;

/**
 * The front end of PEP 517 that runs in the sandbox: arguments are the backend and, as JSON, its backend-path. The source is
 * bound read-only and copied first, because backends write beside it. get_requires_for_build_wheel may ask for more than
 * [build-system] does: what is missing is written down and nothing built.
 */
export const buildProgram = `
import json, os, re, shutil, sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
source, out = sys.argv[3], sys.argv[4]
work = os.path.join(os.environ["TMPDIR"], "source")
shutil.copytree(source, work)
os.chdir(work)
sys.path[:0] = [os.path.join(work, folder) for folder in json.loads(sys.argv[2])]
module, _, attributes = sys.argv[1].partition(":")
backend = import_module(module)
for attribute in filter(None, attributes.split(".")):
    backend = getattr(backend, attribute)
def installed(requirement):
    try:
        version(re.match(r"[A-Za-z0-9._-]+", requirement).group())
        return True
    except PackageNotFoundError:
        return False
more = getattr(backend, "get_requires_for_build_wheel", lambda settings: [])({})
more = [requirement for requirement in more if not installed(requirement)]
if more:
    with open(os.path.join(out, "requires.json"), "w") as file:
        json.dump(more, file)
    sys.exit(${needsMore})
backend.build_wheel(out, {}, None)
`;
