import type { SymlinkEntry } from "../filesystem/entry.ts";

const bin =
  "[ [[ ar arch ash awk base64 basename bc bunzip2 bzcat bzip2 cal cat chgrp chmod chown clear cmp cp cpio crc32 cut date dc dd df diff " +
  "dirname dos2unix du echo egrep env expand expr factor fallocate false fgrep find fold free ftpget ftpput getopt grep groups gunzip " +
  "gzip head hexdump hostid hostname id ionice ipcalc kill killall less link ln logger logname ls lzcat lzma lzop md5sum microcom " +
  "mkdir mkfifo mknod mkpasswd mktemp more mv nc netstat nl nproc nsenter nslookup od paste patch pidof ping ping6 printf ps pwd " +
  "readlink realpath renice reset rev rm rmdir run-parts sed seq setpriv setsid sh sha1sum sha256sum sha3sum sha512sum shred shuf " +
  "sleep sort ssl_client stat strings stty sync tac tail tar taskset tee telnet test tftp time timeout top touch tr traceroute " +
  "traceroute6 true truncate ts tty uname uncompress unexpand uniq unix2dos unlink unlzma unshare unxz unzip uptime usleep uudecode " +
  "uuencode vi w watch wc wget which who whoami xargs xxd xz xzcat yes zcat";
const sbin = "arp arping chroot ifconfig ip nologin route start-stop-daemon sysctl";

/** Applets of Debian's busybox that serve in a container, by path. Those for hardware and for booting are left out. */
export const busyboxApplets: readonly string[] = [
  ...bin.split(" ").map((name) => `usr/bin/${name}`),
  ...sbin.split(" ").map((name) => `usr/sbin/${name}`),
];

/** Links to busybox for every applet whose path no package has. @param taken paths of files and links in the image */
export function appletLinks(taken: ReadonlySet<string>): SymlinkEntry[] {
  // A tool counts as there wherever on the path it is: a real /usr/sbin/ip makes a link /usr/bin/ip a trap, and the reverse.
  const names = new Set([...taken].flatMap((path) => /^usr\/(?:local\/)?s?bin\/([^/]+)$/.exec(path)?.[1] ?? []));
  return busyboxApplets
    .filter((path) => !names.has(path.slice(path.lastIndexOf("/") + 1)))
    .map((path) => {
      const target = path.startsWith("usr/bin/") ? "busybox" : "../bin/busybox";
      return { type: "symlink", path, target, mode: 0o777, uid: 0, gid: 0 };
    });
}
