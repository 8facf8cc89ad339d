#!/usr/bin/env bash
# Makes a stand-in for the official python:3.12-slim as a local Docker image, for machines that reach no container
# registry: Debian's minimal system with the same packages, and this machine's CPython 3.12 under /usr/local.
# Needs root, debootstrap and a running engine. About 40 s; nothing is done when the image is there.
#
#   .ci/base-image.sh [NAME:TAG]
set -euo pipefail

tag=${1:-python:3.12-slim}
docker=${SHEAF_TEST_DOCKER:-/usr/bin/docker}
suite=bookworm

main() {
  if "$docker" image inspect "$tag" >/dev/null 2>&1; then
    echo "$tag is there"
    return
  fi
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  install_debian
  install_python "$(find_python)"
  configure_network
  import_image
  echo "made $tag"
}

# The folder of a CPython 3.12 that can be copied, such as one that pyenv or uv has put there.
find_python() {
  local candidate
  for candidate in "${PYTHON312:-}" "$HOME"/.pyenv/versions/3.12.*/bin/python3.12 "$(command -v python3.12 || true)"; do
    [ -x "$candidate" ] || continue
    "$candidate" -c 'import sys; print(sys.base_prefix)'
    return
  done
  echo "base-image: no CPython 3.12 on this machine; name one with PYTHON312=/path/to/python3.12" >&2
  return 1
}

install_debian() {
  local libraries=libbz2-1.0,libexpat1,libffi8,libgdbm6,liblzma5,libncursesw6,libreadline8,libsqlite3-0,libssl3,libuuid1,zlib1g
  debootstrap --variant=minbase --include="ca-certificates,netbase,tzdata,$libraries" "$suite" "$root" >"$root.log" 2>&1 || {
    tail -5 "$root.log" >&2
    return 1
  }
  rm -f "$root.log"
  rm -rf "$root"/usr/share/{doc,man,locale,info,lintian}/* "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
}

install_python() {
  local prefix=$1 lib=$root/usr/local/lib/python3.12
  mkdir -p "$root/usr/local"
  cp -a "$prefix/." "$root/usr/local/"
  # The official image leaves out tests, static libraries and bytecode, too.
  rm -rf "$lib"/{test,idlelib,turtledemo} "$lib"/config-3.12*
  find "$lib/site-packages" -mindepth 1 -maxdepth 1 ! -name 'pip*' -exec rm -rf {} +
  find "$root/usr/local" -name __pycache__ -prune -exec rm -rf {} +
  find "$root/usr/local" -name '*.a' -delete
  find "$root/usr/local" -type f \( -name '*.so*' -o -name python3.12 \) -exec strip --strip-unneeded {} + 2>/dev/null || true
  find "$root/usr/local/bin" -type f -exec sed -i "1s|^#!.*python.*|#!/usr/local/bin/python3.12|" {} +
  ln -sf python3.12 "$root/usr/local/bin/python3"
  ln -sf python3.12 "$root/usr/local/bin/python"
  chroot "$root" ldconfig
}

# pip and apt in RUN reach what they reach on this machine: its apt sources, its CA certificates, its package index.
configure_network() {
  local index
  rm -f "$root/etc/apt/sources.list"
  cp /etc/apt/sources.list.d/debian.sources "$root/etc/apt/sources.list.d/" 2>/dev/null ||
    cp /etc/apt/sources.list "$root/etc/apt/sources.list"
  cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
  chroot "$root" update-ca-certificates >/dev/null 2>&1
  printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root/etc/pip.conf"
  index=$(python3 -m pip config get global.index-url 2>/dev/null || true)
  if [ -n "$index" ]; then printf 'index-url = %s\n' "$index" >>"$root/etc/pip.conf"; fi
}

import_image() {
  tar -C "$root" --numeric-owner -c . | "$docker" import \
    -c 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' \
    -c 'ENV LANG=C.UTF-8' \
    -c 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' \
    -c 'CMD ["python3"]' \
    - "$tag" >/dev/null
}

main
