import type { StaticCheck } from "../check.ts";
import { installedDistributions } from "../facts/distributions.ts";
import type { ImageFacts } from "../facts/image-facts.ts";
import { elfObjects } from "../facts/native.ts";
import { ownersOf } from "../facts/owners.ts";
import { installedPackages } from "../facts/packages.ts";
import { probeOf } from "../facts/probe.ts";
import { pythonEnvironments } from "../facts/pythons.ts";
import { fail, notApplicable, pass } from "../finding.ts";
import { firstOf } from "../lists.ts";

export const scannerOs: StaticCheck = {
  id: "scanner.os",
  title: "scanners can tell the distribution",
  holds: "/etc/os-release has ID and VERSION_ID where packages of a distribution are installed.",
  why: "Without them trivy and grype look no package up: an image with holes is reported as clean.",
  sources: ["os-release(5)", "syft: no deb PURL without a distribution"],
  run: ({ facts }) => {
    const hasPackages =
      facts.derived(installedPackages).length > 0 ||
      facts.files.has("lib/apk/db/installed") ||
      facts.files.has("var/lib/rpm");
    const text = facts.text("etc/os-release") ?? facts.text("usr/lib/os-release");
    if (!hasPackages && text === undefined) return notApplicable("no packages of a distribution");
    const field = (name: string) => new RegExp(`^${name}=["']?([^"'\\n]+)`, "m").exec(text ?? "")?.[1];
    const [id, version] = [field("ID"), field("VERSION_ID")];
    if (id !== undefined && (version !== undefined || /^VERSION_CODENAME=/m.test(text ?? "")))
      return pass(`${id} ${version ?? "unreleased"}`);
    return fail(
      text === undefined
        ? "there is no /etc/os-release"
        : `/etc/os-release has no ${id === undefined ? "ID" : "VERSION_ID"}`,
      {
        hint: "keep the distribution's own os-release (package base-files)",
      },
    );
  },
};

/** Where packages of the distribution put programs and libraries. */
const packaged = /^(?:usr\/)?(?:bin|sbin|lib(?:32|64)?)\/(?!python3\.\d+\/|modules\/)/;
/** What slim images leave out of every package. */
const excluded = /^usr\/share\/(?:doc|man|locale|info|lintian|linda|groff|bug|bash-completion)(?:\/|$)/;

export const scannerPackages: StaticCheck = {
  id: "scanner.packages",
  title: "scanners see the Debian packages that are installed",
  holds:
    "Every package of dpkg's database has a list of files and at least one of them is there; every ELF file in the system's folders is on a list.",
  why: "Packages that were unpacked by hand, or whose database was deleted, have holes that nobody is told of; removed ones are reported for ever.",
  sources: ["dpkg(1): status, md5sums", "trivy issue 9046", "syft issue 3912", "distroless: PACKAGE_METADATA.md"],
  run: ({ facts }) => {
    const packages = facts.derived(installedPackages);
    const isDebian =
      packages.length > 0 || /^ID(?:_LIKE)?=.*\b(?:debian|ubuntu)\b/m.test(facts.text("etc/os-release") ?? "");
    if (!isDebian) return notApplicable("it is no image of Debian's packages");
    const owners = facts.derived(ownersOf);
    const gone = packages.flatMap(({ name, files }) => {
      if (files === undefined) return [`${name} has no list of its files`];
      // Lists name folders too; of some packages nothing else.
      const types = files.filter((path) => !excluded.test(path)).map((path) => typeAt(facts, path));
      return types.every((type) => type === "directory") ||
        types.some((type) => type !== undefined && type !== "directory")
        ? []
        : [`${name} is in the database, but none of its files is there`];
    });
    const unlisted = facts
      .derived(elfObjects)
      .filter(({ path }) => packaged.test(path) && !owners.has(path))
      .map(({ path }) => `/${path} is of no package`);
    const problems = [...gone, ...unlisted];
    const [first] = problems;
    if (first === undefined) return pass(`${packages.length} packages`);
    return fail(packages.length === 0 ? "dpkg's database is not there" : first, {
      evidence: firstOf(problems),
      hint: "install with apt or dpkg, keep /var/lib/dpkg, and put your own programs below /usr/local",
    });
  },
};

function typeAt(facts: ImageFacts, path: string): string | undefined {
  return facts.files.get(path)?.type ?? facts.files.get(facts.tree.place(path))?.type;
}

export const scannerDistributions: StaticCheck = {
  id: "scanner.distributions",
  title: "scanners see the Python distributions that are installed",
  holds:
    "Every top-level module in site-packages belongs to a distribution with METADATA, which has a name and a version; no dist-info is without METADATA.",
  why: "Scanners find Python packages by METADATA and RECORD alone: a vendored copy, or one whose dist-info was deleted to save space, is never looked up.",
  sources: ["syft: python-installed-package-cataloger", "trivy: Python"],
  run: ({ facts }) => {
    const distributions = facts.derived(installedDistributions);
    const sites = new Set(
      facts.derived(pythonEnvironments).flatMap((each) => each.sites.map((site) => facts.tree.resolve(site))),
    );
    if (sites.size === 0 && distributions.length === 0) return notApplicable("there is no Python");
    const owners = facts.derived(ownersOf);
    const described = new Set(distributions.map(({ info }) => info));
    const tops = new Map<string, boolean>();
    const bare: string[] = [];
    for (const [path, file] of facts.files) {
      const site = /^(.*\/(?:site|dist)-packages)\/([^/]+)/.exec(path);
      const [top = "", folder = "", name = ""] = site ?? [];
      if (!sites.has(folder)) continue;
      if (file.type === "directory" && top === path && name.endsWith(".dist-info") && !described.has(path))
        bare.push(path);
      if (file.type !== "file" || !/\.(?:py|so)$/.test(path) || installersOwn.test(name)) continue;
      tops.set(top, (tops.get(top) ?? false) || owners.has(path));
    }
    const problems = [
      ...distributions
        .filter(({ version, name }) => version === "" || name === "")
        .map(({ info }) => `/${info} has no name or version`),
      ...bare.map((path) => `/${path} has no METADATA`),
      ...[...tops].filter(([, owned]) => !owned).map(([top]) => `/${top} is of no distribution`),
    ];
    const [first] = problems;
    if (first === undefined) return pass(`${distributions.length} distributions`);
    return fail(first, { evidence: firstOf(problems), hint: "install it as a wheel, and keep every dist-info" });
  },
};

/** What interpreters and environments put into site-packages themselves. */
const installersOwn =
  /^(?:__pycache__|_virtualenv\.py|sitecustomize\.py|usercustomize\.py|__editable__.*|.*-nspkg\.pth|.*\.(?:dist|egg)-info)$/;

export const scannerHistory: StaticCheck = {
  id: "scanner.history",
  title: "scanners see the HEALTHCHECK",
  holds: "Where the config has a health check, an entry of the history begins with HEALTHCHECK.",
  why: "trivy tells a missing HEALTHCHECK by the history alone: an image that another tool than a Dockerfile made is reported.",
  sources: ["trivy: history to Dockerfile, DS026"],
  run: ({ image }) => {
    if (!probeOf(image.config.config?.Healthcheck)) return notApplicable("there is no HEALTHCHECK");
    const history = image.config.history ?? [];
    if (history.length === 0) return notApplicable("the image has no history");
    if (history.some(({ created_by = "" }) => /^(?:\/bin\/sh -c #\(nop\)\s+)?HEALTHCHECK\b/.test(created_by)))
      return pass("it is in the history");
    return fail("the history has no HEALTHCHECK", {
      hint: "write Docker-like history: one entry an instruction, empty_layer for settings",
    });
  },
};
