#!/usr/bin/env bash
# Makes stand-ins for the official python:3.12-slim and python:3.13-slim as local Docker images, for machines that
# reach no container registry: Debian's minimal system with the same libraries, this machine's CPython under
# /usr/local, and the environment that the official images have. What they have beside it: pip's configuration and the
# certificates with which RUN reaches the package index that this machine reaches.
# Needs root, debootstrap and a running engine. About 40 s for the first, 15 s for another; nothing is done when an image
# is there.
#
#   .ci/base-image.sh [MINOR…]      3.12 unless given
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/debian-root.sh"

main() {
  local minor
  for minor in "${@:-3.12}"; do make_image "$minor"; done
}

make_image() {
  local minor=$1 tag=python:$1-slim prefix root
  if has_image "$tag"; then
    echo "$tag is there"
    return
  fi
  prefix=$(find_python "$minor")
  root=$(mktemp -d)
  # shellcheck disable=SC2064  # the folder that is meant here
  trap "rm -rf '$root'" EXIT
  make_debian_root "$root"
  install_python "$prefix" "$minor" "$root"
  configure_pip "$root"
  import_image "$minor" "$root" "$tag"
  rm -rf "$root"
  echo "made $tag"
}

# The folder of a CPython that can be copied, such as one that pyenv or uv has put there.
find_python() {
  local minor=$1 named=PYTHON${1/./} candidate
  for candidate in "${!named:-}" "$HOME"/.pyenv/versions/"$minor".*/bin/python"$minor" "$(command -v "python$minor" || true)"; do
    [ -x "$candidate" ] || continue
    "$candidate" -c 'import sys; print(sys.base_prefix)'
    return
  done
  echo "base-image: no CPython $minor on this machine; name one with $named=/path/to/python$minor" >&2
  return 1
}

install_python() {
  local prefix=$1 python=python$2 root=$3
  local lib=$root/usr/local/lib/$python
  mkdir -p "$root/usr/local"
  cp -a "$prefix/." "$root/usr/local/"
  # The official image leaves out tests, static libraries and bytecode, too.
  rm -rf "$lib"/{test,idlelib,turtledemo} "$lib"/config-3*
  find "$lib/site-packages" -mindepth 1 -maxdepth 1 ! -name 'pip*' -exec rm -rf {} +
  find "$root/usr/local" -name __pycache__ -prune -exec rm -rf {} +
  find "$root/usr/local" -name '*.a' -delete
  find "$root/usr/local" -type f \( -name '*.so*' -o -name "$python" \) -exec strip --strip-unneeded {} + 2>/dev/null || true
  find "$root/usr/local/bin" -type f -exec sed -i "1s|^#!.*python.*|#!/usr/local/bin/$python|" {} +
  ln -sf "$python" "$root/usr/local/bin/python3"
  ln -sf "$python" "$root/usr/local/bin/python"
  chroot "$root" ldconfig
}

# pip in RUN asks the index that pip on this machine asks.
configure_pip() {
  local root=$1 index
  printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root/etc/pip.conf"
  index=$(python3 -m pip config get global.index-url 2>/dev/null || true)
  if [ -n "$index" ]; then printf 'index-url = %s\n' "$index" >>"$root/etc/pip.conf"; fi
}

# PYTHON_VERSION in the environment, as in the official image, hides an ARG of that name in the stages that follow.
import_image() {
  local minor=$1 root=$2 tag=$3 version
  version=$(chroot "$root" /usr/local/bin/python3 -c 'import platform; print(platform.python_version())')
  tar -C "$root" --numeric-owner -c . | "$docker" import \
    -c 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    -c 'ENV LANG=C.UTF-8' \
    -c 'ENV GPG_KEY=7169605F62C751356D054A26A821E680E5FA6305' \
    -c "ENV PYTHON_VERSION=$version" \
    -c "ENV PYTHON_SHA256=$(printf '%s' "$version" | sha256sum | cut -d' ' -f1)" \
    -c 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' \
    -c "LABEL stand-in=$stand_in_version" \
    -c 'CMD ["python3"]' \
    - "$tag" >/dev/null
}

main "$@"
