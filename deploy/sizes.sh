#!/bin/sh
# Install what each CPU image installs and say how large the trees are: the table of
# docs/operations.md. The base image comes on top. Needs what deploy/install.sh needs.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo '| image | installed tree | the five largest packages |'
echo '| --- | ---: | --- |'
test $# -gt 0 || set -- service teacher trainer
for image; do
    deploy/install.sh "$image" "$work/$image"
    largest=$(cd "$work/$image"/lib/python3.*/site-packages &&
        du -sm -- */ | sort -rn | head -5 | awk '{sub("/", "", $2); printf "%s%s %s MB", (NR > 1 ? ", " : ""), $2, $1}')
    echo "| \`$image\` | $(du -sm "$work/$image" | cut -f1) MB | $largest |"
done
