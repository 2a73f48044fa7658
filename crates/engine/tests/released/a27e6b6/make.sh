#!/bin/sh
# Makes a ledger with the binary of an earlier version: `make.sh BINARY DIRECTORY`. Run as root in its own UTS namespace, so that
# neither the machine's name nor its environment is recorded. Sessions run in /tmp, which is everywhere.
#
# That version wrote `origin` of a start and `again` of an item in schemas that did not have them yet.
set -eu
[ "${FIXTURE:-}" ] || exec unshare --uts env -i FIXTURE=1 PATH=/usr/bin:/bin HOME=/tmp LANG=C.UTF-8 sh "$0" "$@"
hostname fixture
binary=$1; export ANTIPHON_DIR=$2
cd /tmp
plan() { cat > "/tmp/$1.yaml"; }

"$binary" do --id single --attempts 1 -- sh -c 'echo "one command"' || true
"$binary" do --id killed --attempts 1 -- sh -c 'kill -9 $$' || true
"$binary" do --id missing --attempts 1 -- no-such-program || true

# Retried twice: what succeeded first is taken over from one run to the next.
plan matrix <<'PLAN'
name: matrix
budget: { sessions: 9, duration: 10m }
retry: { attempts: 1 }
breaker: off
work:
  first: { shell: 'echo first', output: [] }
  second: { shell: 'case "$ANTIPHON_RUN" in matrix) exit 1;; esac; echo second', on_failure: continue }
  third: { shell: 'case "$ANTIPHON_RUN" in *@3) echo third;; *) exit 1;; esac', on_failure: continue }
PLAN
"$binary" run --id matrix matrix.yaml || true
"$binary" retry matrix || true
"$binary" retry matrix@2 || true

# A retry that is cut off while a session runs.
plan overnight <<'PLAN'
name: overnight
budget: { sessions: 10, duration: 1h }
retry: { attempts: 1 }
work:
  first: { shell: 'echo first' }
  second: { shell: 'case "$ANTIPHON_RUN" in overnight) exit 1;; esac; case "$ANTIPHON_SESSION" in *.1) touch /tmp/second-runs; sleep 600;; esac; echo second', needs: [first] }
  third: { shell: 'echo third', needs: [second] }
PLAN
rm -f /tmp/second-runs
"$binary" run --id overnight overnight.yaml || true
"$binary" retry overnight & overnight=$!
until [ -e /tmp/second-runs ]; do sleep 0.05; done
# Its wait never comes to the next line: the engine gets no chance to say goodbye.
kill -KILL $overnight; wait $overnight || true
rm -f /tmp/second-runs /tmp/matrix.yaml /tmp/overnight.yaml

mkdir "$ANTIPHON_DIR/receipts"
for id in single killed missing matrix matrix@2 matrix@3 overnight; do
  "$binary" receipt export "$id" --output "$ANTIPHON_DIR/receipts/$id.json"
done
