export interface Owner {
  uid: number;
  gid: number;
}

/**
 * The permissions for a file that a single-user namespace shows as the image user's own, whoever owns it in the image: the owner's bits are
 * what the image grants to that user, so that an application can't change files here that it can't change in Docker. Root is granted all.
 * Set-user-ID, set-group-ID and sticky bits are dropped.
 */
export function effectiveMode(entry: Owner & { mode: number }, user: Owner): number {
  const mode = entry.mode & 0o777;
  if (user.uid === 0) return mode;
  return (grantedBits(entry, user) << 6) | (mode & 0o077);
}

function grantedBits(entry: Owner & { mode: number }, user: Owner): number {
  if (entry.uid === user.uid) return (entry.mode >> 6) & 0o7;
  if (entry.gid === user.gid) return (entry.mode >> 3) & 0o7;
  return entry.mode & 0o7;
}
