import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { DebEffect } from "../../src/debian/effects.ts";
import { scriptEffects } from "../../src/debian/scripts.ts";
import { parseShell } from "../../src/debian/shell/parse.ts";
import { ShellSyntaxError } from "../../src/debian/shell/syntax.ts";
import type { SheafError } from "../../src/errors.ts";
import type { Entry } from "../../src/filesystem/entry.ts";

function file(path: string, text = "", mode = 0o644): Entry {
  return { type: "file", path, mode, uid: 0, gid: 0, content: { kind: "bytes", bytes: Buffer.from(text) } };
}

function effectsOf(postinst: string, entries: Entry[] = [], members: Record<string, string> = {}): DebEffect[] {
  const control = new Map(
    Object.entries({ postinst: `#!/bin/sh\nset -e\n${postinst}`, ...members }).map(([name, text]) => [
      name,
      Buffer.from(text),
    ]),
  );
  return scriptEffects({ name: "sample", architecture: "amd64", control, entries, ignore: false });
}

function failure(postinst: string, entries: Entry[] = []): SheafError {
  try {
    effectsOf(postinst, entries);
  } catch (error) {
    return error as SheafError;
  }
  return expect.fail("it should have failed");
}

describe("what maintainer scripts would do", () => {
  it("follows the way of a first installation only", () => {
    const script = `
case "$1" in
  configure)
    if [ -z "$2" ]; then mkdir -p /etc/first; else unknown-command; fi
    if dpkg --compare-versions "$2" lt-nl 2.0; then unknown-command; fi
  ;;
  abort-upgrade|abort-remove) unknown-command ;;
  *) echo "called with unknown argument" >&2; exit 1 ;;
esac
exit 0
unknown-command`;
    expect(effectsOf(script)).toEqual([{ kind: "directory", path: "etc/first", create: true }]);
  });

  it("follows functions, loops, variables and default values", () => {
    const script = `
ensure() { [ -d "$DPKG_ROOT/$1" ] || mkdir "$DPKG_ROOT/$1"; chown "root:\${3:-staff}" "$DPKG_ROOT/$1"; chmod "$2" "$DPKG_ROOT/$1"; }
for name in one two; do ensure "srv/$name" 2775 mail; done
base=/usr/share/doc/sample; ln -sf "\${base%/*}" /etc/link`;
    expect(effectsOf(script)).toEqual([
      { kind: "directory", path: "srv/one", create: true, owner: "root", group: "mail", mode: 0o2775 },
      { kind: "directory", path: "srv/two", create: true, owner: "root", group: "mail", mode: 0o2775 },
      { kind: "symlink", path: "etc/link", target: "/usr/share/doc" },
    ]);
  });

  it("models alternatives with slaves", () => {
    const script =
      "update-alternatives --install /usr/bin/nc nc /bin/nc.openbsd 50 \\\n  --slave /bin/netcat netcat /bin/nc.openbsd";
    expect(effectsOf(script)).toEqual([
      {
        kind: "alternative",
        name: "nc",
        link: "/usr/bin/nc",
        path: "/bin/nc.openbsd",
        priority: 50,
        slaves: [{ link: "/bin/netcat", name: "netcat", path: "/bin/nc.openbsd" }],
      },
    ]);
  });

  it("models users, groups and members in every spelling", () => {
    const script = `
if ! getent passwd redis >/dev/null; then adduser --system --group --home /var/lib/redis --no-create-home --quiet redis; fi
useradd -r -g daemon -d /srv -s /bin/false worker
groupadd --system --gid 77 fixed
adduser redis fixed`;
    expect(effectsOf(script)).toEqual([
      { kind: "user", name: "redis", group: "redis", home: "/var/lib/redis" },
      { kind: "user", name: "worker", group: "daemon", home: "/srv", shell: "/bin/false" },
      { kind: "group", name: "fixed", gid: 77 },
      { kind: "member", user: "redis", group: "fixed" },
    ]);
  });

  it("reads sysusers files, copies of own files and here-documents", () => {
    const entries = [
      file("usr/lib/sysusers.d/s.conf", 'u svc 123 "The Service" /srv/svc\ng extra 99\n'),
      file("usr/share/sample/conf", "x=1\n"),
    ];
    const script =
      "systemd-sysusers s.conf\nucf /usr/share/sample/conf /etc/sample.conf\ncat > /etc/made <<'EOF'\na $b\nEOF\n";
    expect(effectsOf(script, entries)).toEqual([
      { kind: "group", name: "svc", gid: 123 },
      { kind: "user", name: "svc", group: "svc", uid: 123, gecos: "The Service", home: "/srv/svc" },
      { kind: "group", name: "extra", gid: 99 },
      { kind: "file", path: "etc/sample.conf", text: "x=1\n", mode: 0o644 },
      { kind: "file", path: "etc/made", text: "a $b\n", mode: 0o644 },
    ]);
  });

  it("passes over debhelper's snippets for services, bytecode and upgrades", () => {
    const script = `
# Automatically added by dh_installsystemd/13.11.4
if [ "$1" = "configure" ] || [ "$1" = "abort-upgrade" ]; then
	deb-systemd-helper unmask 'x.service' >/dev/null || true
	if deb-systemd-helper --quiet was-enabled 'x.service'; then
		deb-systemd-helper enable 'x.service' >/dev/null || true
	fi
fi
# End automatically added section
if command -v py3compile >/dev/null 2>&1; then py3compile -p sample; fi
dpkg-maintscript-helper rm_conffile /etc/old 1.0~ -- "$@"
invoke-rc.d x start || exit 1`;
    expect(new Set(effectsOf(script).map((effect) => effect.kind))).toEqual(new Set(["left-out"]));
  });

  it("answers debconf with the defaults of the templates", () => {
    const members = { templates: "Template: sample/mode\nType: select\nDefault: fast\n" };
    const script =
      '. /usr/share/debconf/confmodule\ndb_get sample/mode\nif [ "$RET" = fast ]; then ln -s fast /etc/mode; else unknown-command; fi';
    expect(effectsOf(script, [], members)).toEqual([{ kind: "symlink", path: "etc/mode", target: "fast" }]);
  });

  it("follows both ways where only the machine could tell", () => {
    const script =
      'if [ "$(uname -r)" = 6 ]; then mkdir /etc/a; else mkdir /etc/b; fi\ncase "$(uname -m)" in x86*) mkdir /etc/c ;; esac';
    expect(effectsOf(script).map((effect) => ("path" in effect ? effect.path : ""))).toEqual([
      "etc/a",
      "etc/b",
      "etc/c",
    ]);
  });

  it("does not believe a variable that one of two ways has set", () => {
    const script = 'dir=/etc/a\nif [ "$(uname -r)" = 6 ]; then dir=/etc/b; fi\nmkdir $dir';
    expect(failure(script).message).toContain("a folder whose name depends on the machine");
  });

  it("looks up patterns among the package's own files", () => {
    const script =
      "for hook in /usr/share/sample/*.hook; do [ -e $hook ] || continue; ln -s $hook /etc/$(basename $hook); done\nfor x in /none/*; do [ -x $x ] || continue; unknown-command; done";
    expect(effectsOf(script, [file("usr/share/sample/one.hook")])).toEqual([
      { kind: "symlink", path: "etc/one.hook", target: "/usr/share/sample/one.hook" },
    ]);
  });

  it("keeps to the root whatever a path says", () => {
    expect(effectsOf("mkdir -p /a/../../../lib/x")).toEqual([{ kind: "directory", path: "usr/lib/x", create: true }]);
  });

  it("gives a service its folder, and leaves its cluster, its certificate and its checks of the machine to others", () => {
    const script = `
adduser --system --home /var/lib/db --group --gecos "Database" db
mkdir -p /var/lib/db
su -s /bin/sh db -c "test -O /var/lib/db &&
  test -G /var/lib/db" || chown db:db /var/lib/db
make-ssl-cert generate-default-snakeoil
/usr/share/postgresql-common/pg_checksystem || true
ucf --purge /etc/logrotate.d/db
configure_version 15 ""`;
    const effects = effectsOf(script);
    expect(effects.filter(({ kind }) => kind !== "left-out")).toEqual([
      { kind: "user", name: "db", group: "db", home: "/var/lib/db", gecos: "Database" },
      { kind: "directory", path: "var/lib/db", create: true, owner: "db", group: "db" },
    ]);
    expect(effects.filter(({ kind }) => kind === "left-out")).toHaveLength(3);
    expect(failure('su db -c "createdb x"').message).toContain("su runs a command as another user");
  });

  it("notes the ldconfig trigger", () => {
    expect(effectsOf("true", [], { triggers: "# t\nactivate-noawait ldconfig\n" })).toEqual([{ kind: "ldconfig" }]);
  });
});

describe("what is not known", () => {
  it.each([
    ["openssl genrsa -out /etc/key.pem", "openssl is not known"],
    ["$(cat /etc/x) run", "a command whose name depends on the machine"],
    ["/usr/bin/sample --configure", "/usr/bin/sample is not known"],
    ["date > /etc/installed-at", "writes to /etc/installed-at what depends on the machine"],
    ["sed -i s/a/b/ /etc/conf", "sed changes /etc/conf"],
    ["find /etc -name x -exec rm {} +", "find changes /etc"],
    ["ls | xargs sample", "xargs runs sample"],
    ['eval "$x"', "eval is not known"],
    ["adduser --system 'x:y'", "with a name or a path that is none"],
    ["update-alternatives --install /a ../b /c 1", "with a name that is none"],
    [". /usr/lib/sample/functions", "as a part of itself"],
  ])("refuses %s", (line, reason) => {
    const error = failure(`true\n${line}`, [
      file("etc/conf"),
      file("usr/bin/sample", "", 0o755),
      file("usr/lib/sample/functions"),
    ]);
    expect(error.code).toBe("SHEAF_DEB_SCRIPT");
    expect(error.message).toContain("sample does something on installation");
    expect(error.message).toContain("postinst, line 4");
    expect(error.message).toContain(reason);
    expect(error.details).toEqual([["postinst:4", line]]);
    expect(error.hints.join()).toContain('ignore-scripts = ["sample"]');
  });

  it("refuses other languages, and scripts that do not end", () => {
    expect(() => effectsOf("", [], { postinst: "#!/usr/bin/perl\nprint 1;" })).toThrow("is not a shell script");
    expect(failure("f() { f; }\nf").message).toContain("calls itself without end");
    expect(failure("f() { f | f; }\nf").code).toBe("SHEAF_DEB_SCRIPT");
  });

  it("passes over scripts that are to be ignored, but not over triggers", () => {
    const control = new Map([
      ["postinst", Buffer.from("#!/usr/bin/perl")],
      ["triggers", Buffer.from("activate-noawait ldconfig\n")],
    ]);
    expect(scriptEffects({ name: "x", architecture: "amd64", control, entries: [], ignore: true })).toEqual([
      { kind: "ldconfig" },
    ]);
  });
});

describe("parseShell", () => {
  it.each([
    "if true; then",
    "case x in",
    'echo "',
    "for x in a b; do",
    "echo `x",
    "( true",
    "fi",
    "cat <<EOF\nx",
    "echo ${x",
  ])("names the line of what is broken: %s", (text) => {
    expect(() => parseShell(text)).toThrow(ShellSyntaxError);
  });

  it("comes to an end on any text", () => {
    const words = fc.constantFrom(
      "if",
      "then",
      "fi",
      "case",
      "in",
      "esac",
      ";;",
      "for",
      "do",
      "done",
      "while",
      "{",
      "}",
      "(",
      ")",
      "$(",
      "`",
      '"',
      "'",
      "\\",
      "\n",
      ";",
      "&&",
      "|",
      "<<E",
      "${x",
      "$x",
      "a",
      " ",
      "#",
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 30 }), (parts) => {
        try {
          parseShell(parts.join(" "));
        } catch (error) {
          expect(error).toBeInstanceOf(ShellSyntaxError);
        }
      }),
    );
  });
});
