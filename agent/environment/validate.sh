# Runs every program in validate.d of the bundle, in the order of their names; the first that fails ends it and is named last.
# usage: validate.sh BUNDLE
tar --no-same-owner -xzf "$1" || {
  echo 'the bundle cannot be unpacked' >&2
  exit 1
}
ran=no
for program in validate.d/*; do
  [ -f "$program" ] && [ -x "$program" ] || continue
  ran=yes
  "./$program" >.said 2>&1
  code=$?
  [ "$code" -eq 0 ] && continue
  echo "${program#validate.d/} ended with $code: $(tail -n 1 .said | cut -c 1-300)" >&2
  exit 1
done
[ "$ran" = yes ] || {
  echo 'the bundle has no program in validate.d' >&2
  exit 1
}
