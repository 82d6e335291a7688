# Installs what tests and benchmarks need; sourced by tests/run and by benches/run, in the repository's root.

say() { echo "$0: $*" >&2; }

# What has to be undone or removed at the end, newest first.
at_exit=()
clean_up() {
    local i
    for ((i = ${#at_exit[@]} - 1; i >= 0; i--)); do eval "${at_exit[i]}"; done
}
trap clean_up EXIT

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install() {
    local package policy=/usr/sbin/policy-rc.d clusters=/etc/postgresql-common/createcluster.conf
    if ! command -v apt-get >/dev/null; then
        say "there is no apt-get"
        return
    fi
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        say "installing needs root or sudo"
        return
    fi
    # Debian's packages start what they install, and PostgreSQL's makes a database of its own.
    # Both are told not to, for as long as we install.
    if [ ! -e "$policy" ]; then
        at_exit+=("as_root rm -f $policy")
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null || return
        as_root chmod 755 "$policy"
    fi
    apt_get update || say "the lists of packages could not be updated"
    # It says whether installing PostgreSQL makes a database; a value that is set already is kept.
    if [[ " $* " == *" postgresql "* ]] && apt_get install --no-install-recommends postgresql-common &&
        grep -qs '^#create_main_cluster = true$' "$clusters"; then
        at_exit+=("as_root sed -i 's/^create_main_cluster = false$/#create_main_cluster = true/' $clusters")
        as_root sed -i 's/^#create_main_cluster = true$/create_main_cluster = false/' "$clusters"
    fi
    # One by one, so that one that cannot be had does not take the others along.
    for package in "$@"; do
        say "installing $package"
        apt_get install --no-install-recommends "$package" || say "$package could not be installed"
    done
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confold "$@" </dev/null >&2
}

# Packages from PyPI, in exactly the versions of a list. `installed` is the list that was installed; where a
# test finds another one, it leaves out what needs them (tests/support/installed.rs).
from_pypi() {
    local what=$1 list=tests/support/$2/requirements.txt folder=$3
    cmp -s "$list" "$folder/installed" && return
    say "installing $what"
    rm -rf "$folder"
    python3 -m venv "$folder" &&
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$list" >&2 &&
        cp "$list" "$folder/installed"
}
