import { readAr } from "../archive/ar.ts";
import { decompress } from "../archive/decompress.ts";
import { readTar, type TarEntry } from "../archive/tar-read.ts";
import { SheafError } from "../errors.ts";

/** A .deb's members may not unpack to more than this, in bytes. The largest in Debian has 3 GB. */
const dataLimit = 4 * 1024 ** 3;
const controlLimit = 64 * 1024 ** 2;

/** Members of the control archive by name, such as `postinst`. */
export type ControlMembers = Map<string, Uint8Array>;

/**
 * Opens a .deb (deb(5)): the files of its control archive, and its data archive as it stands.
 * @throws SheafError SHEAF_DEB_FORMAT
 */
export async function openDeb(deb: Uint8Array): Promise<{ control: ControlMembers; data: TarEntry[] }> {
  const members = readAr(deb);
  const version = Buffer.from(members[0]?.data ?? []).toString("latin1");
  if (members[0]?.name !== "debian-binary" || !version.startsWith("2.")) {
    throw new SheafError("SHEAF_DEB_FORMAT", "the file is not a Debian package of format 2", {
      hint: "only .deb files as Debian and Ubuntu publish them are supported",
    });
  }
  const member = (prefix: string) => members.find((candidate) => candidate.name.startsWith(prefix));
  const [controlMember, dataMember] = [member("control.tar"), member("data.tar")];
  if (!controlMember || !dataMember) {
    throw new SheafError("SHEAF_DEB_FORMAT", "the package has no control.tar or no data.tar: it is cut short", {
      hint: "fetch it anew: sheaf cache prune, then build again",
    });
  }
  for (const { name } of [controlMember, dataMember]) {
    if (/\.tar(\.gz|\.xz|\.zst)?$/.test(name)) continue;
    throw new SheafError("SHEAF_DEB_FORMAT", `the package is compressed in a way that Sheaf can't read: ${name}`, {
      hint: "gzip, xz and zstd are supported; repack it with dpkg-deb -Zxz",
    });
  }
  const [controlTar, dataTar] = await Promise.all([
    decompress(controlMember.data, controlLimit),
    decompress(dataMember.data, dataLimit),
  ]);
  const files = readTar(controlTar).filter((entry) => entry.type === "file");
  const control = new Map(files.map((entry) => [entry.path.replace(/^(\.\/)+/, ""), entry.data]));
  return { control, data: readTar(dataTar) };
}
