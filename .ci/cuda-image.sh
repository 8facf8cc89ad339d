#!/usr/bin/env bash
# Makes a stand-in for nvidia/cuda:12.1.1-runtime-ubuntu22.04 as a local Docker image, for machines that reach no container
# registry and no Ubuntu archive. What it shares with the real one is what a Dockerfile over it can stumble on:
#
#   - the environment, labels and entrypoint, and /etc/ld.so.conf.d with the folders of CUDA and of the driver;
#   - no Python of the version that is wanted, and none from apt either: Ubuntu 22.04 has 3.10, Debian 12 has 3.11;
#   - the same sonames for what CPython needs (libssl.so.3, libffi.so.8, libreadline.so.8, libncursesw.so.6).
#
# What it doesn't: it is Debian 12, with glibc 2.36 where Ubuntu 22.04 has 2.35, and it has no CUDA libraries.
# Needs root, debootstrap and a running engine. About 10 s; nothing is done when the image is there.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/debian-root.sh"

tag=nvidia/cuda:12.1.1-runtime-ubuntu22.04

main() {
  if has_image "$tag"; then
    echo "$tag is there"
    return
  fi
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  make_debian_root "$root"
  lay_out_cuda
  import_image
  echo "made $tag"
}

lay_out_cuda() {
  mkdir -p "$root/usr/local/cuda-12.1/targets/x86_64-linux/lib" "$root/opt/nvidia"
  ln -s cuda-12.1 "$root/usr/local/cuda-12"
  ln -s cuda-12 "$root/usr/local/cuda"
  ln -s targets/x86_64-linux/lib "$root/usr/local/cuda-12.1/lib64"
  echo /usr/local/cuda/targets/x86_64-linux/lib >"$root/etc/ld.so.conf.d/000_cuda.conf"
  echo /usr/local/cuda-12/targets/x86_64-linux/lib >"$root/etc/ld.so.conf.d/988_cuda-12.conf"
  printf '/usr/local/nvidia/lib\n/usr/local/nvidia/lib64\n' >"$root/etc/ld.so.conf.d/nvidia.conf"
  # The real entrypoint prints a banner, warns of a missing driver, and runs the command.
  cat >"$root/opt/nvidia/nvidia_entrypoint.sh" <<'SH'
#!/bin/bash
echo "== CUDA =="
exec "$@"
SH
  chmod 755 "$root/opt/nvidia/nvidia_entrypoint.sh"
  chroot "$root" ldconfig
}

import_image() {
  tar -C "$root" --numeric-owner -c . | "$docker" import \
    -c 'ENV PATH=/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    -c 'ENV NVARCH=x86_64' \
    -c 'ENV NVIDIA_REQUIRE_CUDA="cuda>=12.1 brand=tesla,driver>=470,driver<471 brand=geforce,driver>=470,driver<471"' \
    -c 'ENV NV_CUDA_CUDART_VERSION=12.1.105-1' \
    -c 'ENV NV_CUDA_COMPAT_PACKAGE=cuda-compat-12-1' \
    -c 'ENV CUDA_VERSION=12.1.1' \
    -c 'ENV LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64' \
    -c 'ENV NVIDIA_VISIBLE_DEVICES=all' \
    -c 'ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility' \
    -c 'ENV NV_CUDA_LIB_VERSION=12.1.1-1' \
    -c 'ENV NVIDIA_PRODUCT_NAME=CUDA' \
    -c 'LABEL maintainer="NVIDIA CORPORATION <cudatools@nvidia.com>"' \
    -c 'LABEL org.opencontainers.image.ref.name=ubuntu' \
    -c 'LABEL org.opencontainers.image.version=22.04' \
    -c "LABEL stand-in=$stand_in_version" \
    -c 'ENTRYPOINT ["/opt/nvidia/nvidia_entrypoint.sh"]' \
    - "$tag" >/dev/null
}

main
