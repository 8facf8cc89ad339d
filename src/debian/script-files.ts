import type { DebEffect } from "./effects.ts";

/** What systemd-sysusers(8) makes of a sysusers.d(5) file: users, groups and members. */
export function sysusersEffects(text: string): DebEffect[] {
  return text.split("\n").flatMap((line): DebEffect[] => {
    const fields = [...line.trim().matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? "");
    const [type = "", name = "", id = "-", gecos = "-", home = "-", shell = "-"] = fields;
    const number = /^\d+$/.test(id) ? Number(id) : undefined;
    const given = (text: string) => text !== "-" && text !== "" && !text.includes(":");
    if (!/^[a-z_][a-z0-9_-]*$/.test(name)) return [];
    if (type === "g") return [{ kind: "group", name, ...(number === undefined ? {} : { gid: number }) }];
    if (type === "m") return given(id) ? [{ kind: "member", user: name, group: id }] : [];
    if (!type.startsWith("u")) return [];
    const user = {
      ...(given(gecos) ? { gecos } : {}),
      ...(given(home) ? { home } : {}),
      ...(given(shell) ? { shell } : {}),
    };
    const uid = number === undefined ? {} : { uid: number };
    return [
      { kind: "group", name, ...(number === undefined ? {} : { gid: number }) },
      { kind: "user", name, group: name, ...uid, ...user },
    ];
  });
}

/** The stacks that pam-auth-update(8) writes where pam_unix is the only profile. */
export const pamEffects: DebEffect[] = [
  [
    "auth",
    "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
  ],
  [
    "account",
    "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\naccount requisite pam_deny.so\naccount required pam_permit.so\n",
  ],
  [
    "password",
    "password [success=1 default=ignore] pam_unix.so obscure yescrypt\npassword requisite pam_deny.so\npassword required pam_permit.so\n",
  ],
  ["session", sessionStack()],
  ["session-noninteractive", sessionStack()],
].map(([name, text]) => ({ kind: "file", path: `etc/pam.d/common-${name}`, text: text ?? "", mode: 0o644 }));

function sessionStack(): string {
  return "session [default=1] pam_permit.so\nsession requisite pam_deny.so\nsession required pam_permit.so\nsession required pam_unix.so\n";
}
