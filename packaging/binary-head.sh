#!/bin/sh
# mini8s @VERSION@ in one file: this script, and behind it a Python with all that mini8s needs. The first start of a version
# unpacks it, once; every other goes straight on. MINI8S_PROGRAM_DIR says where to, else root's goes below /var/lib/mini8s.
set -eu
if [ -n "${MINI8S_PROGRAM_DIR:-}" ]; then base=$MINI8S_PROGRAM_DIR
elif [ "$(id -u)" = 0 ]; then base=/var/lib/mini8s/program
else base=${XDG_CACHE_HOME:-${HOME:?}/.cache}/mini8s; fi
here=$base/@VERSION@-@DIGEST@

if [ ! -d "$here" ]; then
  umask 022
  mkdir -p "$base"
  part=$(mktemp -d "$base/.part.XXXXXX")
  trap 'rm -rf "$part"' EXIT INT TERM
  tail -c +@OFFSET@ "$0" | tar -xzf - -C "$part" || { echo "mini8s: cannot unpack into $base (is the disk full?)" >&2; exit 1; }
  chmod 755 "$part"
  sync "$part" 2>/dev/null || sync   # a power cut must not leave a folder that looks whole
  mv -T "$part" "$here" 2>/dev/null || [ -d "$here" ]   # somebody else was quicker
  # Versions that nothing runs from any more are not kept.
  for old in "$base"/*-*; do
    [ "$old" = "$here" ] || readlink /proc/[0-9]*/exe 2>/dev/null | grep -qF "$old/" || rm -rf "$old"
  done
  trap - EXIT INT TERM
  rm -rf "$part"
fi
@CLEAN@
exec "$here/bin/python3" "$here/bin/mini8s" "$@"
