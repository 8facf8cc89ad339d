/**
 * Runs as PID 1 of fresh user, mount, pid (and network) namespaces, as their root, in a POSIX sh; ends by becoming the image's command.
 *
 *     $1 root file system, read only for us    $2 empty folder to mount on    $3 uid    $4 gid
 *     $5 lists of folders (rootfs.ts)          $6 rw or ro                    $7 working directory in the image
 *     $8 the mounts that every image gets, as lines of an fstab
 *     $9 number of mounts of its own, each three arguments: source, target below the root, rw or ro
 *     then the command that takes over
 *
 * File descriptor 3 tells the parent: `pid N` (in the parent's pid namespace), `writable` or `read-only`, `ready`.
 *
 * How it keeps the image in: the new root is moved over `/`, so the host's mounts lie beneath it and out of reach even for a process that
 * gains capabilities in a user namespace of its own; the command runs in an inner user namespace that maps the image's uid alone and holds
 * no capability over these mounts.
 *
 * Each program that it starts costs a millisecond, which is why so little is started.
 */
export const namespaceScript = `
set -eu
umask 022
rootfs=$1 base=$2 uid=$3 gid=$4 folders=$5 access=$6 workdir=$7 fstab=$8 mounts=$9
shift 9
read -r pid rest < /proc/self/stat
echo "pid $pid" >&3

mount -n -t proc -o nosuid,nodev,noexec proc /proc
mount -n -t tmpfs -o mode=755 sheaf "$base"
mkdir "$base/upper" "$base/work" "$base/root" "$base/namespace"
root=$base/root

# A user namespace outlives its makers only when it is bound to a file.
mkfifo "$base/namespace/made" "$base/namespace/bound"
: > "$base/namespace/user"
unshare --user --map-user="$uid" --map-group="$gid" sh -c 'echo > "$0/made"; read -r line < "$0/bound"' "$base/namespace" 3>&- &
read -r line < "$base/namespace/made"
mount -n --bind "/proc/$!/ns/user" "$base/namespace/user"
echo > "$base/namespace/bound"

if [ "$uid" != 0 ]; then
  cd "$base/upper"
  if [ -s "$folders" ]; then xargs -0 mkdir -m 555 -- < "$folders"; fi
  if [ -s "$folders.writable" ]; then xargs -0 chmod 755 -- < "$folders.writable"; fi
  chmod 555 .
  cd /
fi
# Relative names, since a colon or a comma in a path has a meaning in mount options.
cd "$base"
ln -s "$rootfs" lower
if mount -n -t overlay -o "userxattr,lowerdir=lower,upperdir=upper,workdir=work" overlay "$root" 2>/dev/null; then
  overlaid=yes
else
  overlaid=no
  mount -n --bind "$rootfs" "$root"
  mount -n -o remount,bind,ro,nosuid,nodev "$root"
fi
cd /

for name in dev dev/pts dev/shm proc run sys sys/devices sys/devices/system sys/devices/system/cpu tmp etc; do
  if [ ! -d "$root/$name" ]; then mkdir "$root/$name"; fi
done
for name in dev/null dev/zero dev/full dev/random dev/urandom dev/tty etc/resolv.conf etc/hosts; do
  if [ ! -e "$root/$name" ]; then : > "$root/$name"; fi
done
printf '%s' "$fstab" > "$base/fstab"
mount -n -a -T "$base/fstab"

while [ "$mounts" -gt 0 ]; do
  if [ ! -e "$root/$2" ]; then
    if [ -d "$1" ]; then mkdir -p "$root/$2"; else mkdir -p "$root/\${2%/*}"; : > "$root/$2"; fi
  fi
  mount -n --rbind "$1" "$root/$2"
  if [ "$3" = ro ]; then mount -n -o remount,bind,ro,nosuid,nodev "$root/$2"; fi
  shift 3
  mounts=$((mounts - 1))
done

if [ ! -d "$root$workdir" ]; then mkdir -p "$root$workdir"; fi
if [ $overlaid = yes ] && [ "$access" = ro ]; then mount -n -o remount,bind,ro "$root"; fi
if [ $overlaid = yes ] && [ "$access" = rw ]; then echo writable >&3; else echo read-only >&3; fi

if [ -n "\${SHEAF_LOOPBACK:-}" ]; then ip link set lo up 2>/dev/null || true; fi
if [ -n "\${SHEAF_MEMORY_KIB:-}" ]; then ulimit -v "$SHEAF_MEMORY_KIB"; fi
wait
cd "$root"
mount -n --move "$root" /
echo ready >&3
exec 3>&-
PATH=$SHEAF_PATH
export PATH
unset PWD OLDPWD SHEAF_PATH SHEAF_LOOPBACK SHEAF_MEMORY_KIB
exec "$@"
`;
