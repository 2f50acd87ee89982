#!/bin/bash
# What Coracle needs from the distribution: `deps.sh check` names what the build lacks, one line
# each; `deps.sh install` installs the packages for building and for testing.
set -euo pipefail

# "a|b": the first one the distribution has.
build_packages=(
  g++ cmake ninja-build pkg-config ccache clang-format clang-tidy
  nlohmann-json3-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libgrpc++-dev
  libseccomp-dev libcli11-dev libcurl4-openssl-dev libarchive-dev libssl-dev libsqlite3-dev
  libsystemd-dev libzstd-dev zlib1g-dev libspdlog-dev libtomlplusplus-dev libgtest-dev
)
test_packages=(
  python3 python3-pytest python3-grpcio python3-protobuf
  busybox-static zstd docker-registry apache2-utils skopeo umoci containernetworking-plugins
  iproute2 iptables
  podman conmon runc crun uidmap containerd e2fsprogs procps util-linux
  systemd dbus dbus-user-session libpam-systemd apparmor checkpolicy
  qemu-system-x86 "linux-image-6.12-cloud-amd64|linux-image-cloud-amd64" kmod cpio xz-utils
)

# name of the tool or pkg-config module, least version, package that brings it
required_tools=("g++ 12 g++" "cmake 3.25 cmake" "ninja 1.10 ninja-build"
                "pkg-config 0.29 pkg-config" "protoc 3.21 protobuf-compiler"
                "grpc_cpp_plugin 0 protobuf-compiler-grpc")
required_modules=("nlohmann_json 3.11 nlohmann-json3-dev" "protobuf 3.21 libprotobuf-dev"
                  "grpc++ 1.51 libgrpc++-dev" "libseccomp 2.5 libseccomp-dev"
                  "CLI11 2.1 libcli11-dev" "libcurl 7.80 libcurl4-openssl-dev"
                  "libarchive 3.6 libarchive-dev" "libcrypto 3.0 libssl-dev"
                  "libsystemd 244 libsystemd-dev"
                  "sqlite3 3.40 libsqlite3-dev" "spdlog 1.10 libspdlog-dev"
                  "tomlplusplus 3.3 libtomlplusplus-dev" "gtest 1.12 libgtest-dev")

older() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" != "$2" ]; }

tool_version() {
  case $1 in
    g++) g++ -dumpfullversion ;;
    grpc_cpp_plugin) echo 0 ;;
    *) "$1" --version | grep -Eo '[0-9]+(\.[0-9]+)+' | head -n 1 ;;
  esac
}

check() {
  local entry name least package found problems=0
  for entry in "${required_tools[@]}"; do
    read -r name least package <<<"$entry"
    if ! command -v "$name" >/dev/null; then
      echo "missing: $name (package $package)"
      problems=1
    elif found=$(tool_version "$name") && older "$found" "$least"; then
      echo "too old: $name $found, at least $least is needed (package $package)"
      problems=1
    fi
  done
  command -v pkg-config >/dev/null || required_modules=()
  for entry in "${required_modules[@]}"; do
    read -r name least package <<<"$entry"
    if ! found=$(pkg-config --modversion "$name" 2>/dev/null); then
      echo "missing: $name (package $package)"
      problems=1
    elif older "$found" "$least"; then
      echo "too old: $name $found, at least $least is needed (package $package)"
      problems=1
    fi
  done
  if [ "$problems" = 1 ]; then
    echo "\`sudo make deps\` installs what is missing from Debian 12 or newer."
  fi
  return "$problems"
} >&2

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Packages of the list that are not installed; of alternatives the first that exists.
missing_packages() {
  local entry alternative
  for entry in "${build_packages[@]}" "${test_packages[@]}"; do
    local found=
    for alternative in ${entry//|/ }; do
      if installed "$alternative"; then found=installed; fi
    done
    if [ -n "$found" ]; then continue; fi
    for alternative in ${entry//|/ }; do
      if [ -n "$(apt-cache madison "$alternative" 2>/dev/null)" ]; then
        found=$alternative
        break
      fi
    done
    echo "${found:-${entry%%|*}}"
  done
}

# Some packages bring services (a registry, containerd): they are installed, not started.
services_policy=/usr/sbin/policy-rc.d

install_packages() {
  if [ -z "$(missing_packages)" ]; then
    echo "deps: every package is installed"
    return
  fi
  if [ "$(id -u)" != 0 ]; then
    echo "deps: installing packages needs root: run \`sudo make deps\`" >&2
    return 1
  fi
  local apt=(apt-get -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)
  echo "deps: reading the package lists"
  # A broken third-party source is not our problem, as long as the packages can be found.
  "${apt[@]}" -qq update || echo "deps: apt-get update reported problems; trying nevertheless" >&2
  local packages
  mapfile -t packages < <(missing_packages)
  echo "deps: apt-get install --no-install-recommends ${packages[*]}"
  if [ ! -e "$services_policy" ]; then
    trap 'rm -f "$services_policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$services_policy"
    chmod +x "$services_policy"
  fi
  DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends "${packages[@]}"
}

case ${1-} in
  check) check ;;
  install) install_packages ;;
  *)
    echo "usage: deps.sh check | install" >&2
    exit 2
    ;;
esac
