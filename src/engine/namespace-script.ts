/**
 * Runs as PID 1 of fresh user, mount, pid (and network) namespaces, as their root, in a POSIX sh; ends by becoming the image's command.
 *
 *     $1 root file system, read only for us    $2 empty folder to mount on          $3 uid    $4 gid
 *     $5 lists of folders (rootfs.ts)         $6 overlay or bind                   $7 rw or ro
 *     $8 working directory in the image        $9 number of mounts, each three arguments: source, target below the root, rw or ro
 *     then the command that takes over, found by the host's PATH
 *
 * File descriptor 3 tells the parent: `pid N` (in the parent's pid namespace), `writable` or `read-only`, `ready`.
 *
 * How it keeps the image in: the new root is moved over `/`, so the host's mounts lie beneath it and out of reach even for a process that
 * gains capabilities in a user namespace of its own; the command runs in an inner user namespace that maps the image's uid alone and holds
 * no capability over these mounts. What is bound from the host's /proc and /dev is what Docker shows, and read-only where Docker's is.
 */
export const namespaceScript = `
set -eu
umask 022
rootfs=$1 base=$2 uid=$3 gid=$4 folders=$5 kind=$6 access=$7 workdir=$8 mounts=$9
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
wait $!

overlaid=no
if [ "$kind" = overlay ]; then
  if [ "$uid" != 0 ]; then
    cd "$base/upper"
    if [ -s "$folders" ]; then xargs -0 mkdir -m 555 -- < "$folders"; fi
    if [ -s "$folders.writable" ]; then xargs -0 chmod 755 -- < "$folders.writable"; fi
    chmod 555 .
    cd /
  fi
  layers="lowerdir=$rootfs,upperdir=$base/upper,workdir=$base/work"
  if mount -n -t overlay -o "userxattr,$layers" overlay "$root" 2>/dev/null; then overlaid=yes; fi
fi
if [ $overlaid = no ]; then
  mount -n --bind "$rootfs" "$root"
  mount -n -o remount,bind,ro,nosuid,nodev "$root"
fi

for name in dev proc run sys tmp etc; do
  if [ ! -d "$root/$name" ]; then mkdir "$root/$name"; fi
done
for name in resolv.conf hosts; do
  if [ ! -e "$root/etc/$name" ]; then : > "$root/etc/$name"; fi
done

mount -n -t proc -o nosuid,nodev,noexec proc "$root/proc"
for name in bus fs irq sys sysrq-trigger; do
  if [ -e "$root/proc/$name" ]; then
    mount -n --bind "$root/proc/$name" "$root/proc/$name"
    mount -n -o remount,bind,ro,nosuid,nodev,noexec "$root/proc/$name"
  fi
done
for name in kcore keys latency_stats timer_list sched_debug; do
  if [ -f "$root/proc/$name" ]; then mount -n --bind /dev/null "$root/proc/$name"; fi
done

mount -n -t tmpfs -o mode=755,nosuid,noexec sheaf "$root/sys"
if mkdir -p "$root/sys/devices/system/cpu" && mount -n --bind /sys/devices/system/cpu "$root/sys/devices/system/cpu" 2>/dev/null; then
  mount -n -o remount,bind,ro,nosuid,nodev,noexec "$root/sys/devices/system/cpu"
fi

mount -n -t tmpfs -o mode=755,nosuid sheaf "$root/dev"
for name in null zero full random urandom tty; do
  : > "$root/dev/$name"
  mount -n --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -n -t devpts -o newinstance,ptmxmode=0666,mode=620,nosuid,noexec devpts "$root/dev/pts"
mount -n -t tmpfs -o mode=1777,nosuid,nodev,noexec sheaf "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
if [ "$uid" != 0 ]; then chmod 555 "$root/dev" "$root/sys"; fi

mount -n -t tmpfs -o mode=1777,nosuid,nodev sheaf "$root/tmp"
if [ "$uid" = 0 ]; then run=755; else run=555; fi
mount -n -t tmpfs -o "mode=$run,nosuid,nodev" sheaf "$root/run"
for name in resolv.conf hosts; do
  if [ -r "/etc/$name" ]; then cat "/etc/$name" > "$base/$name"; else : > "$base/$name"; fi
  mount -n --bind "$base/$name" "$root/etc/$name"
  mount -n -o remount,bind,ro,nosuid,nodev,noexec "$root/etc/$name"
done

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
cd "$root"
mount -n --move "$root" /
echo ready >&3
exec 3>&-
PATH=$SHEAF_PATH
export PATH
unset PWD OLDPWD SHEAF_PATH SHEAF_LOOPBACK SHEAF_MEMORY_KIB
exec "$@"
`;
