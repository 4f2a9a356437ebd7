#!/bin/sh
# Tells Spark which GPUs this executor has, as Spark wants it: {"name": "gpu", "addresses": ["0", "1"]}.
# Fails with a reason on stderr where there is none: Spark then gives the executor up instead of
# running its tasks without a GPU.
set -eu

if command -v nvidia-smi >/dev/null 2>&1; then
  found=$(nvidia-smi --query-gpu=index --format=csv,noheader)
elif command -v rocm-smi >/dev/null 2>&1; then
  found=$(rocm-smi --showid --csv | sed -n 's/^card\([0-9][0-9]*\),.*/\1/p')
else
  found=$(ls /dev 2>/dev/null | sed -n 's/^nvidia\([0-9][0-9]*\)$/\1/p')
fi

addresses=
for index in $found; do
  case $index in
    *[!0-9]*) echo "discover-gpus: expected numbers of GPUs, found '$found'" >&2; exit 1 ;;
  esac
  addresses="${addresses:+$addresses, }\"$index\""
done
if [ -z "$addresses" ]; then
  echo "discover-gpus: this pod has no GPU: is a device requested, and its runtime class right?" >&2
  exit 1
fi
echo "{\"name\": \"gpu\", \"addresses\": [$addresses]}"
